"""Each choice of a classifier's recipe: its effect, and that a resumed job has it too."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.models import classifier
from synscale.study.models.classifiers import RandAugment, Training
from synscale.training import augment, checkpoint, classifier_loop, distributed
from tests.support.classifier_runs import classifier_job
from tests.support.interrupted import Killed
from tests.support.trainings import architecture, recipe, train_on_noise
from tests.support.workflow import SMOKE

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
def test_killed_job_with_complete_recipe_resumes_identical(tmp_path, kill_after, fast):
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


def trained(tmp_path, training: Training, iterations: int) -> tuple[torch.nn.Module, list[dict]]:
    """The model of a short training, and the weights after each of its iterations."""
    weights = []

    class Watched(checkpoint.TrainingCheckpoint):
        due = True

        def save(self, step):
            weights.append(
                {name: value.clone() for name, value in self.parts["model"].state_dict().items()}
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "TrainingCheckpoint", Watched)
        return train_on_noise(tmp_path, training, iterations), weights


def test_moving_average_of_weights_is_the_model(tmp_path):
    average, (first, second) = trained(tmp_path, recipe(ema_decay=0.75), 2)
    for name, value in average.state_dict().items():
        assert torch.allclose(value, 0.75 * first[name] + 0.25 * second[name], atol=1e-7)


@pytest.mark.parametrize(
    "options",
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
    ids=lambda options: next(iter(options)),
)
def test_each_choice_of_a_recipe_changes_the_model(tmp_path, options):
    plain, again, other = (
        trained(tmp_path, recipe(**changes), 3)[0].state_dict() for changes in ({}, {}, options)
    )
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.parametrize(
    "options",
    [{"compile": "eager"}, {"compile": "aot_eager", "ema_decay": 0.5}, {"micro_batch_size": 5}],
    ids=lambda changes: next(iter(changes)),
)
def test_compilation_and_micro_batches_change_rounding_only(tmp_path, options):
    """AdamW's first steps are of nearly the same size whatever the gradient is, and make rounding
    larger; a batch of 16 is gone through by 4.
    """
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, other = (
        trained(tmp_path, recipe(**changes), 3)[0].state_dict()
        for changes in ({key: options[key] for key in options if key == "ema_decay"}, options)
    )
    assert plain.keys() == other.keys()
    assert all(torch.allclose(plain[name], other[name], atol=1e-4) for name in plain)
    assert bool(torch._dynamo.utils.counters["frames"]["ok"]) == ("compile" in options)


@pytest.mark.parametrize("turns", [1, 2, 4, 8])
def test_micro_batches_have_loss_and_gradients_of_the_batch(turns):
    torch.manual_seed(0)
    model = classifier.build(architecture(), 8, 1, 10).double()
    processes = distributed.ProcessGroup(torch.device("cpu"))
    pixels, targets = torch.randn(16, 1, 8, 8).double(), torch.rand(16, 10).double().softmax(-1)
    results = []
    for count in (1, turns):
        model.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch.Tensor, "float", lambda self: self
            )  # the loss stays of double precision
            loss = classifier_loop.gradients(
                model, recipe(), processes, pixels, targets, None, count
            )
        results.append([loss, *(parameter.grad.clone() for parameter in model.parameters())])
    assert all(
        torch.allclose(one, other, rtol=1e-9, atol=1e-12)
        for one, other in zip(*results, strict=True)
    )


@given(st.integers(1, 8), st.integers(1, 64), st.integers(1, 600))
def test_micro_batches_are_equal_and_as_few_as_possible(ranks, share, largest):
    count = distributed.count_micro_batches("batch_size", ranks * share, largest, ranks)
    assert share % count == 0 and share // count <= largest
    assert not any(share % fewer == 0 and share // fewer <= largest for fewer in range(1, count))
    assert distributed.count_micro_batches("batch_size", ranks * share, None, ranks) == 1


def test_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(
        SystemExit, match=r"classifiers.batch_size \(10\) must be divisible by .* \(4\)"
    ):
        distributed.count_micro_batches("classifiers.batch_size", 10, None, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_augmented_as_bytes_of_the_model_size(channels):
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
    augmented = [transform(image) for _ in range(20)]
    assert {(one.dtype, one.shape) for one in augmented} == {
        (torch.uint8, torch.Size([channels, 6, 6]))
    }
    assert len({one.numpy().tobytes() for one in augmented}) > 10


def test_smaller_model_sees_the_centre():
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    assert torch.equal(augment.of_images(recipe(), 8, 4)(image), image[:, 2:6, 2:6])
    assert augment.of_images(recipe(), 8, 8) is None


def test_erased_is_a_rectangle_of_noise_around_grey():
    erased = augment.Erasing(1.0)(torch.zeros(3, 200, 200, dtype=torch.uint8))
    rectangle = erased[erased > 0].double()
    assert 0.01 < len(rectangle) / erased.numel() < 0.4
    assert (
        abs(rectangle.mean() - 152) < 10
    )  # mean of the half of the noise that is above black: 127.5 + a part of its deviation
    assert erased.max() == 255


def test_mixed_images_have_the_proportions_of_classes():
    mix = augment.of_batches(recipe(mixup=0.8, cutmix=1.0), 4)
    images = (
        torch.eye(4)[:, :, None, None].expand(4, 4, 16, 16).contiguous()
    )  # channel c of an image of class c is white
    for _ in range(10):
        mixed, shares = mix(images, torch.arange(4))
        assert torch.allclose(mixed.mean((2, 3)), shares, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_of_a_batch_equal_those_of_single_images(channels):
    crop = augment.ResizedCrop(8, (0.5, 1.0), (0.75, 1.33), augment.BICUBIC)
    images = torch.randint(0, 256, (32, channels, 8, 8), dtype=torch.uint8)
    expected = []
    for seed, image in enumerate(images):
        torch.manual_seed(seed)
        expected.append(crop(image))
    assert torch.equal(crop.of_batch(images, range(32)), torch.stack(expected))
