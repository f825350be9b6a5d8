"""Weights of parts of a mixture: the loss is the weighted mean of the losses of the images."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from synscale.study.models import TrainingPart
from synscale.training import part_weights
from synscale.training.stream import Batch
from synscale.workflow.settings import as_json

CLASSES = 3


def parts(*weights: float, images=(4, 12)) -> list[TrainingPart]:
    return [
        TrainingPart(f"source_{place}", None, count, 0, weight)
        for place, (count, weight) in enumerate(zip(images, weights, strict=True))
    ]


def batch() -> Batch:
    """Return six images, the first two of the first part."""
    class_ids = torch.tensor([0, 1, 2, 0, 1, 2])
    return Batch(torch.zeros(6, 1, 2, 2), class_ids, torch.tensor([0, 3, 4, 8, 15, 5]))


@given(st.floats(0.1, 10))
def test_equal_weights_are_no_weights(weight):
    assert part_weights.weights_of(parts(weight, weight)) is None


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_mean_weight_of_a_training_set_is_one(first, second):
    weights = part_weights.weights_of(parts(first, second))
    if weights is not None:
        mean = (weights.weights * torch.tensor([4, 12])).sum() / 16
        assert mean.item() == pytest.approx(1, rel=1e-5)
        assert (weights.weights[0] / weights.weights[1]).item() == pytest.approx(first / second)


def test_part_without_weight_has_the_former_identity():
    assert "weight" not in as_json(TrainingPart("real", None, 4))


def test_images_have_the_weights_of_their_parts():
    weights = part_weights.weights_of(parts(3.0, 1.0))
    targets, of_images = weights.split(weights.labels(batch(), CLASSES), CLASSES)
    assert targets.tolist() == batch().class_ids.tolist()
    assert of_images.tolist() == pytest.approx([2, 2] + 4 * [2 / 3])


@given(st.floats(0, 1))
def test_mixed_images_have_the_weighted_mean_of_both_losses(share):
    weights = part_weights.weights_of(parts(3.0, 1.0))
    labels = F.one_hot(weights.labels(batch(), CLASSES), 2 * CLASSES).float()
    mixed = share * labels + (1 - share) * labels.roll(1, 0)
    targets, of_images = weights.split(mixed, CLASSES)
    logits = torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(0))
    result = part_weights.loss(logits, targets, of_images, 0.1)
    plain, each = weights.split(weights.labels(batch(), CLASSES), CLASSES)
    losses = [
        F.cross_entropy(logits, y, label_smoothing=0.1, reduction="none")
        for y in (plain, plain.roll(1))
    ]
    expected = share * each * losses[0] + (1 - share) * each.roll(1) * losses[1]
    assert result.item() == pytest.approx(expected.mean().item(), rel=1e-4)


def test_loss_without_weights_is_the_plain_one():
    logits, targets = torch.randn(6, CLASSES), batch().class_ids
    plain = F.cross_entropy(logits, targets, label_smoothing=0.1)
    assert torch.equal(part_weights.loss(logits, targets, None, 0.1), plain)
