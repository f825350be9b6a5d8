"""Training: every image once an epoch, and a killed run ends as an undisturbed one."""

import gc

import synscale.runtime.torch_setup  # noqa: F401

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.evaluation import classifiers
from synscale.models import classifier
from synscale.study.load import load_study
from synscale.study.models.classifiers import RandAugment, Training
from synscale.timing import fake_images
from synscale.training import (
    augment,
    checkpoint,
    classifier_loop,
    distributed,
    generator_loop,
    stream,
)
from synscale.workflow.settings import digest
from synscale.workflow.settings.training import classifier_settings
from tests.support.classifier_runs import classifier_job
from tests.support.interrupted import Killed
from tests.support.trainings import architecture, recipe, train_on_noise, train_small_generator
from tests.support.workflow import ROOT, SMOKE


def test_a_study_edited_since_the_job_was_planned_stops_it(tmp_path):
    classifier_job(
        tmp_path,
        "a",
        "--settings-digest",
        digest(classifier_settings(load_study(SMOKE), "real", "vit_tiny")),
    )
    with pytest.raises(SystemExit, match=r"smoke.yaml: edited since this job was planned"):
        classifier_job(tmp_path, "b", "--settings-digest", "0123456789abcdef")
    assert not (tmp_path / "b").exists()


def test_the_same_job_gives_the_same_models(tmp_path):
    assert classifier_job(tmp_path, "a") == classifier_job(tmp_path, "b")


@pytest.mark.parametrize(
    "step", [3, 5]
)  # on the way, and after the last iteration but before the model is written
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


def test_normalisation_leaves_the_pixels_alone():
    pixels = torch.full((1, 1, 2, 2), 255.0)
    assert (classifier.normalise(pixels) == 1).all() and (pixels == 255).all()


def test_garbage_is_collected_once_torch_is_imported():
    assert gc.isenabled() and gc.get_freeze_count() > 10_000  # of what torch made


def test_metrics_do_not_depend_on_how_many_images_are_judged_at_a_time(tmp_path, monkeypatch):
    images, device = fake_images.shard(tmp_path / "00000.tar", 24, 20), torch.device("cpu")
    models = [
        classifier.build(architecture().model_copy(update={"patch_size": 4}), 16, 3, 10).eval()
        for _ in range(2)
    ]
    found = []
    for at_once in (5, 512):
        monkeypatch.setattr(stream, "ON_CPU", at_once)
        found.append(classifiers.evaluate_set(models, "unseen", images, False, device))
    assert found[0] == found[1] and found[0][0] != found[0][1]


# -- the recipe --------------------------------------------------------------------------------------------------------------------------

BATCH = "  label_smoothing: 0.1\n"
EVERYTHING = """  crop_scale: [0.3, 1.0]
  flip: true
  rand_augment: {operations: 2, magnitude: 9}
  erasing: 0.5
  mixup: 0.8
  cutmix: 1.0
  ema_decay: 0.9
  gradient_clip: 1.0
  precision: bfloat16
  image_size: 4
"""
FAST = "  compile: aot_eager\n  micro_batch_size: 4\n"


@pytest.mark.parametrize(
    "fast", [pytest.param("", id="plain"), pytest.param(FAST, id="fast", marks=pytest.mark.slow)]
)
def test_with_all_that_a_recipe_can_ask_for_a_killed_job_still_ends_as_an_undisturbed_one(
    tmp_path, kill_after, fast
):
    text = (
        SMOKE.read_text()
        .replace(BATCH, BATCH + EVERYTHING + fast, 1)
        .replace("pool: token", "pool: token, drop_path: 0.3", 1)
    )
    (tmp_path / "smoke.yaml").write_text(text.replace("depth: 1", "depth: 3", 1))
    undisturbed = classifier_job(tmp_path, "a", study=tmp_path / "smoke.yaml")
    kill_after(3)
    with pytest.raises(Killed):
        classifier_job(tmp_path, "b", study=tmp_path / "smoke.yaml")
    assert classifier_job(tmp_path, "b", study=tmp_path / "smoke.yaml") == undisturbed
    model = classifier.load(tmp_path / "a" / next(iter(undisturbed)), torch.device("cpu"))
    assert model.patch_embed.img_size == (4, 4)


def trained(tmp_path, chosen: Training, iterations: int) -> tuple[torch.nn.Module, list[dict]]:
    """The model of a short training, and the weights after each of its iterations."""
    weights = []

    class Watched(checkpoint.TrainingCheckpoint):
        due = True

        def save(self, step):
            weights.append(
                {name: value.clone() for name, value in self.parts["model"].state_dict().items()}
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "State", Watched)
        return train_on_noise(tmp_path, chosen, iterations), weights


def test_the_moving_average_of_weights_is_what_is_kept(tmp_path):
    average, (first, second) = trained(tmp_path, recipe(ema_decay=0.75), 2)
    for name, value in average.state_dict().items():
        assert torch.allclose(value, 0.75 * first[name] + 0.25 * second[name], atol=1e-7)


