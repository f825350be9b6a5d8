"""Training: every image once an epoch, and a killed run ends as an undisturbed one."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from synscale.evaluation import classifiers
from synscale.models import classifier
from synscale.study.load import load_study
from synscale.timing import fake_images
from synscale.training import (
    checkpoint,
    generator_texts,
    stream,
)
from synscale.workflow.settings.training import classifier_settings
from tests.support.classifier_runs import classifier_job
from tests.support.interrupted import Killed
from tests.support.trainings import architecture, train_small_generator
from tests.support.workflow import ROOT, SMOKE


def test_edited_study_stops_a_planned_job(tmp_path):
    classifier_job(
        tmp_path,
        "a",
        "--settings-digest",
        classifier_settings(load_study(SMOKE), "real", "vit_tiny").digest(),
    )
    with pytest.raises(SystemExit, match=r"smoke.yaml: edited since this job was planned"):
        classifier_job(tmp_path, "b", "--settings-digest", "0123456789abcdef")
    assert not (tmp_path / "b").exists()


def test_same_job_gives_the_same_models(tmp_path):
    assert classifier_job(tmp_path, "a") == classifier_job(tmp_path, "b")


@pytest.mark.parametrize(
    "step", [3, 5]
)  # on the way, and after the last iteration but before the model is written
def test_killed_classifier_job_resumes_bit_identical(tmp_path, kill_after, step):
    undisturbed = classifier_job(tmp_path, "a")
    kill_after(step)
    with pytest.raises(Killed):
        classifier_job(tmp_path, "b")
    assert not (tmp_path / "b").exists()
    assert list((tmp_path / "state_b").rglob("*.state"))
    assert classifier_job(tmp_path, "b") == undisturbed
    assert not (tmp_path / "state_b").exists()


def test_partial_output_of_a_killed_job_is_removed(tmp_path):
    (tmp_path / "a.part").mkdir()
    (tmp_path / "a.part/older-run.safetensors").write_bytes(b"half")
    assert "older-run.safetensors" not in classifier_job(tmp_path, "a")
    assert not (tmp_path / "a.part").exists()


def test_model_file_is_sufficient_to_load_a_model(tmp_path):
    classifier_job(tmp_path)
    path = next((tmp_path / "a").iterdir())
    model = classifier.load(path, torch.device("cpu"))
    out = classifier.outputs(model, torch.zeros(3, 1, 8, 8))
    assert out.logits.shape == (3, 10)
    assert out.features.shape == (3, 16)
    assert torch.allclose(out.logits, model(torch.zeros(3, 1, 8, 8)), atol=1e-6)


def test_normalisation_is_mean_and_deviation_one_half():
    assert classifier.normalise(np.array([[[[0, 255]]]], np.uint8)).flatten().tolist() == [-1, 1]


def test_normalisation_does_not_change_its_input():
    pixels = torch.full((1, 1, 2, 2), 255.0)
    assert (classifier.normalise(pixels) == 1).all() and (pixels == 255).all()


def test_garbage_collection_is_enabled_after_torch_import():
    # In a process without the imports of other tests, which may unfreeze objects.
    check = "assert gc.isenabled() and gc.get_freeze_count() > 10_000"
    subprocess.run([sys.executable, "-c", f"import gc, synscale.training; {check}"], check=True)


def test_metrics_do_not_depend_on_evaluation_batch_size(tmp_path, monkeypatch):
    images, device = fake_images.shard(tmp_path / "00000.tar", 24, 20), torch.device("cpu")
    assert stream.evaluation_batch_size(512, device, images) == 320
    models = [
        classifier.build(architecture().model_copy(update={"patch_size": 4}), 16, 3, 10).eval()
        for _ in range(2)
    ]
    metrics = []
    monkeypatch.setattr(stream, "SMALL", 1)
    for at_once in (5, 512):
        monkeypatch.setattr(stream, "ON_CPU", at_once)
        metrics.append(classifiers.evaluate_set(models, "unseen", images, False, device))
    assert metrics[0] == metrics[1] and metrics[0][0] != metrics[0][1]


# -- generators -----------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["diffusion", "masked"])
def test_killed_generator_job_resumes_identical(tmp_path, kill_after, generator):
    undisturbed = train_small_generator(generator, tmp_path / "a")
    kill_after(4)
    with pytest.raises(Killed):
        train_small_generator(generator, tmp_path / "b")
    resumed = train_small_generator(generator, tmp_path / "b")
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_state_of_other_settings_is_not_continued(tmp_path):
    layer = torch.nn.Linear(1, 1)
    checkpoint.TrainingCheckpoint(tmp_path, "learning rate 1", {"model": layer}).save(5)
    assert checkpoint.TrainingCheckpoint(tmp_path, "learning rate 1", {"model": layer}).load() == 5
    assert checkpoint.TrainingCheckpoint(tmp_path, "learning rate 2", {"model": layer}).load() == 0


def test_every_form_of_prompt_is_among_the_training_captions():
    classes = pd.read_csv(ROOT / "data/digits_classes.csv")
    manifest = pd.DataFrame({"class_id": [3, 4], "caption": ["thick", "plain"]})
    captions = generator_texts.composed_captions(manifest, classes, ["a {name} here"], 0)
    assert len(captions[0]) == len(captions[1])
    for text in (
        "three",
        "three, thick",
        "three, an odd number, less than five",
        "three, two open curves one above the other",
        "a three here",
    ):
        assert text in captions[0]
