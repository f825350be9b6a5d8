"""Trainings that start from weights: what they change, resuming, and several processes."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from scripts import fetch_start
from synscale.models import classifier
from synscale.runtime import launch
from synscale.training import classifier_loop
from synscale.training.trained_model import TrainedModel
from tests.support.classifier_runs import classifier_arguments, classifier_job
from tests.support.interrupted import Killed
from tests.support.processes import assert_same_models, start
from tests.support.started import RELEASED, write_started_study
from tests.support.tiny_models import save_reference
from tests.support.trainings import recipe
from tests.support.workflow import SMOKE

FIRST = "vit_tiny-n40-seed0.safetensors"
HEAD = {"head.weight", "head.bias"}


def options(folder, group: str, weights: str = "first") -> list[str]:
    """Return the options of a job that trains a group from the weights of another job."""
    return ["--group", group, "--start-weights", str(folder / weights)]


@pytest.fixture
def study(tmp_path):
    """A study with a linear probe and a fine-tuning, after the run that they start from."""
    classifier_job(tmp_path, "first")
    return write_started_study(tmp_path)


def changed(folder, name: str, run: str) -> set[str]:
    """Return the weights of a run that are not those of its start."""
    start, model = load_file(folder / "first" / FIRST), load_file(folder / name / run)
    return {key for key in model if not torch.equal(model[key], start[key])}


def test_probe_changes_only_the_head(tmp_path, study):
    classifier_job(tmp_path, "a", *options(tmp_path, "vit_probe"), study=study)
    assert changed(tmp_path, "a", "vit_probe-n20-seed1.safetensors") == HEAD


def test_fine_tuning_changes_all_weights(tmp_path, study):
    classifier_job(tmp_path, "a", *options(tmp_path, "vit_tuned"), study=study)
    weights = set(load_file(tmp_path / "first" / FIRST))
    assert changed(tmp_path, "a", "vit_tuned-n20-seed1.safetensors") == weights


def test_moving_average_of_frozen_weights_is_exact(tmp_path, study):
    study.write_text(study.read_text().replace("  warmup:", "  ema_decay: 0.9\n  warmup:", 1))
    classifier_job(tmp_path, "a", *options(tmp_path, "vit_probe"), study=study)
    assert changed(tmp_path, "a", "vit_probe-n20-seed1.safetensors") == HEAD


@pytest.mark.parametrize("group", ["vit_probe", "vit_tuned"])
def test_killed_started_job_resumes_bit_identical(tmp_path, study, kill_after, group):
    more = options(tmp_path, group)
    undisturbed = classifier_job(tmp_path, "a", *more, study=study)
    kill_after(3)
    with pytest.raises(Killed):
        classifier_job(tmp_path, "b", *more, study=study)
    assert list((tmp_path / "state_b").rglob("*.state"))
    assert classifier_job(tmp_path, "b", *more, study=study) == undisturbed


def test_state_of_another_start_is_not_resumed(tmp_path, study, kill_after):
    other = SMOKE.read_text().replace("label_smoothing: 0.1", "label_smoothing: 0.2", 1)
    (tmp_path / "other.yaml").write_text(other)
    classifier_job(tmp_path, "second", study=tmp_path / "other.yaml")
    expected = classifier_job(tmp_path, "a", *options(tmp_path, "vit_probe", "second"), study=study)
    kill_after(3)
    with pytest.raises(Killed):
        classifier_job(tmp_path, "b", *options(tmp_path, "vit_probe"), study=study)
    again = classifier_job(tmp_path, "b", *options(tmp_path, "vit_probe", "second"), study=study)
    assert again == expected


def test_optimizer_has_only_the_trained_weights():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2).requires_grad_(False), torch.nn.Linear(2, 2))
    optimizer = TrainedModel.create(model, recipe(), 5).optimizer
    assert optimizer.param_groups[0]["params"] == list(model[1].parameters())


def test_probe_is_a_regression_on_the_features_of_its_start(tmp_path, study, monkeypatch):
    """Known truth: a linear layer that is trained on the features gets the same weights."""
    jobs, batches = [], []
    build, gradients = classifier_loop._build, classifier_loop.gradients

    def watched_build(*arguments):
        model = build(*arguments)
        jobs.append((arguments[0], copy.deepcopy(model)))
        return model

    def watched_gradients(model, recipe, processes, pixels, targets, *more):
        batches.append((pixels, targets))
        return gradients(model, recipe, processes, pixels, targets, *more)

    monkeypatch.setattr(classifier_loop, "_build", watched_build)
    monkeypatch.setattr(classifier_loop, "gradients", watched_gradients)
    classifier_job(tmp_path, "a", *options(tmp_path, "vit_probe"), study=study)
    job, model = jobs[0]
    features = [classifier.outputs(model, pixels).features.clone() for pixels, _ in batches]
    head = model.head.requires_grad_(True)
    regression = TrainedModel.create(head, job.recipe, job.run.iterations)
    steps = zip(features, batches, range(job.run.iterations), strict=False)
    for inputs, (_, targets), _ in steps:
        regression.optimizer.zero_grad()
        smoothing = job.recipe.label_smoothing
        cross_entropy(head(inputs), targets, label_smoothing=smoothing).backward()
        regression.step()
    trained = load_file(tmp_path / "a" / f"{job.run.name}.safetensors")
    assert torch.allclose(head.weight, trained["head.weight"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("group", ["vit_probe", "vit_tuned"])
def test_two_processes_train_from_a_start_as_one(tmp_path, study, group):
    more = options(tmp_path, group)
    classifier_job(tmp_path, "one", *more, study=study)
    words = classifier_arguments(tmp_path, "two", study)
    command = launch.command(2, 1, 2, ["scripts.train_classifiers", *words, *more])
    process = start(command, tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert_same_models(tmp_path / "one", tmp_path / "two")


def fetch(study, folder) -> None:
    fetch_start.main(
        [
            *("--study", str(study), "--architecture", "released"),
            *("--known", "data/sources.csv", "--record", str(folder / "record.csv")),
            *("--output", str(folder / "start")),
        ]
    )


def released_study(tmp_path, **changes):
    """Write a study that starts from a ViT of three channels and 24 pixels in a folder."""
    folder = tmp_path / "released"
    folder.mkdir()
    save_reference(folder, classes=3)
    row = RELEASED | {"start": {"model": str(folder)}, "train": "head", "label": "released"}
    return write_started_study(tmp_path, released=row | {"patch_size": 8} | changes)


def test_released_weights_are_fetched_and_trained_on(tmp_path):
    study = released_study(tmp_path)
    fetch(study, tmp_path)
    more = options(tmp_path, "released", "start")
    models = classifier_job(tmp_path, "a", *more, study=study)
    assert len(models) == 6
    weights = load_file(tmp_path / "a/released-n40-seed1.safetensors")
    assert weights["pos_embed"].shape == (1, 2, 16)  # one patch of 8 x 8 pixels
    assert weights["head.weight"].shape == (10, 16)


def test_released_weights_of_another_shape_are_refused(tmp_path):
    study = released_study(tmp_path, depth=3)
    message = r"classifiers.architectures.released: depth = 3, but the model has 2; correct the key"
    with pytest.raises(SystemExit, match=message):
        fetch(study, tmp_path)
    assert not (tmp_path / "start").exists()
