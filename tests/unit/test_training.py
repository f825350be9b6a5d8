"""Training: every image once an epoch, and a killed run ends as an undisturbed one."""

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts import train_classifiers, train_generator
from scripts.lib import block_lists, classifier, jobs, resume, shards
from scripts.lib.study_file import load
from tests.conftest import ROOT, SMOKE


class Killed(Exception):
    pass


@pytest.fixture
def kill_after(monkeypatch):
    """Make a training loop save its state after every iteration and die after `steps` of them, once."""

    def arm(steps: int):
        def save_by_time(self, step):
            self.save(step)
            if step == steps:
                monkeypatch.undo()
                raise Killed

        monkeypatch.setattr(resume.State, "save_by_time", save_by_time)

    return arm


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 30), st.integers(0, 5))
def test_an_epoch_holds_every_image_once(n, batch, iterations, seed):
    stream = torch.cat(list(train_classifiers.index_stream(n, batch, iterations, seed))).tolist()
    assert len(stream) == batch * iterations
    for start in range(0, len(stream) - n + 1, n):
        assert sorted(stream[start : start + n]) == list(range(n))


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 20))
def test_a_resumed_stream_goes_on_where_it_stopped(n, batch, start):
    whole = list(train_classifiers.index_stream(n, batch, 20, 3))
    rest = list(train_classifiers.index_stream(n, batch, 20, 3, start))
    assert all(torch.equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_seeds_differ_in_order():
    a, b = (torch.cat(list(train_classifiers.index_stream(100, 10, 10, seed))) for seed in (0, 1))
    assert not torch.equal(a, b)


def classifier_job(tmp_path, name="a", *more: str) -> dict[str, bytes]:
    """Train the real batch of the smoke study on noise; return the model files."""
    tars = [tmp_path / f"{block:05d}.tar" for block in range(2)]
    if not tars[0].exists():
        random = np.random.default_rng(0)
        rows = [(f"{i:03d}", random.integers(0, 256, (8, 8), np.uint8), {"image": i, "class_id": i % 10, "prompt": ""}) for i in range(40)]
        shards.write(tars[0], rows[:20])
        shards.write(tars[1], rows[20:])
        block_lists.write(tmp_path / "blocks.csv", tars)
    output = tmp_path / name
    what = ["--study", str(SMOKE), "--source", "real", "--batch", "vit_tiny", "--classes", str(ROOT / "data/digits_classes.csv")]
    train_classifiers.main([*what, "--blocks", str(tmp_path / "blocks.csv"), "--output", str(output), "--state", str(tmp_path / f"state_{name}"), *more])
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def test_a_study_edited_since_the_job_was_planned_stops_it(tmp_path):
    classifier_job(tmp_path, "a", "--planned", jobs.digest(jobs.classifier_settings(load(SMOKE), "real", "vit_tiny")))
    with pytest.raises(SystemExit, match=r"smoke.yaml: edited since this job was planned"):
        classifier_job(tmp_path, "b", "--planned", "0123456789abcdef")
    assert not (tmp_path / "b").exists()


def test_the_same_job_gives_the_same_models(tmp_path):
    assert classifier_job(tmp_path, "a") == classifier_job(tmp_path, "b")


@pytest.mark.parametrize("step", [3, 5])  # on the way, and after the last iteration but before the model is written
def test_a_killed_classifier_job_resumes_and_ends_as_an_undisturbed_one(tmp_path, kill_after, step):
    undisturbed = classifier_job(tmp_path, "a")
    kill_after(step)
    with pytest.raises(Killed):
        classifier_job(tmp_path, "b")
    assert not (tmp_path / "b").exists()
    assert list((tmp_path / "state_b").rglob("*.state"))
    assert classifier_job(tmp_path, "b") == undisturbed
    assert not (tmp_path / "state_b").exists()


def test_what_a_kill_left_of_an_older_output_is_not_taken_for_a_result(tmp_path):
    (tmp_path / "a.part").mkdir()
    (tmp_path / "a.part/older-run.safetensors").write_bytes(b"half")
    assert "older-run.safetensors" not in classifier_job(tmp_path, "a")
    assert not (tmp_path / "a.part").exists()


def test_a_model_file_can_be_loaded_alone(tmp_path):
    classifier_job(tmp_path)
    path = next((tmp_path / "a").iterdir())
    model = classifier.load(path, torch.device("cpu"))
    out = classifier.outputs(model, torch.zeros(3, 1, 8, 8))
    assert out.logits.shape == (3, 10)
    assert out.features.shape == (3, 16)
    assert torch.allclose(out.logits, model(torch.zeros(3, 1, 8, 8)), atol=1e-6)


def test_normalisation_is_mean_and_deviation_one_half():
    assert classifier.normalise(np.array([[[[0, 255]]]], np.uint8)).flatten().tolist() == [-1, 1]


@pytest.mark.parametrize("generator", ["diffusion", "masked"])
def test_a_killed_generator_job_resumes_and_ends_as_an_undisturbed_one(tmp_path, kill_after, generator):
    settings = jobs.generator_settings(load(SMOKE), generator)
    settings["training"]["iterations"] = 6
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    captions = [["one", "a thick one"], ["two", "a thin two"]] * 10

    def trained(folder):
        pipeline = train_generator.train(settings, images, captions, str(tmp_path / folder), "same", torch.device("cpu"))
        return getattr(pipeline, train_generator.KINDS[settings["kind"]][1]).state_dict()

    undisturbed = trained("a")
    kill_after(4)
    with pytest.raises(Killed):
        trained("b")
    resumed = trained("b")
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_state_of_other_settings_is_not_continued(tmp_path):
    layer = torch.nn.Linear(1, 1)
    resume.State(tmp_path, "learning rate 1", {"model": layer}).save(5)
    assert resume.State(tmp_path, "learning rate 1", {"model": layer}).load() == 5
    assert resume.State(tmp_path, "learning rate 2", {"model": layer}).load() == 0


def test_every_form_of_prompt_is_among_the_training_captions():
    classes = pd.read_csv(ROOT / "data/digits_classes.csv")
    manifest = pd.DataFrame({"class_id": [3, 4], "caption": ["thick", "plain"]})
    own = train_generator.training_captions(manifest, classes, ["a {name} here"], 0)
    assert len(own[0]) == len(own[1])
    for text in ("three", "three, thick", "three, an odd number, less than five", "three, two open curves one above the other", "a three here"):
        assert text in own[0]