@pytest.mark.parametrize(
    "chosen",
    [
        {"flip": True},
        {"crop_scale": (0.2, 0.5)},
        {"rand_augment": {"operations": 1, "magnitude": 20}},
        {"erasing": 1.0},
        {"mixup": 1.0},
        {"cutmix": 1.0},
        {"gradient_clip": 1e-6},
        {"precision": "bfloat16"},
        {"betas": (0.5, 0.5)},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_each_choice_of_a_recipe_changes_the_model_and_the_same_choice_does_not(tmp_path, chosen):
    plain, again, other = (
        trained(tmp_path, recipe(**own), 3)[0].state_dict() for own in ({}, {}, chosen)
    )
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.parametrize(
    "chosen",
    [{"compile": "eager"}, {"compile": "aot_eager", "ema_decay": 0.5}, {"micro_batch_size": 5}],
    ids=lambda own: next(iter(own)),
)
def test_how_a_model_is_worked_on_changes_it_by_rounding_alone(tmp_path, chosen):
    """AdamW's first steps are of nearly the same size whatever the gradient is, and make rounding
    larger; a batch of 16 is gone through by 4.
    """
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, other = (
        trained(tmp_path, recipe(**own), 3)[0].state_dict()
        for own in ({key: chosen[key] for key in chosen if key == "ema_decay"}, chosen)
    )
    assert plain.keys() == other.keys()
    assert all(torch.allclose(plain[name], other[name], atol=1e-4) for name in plain)
    assert bool(torch._dynamo.utils.counters["frames"]["ok"]) == ("compile" in chosen)


@pytest.mark.parametrize("turns", [1, 2, 4, 8])
def test_a_batch_in_turns_has_the_loss_and_the_gradients_of_the_batch(turns):
    torch.manual_seed(0)
    model = classifier.build(architecture(), 8, 1, 10).double()
    processes = distributed.ProcessGroup(torch.device("cpu"))
    pixels, targets = torch.randn(16, 1, 8, 8).double(), torch.rand(16, 10).double().softmax(-1)
    found = []
    for count in (1, turns):
        model.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch.Tensor, "float", lambda self: self
            )  # the loss stays of double precision
            loss = classifier_loop.gradients(model, recipe(), processes, pixels, targets, count)
        found.append([loss, *(parameter.grad.clone() for parameter in model.parameters())])
    assert all(
        torch.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in zip(*found, strict=True)
    )


@given(st.integers(1, 8), st.integers(1, 64), st.integers(1, 600))
def test_turns_are_equal_parts_none_of_which_is_too_large_and_as_few_as_can_be(ranks, own, largest):
    count = distributed.count_micro_batches("batch_size", ranks * own, largest, ranks)
    assert own % count == 0 and own // count <= largest
    assert not any(own % fewer == 0 and own // fewer <= largest for fewer in range(1, count))
    assert distributed.count_micro_batches("batch_size", ranks * own, None, ranks) == 1


def test_a_batch_that_processes_cannot_share_is_told():
    with pytest.raises(
        SystemExit, match=r"classifiers.batch_size \(10\) must be divisible by .* \(4\)"
    ):
        distributed.count_micro_batches("classifiers.batch_size", 10, None, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_augmented_as_bytes_of_the_size_that_is_trained_on(channels):
    transform = augment.of_images(
        recipe(
            crop_scale=(0.2, 1.0),
            flip=True,
            rand_augment=RandAugment(operations=2, magnitude=9),
            erasing=0.5,
        ),
        8,
        6,
    )
    image = torch.arange(channels * 64, dtype=torch.uint8).reshape(channels, 8, 8)
    made = [transform(image) for _ in range(20)]
    assert {(one.dtype, one.shape) for one in made} == {(torch.uint8, torch.Size([channels, 6, 6]))}
    assert len({one.numpy().tobytes() for one in made}) > 10


def test_what_is_smaller_than_the_stored_image_is_its_centre():
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    assert torch.equal(augment.of_images(recipe(), 8, 4)(image), image[:, 2:6, 2:6])
    assert augment.of_images(recipe(), 8, 8) is None


def test_erased_is_a_rectangle_of_noise_around_grey():
    erased = augment.Erasing(1.0)(torch.zeros(3, 200, 200, dtype=torch.uint8))
    rectangle = erased[erased > 0].double()
    assert 0.01 < len(rectangle) / erased.numel() < 0.4
    assert (
        abs(rectangle.mean() - 152) < 10
    )  # of the half of the noise that is above black: 127.5 + a part of its deviation
    assert erased.max() == 255


def test_mixed_images_are_told_with_their_shares():
    mix = augment.of_batches(recipe(mixup=0.8, cutmix=1.0), 4)
    images = (
        torch.eye(4)[:, :, None, None].expand(4, 4, 16, 16).contiguous()
    )  # channel c of an image of class c is white
    for _ in range(10):
        mixed, shares = mix(images, torch.arange(4))
        assert torch.allclose(mixed.mean((2, 3)), shares, atol=1e-5)


# -- generators --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["diffusion", "masked"])
def test_a_killed_generator_job_resumes_and_ends_as_an_undisturbed_one(
    tmp_path, kill_after, generator
):
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
    own = generator_loop.training_captions(manifest, classes, ["a {name} here"], 0)
    assert len(own[0]) == len(own[1])
    for text in (
        "three",
        "three, thick",
        "three, an odd number, less than five",
        "three, two open curves one above the other",
        "a three here",
    ):
        assert text in own[0]
