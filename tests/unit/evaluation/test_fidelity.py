"""FID, precision, recall and the distance between images: the laws that each must keep."""

import synscale.runtime.torch_setup  # noqa: F401

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import (
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)
from torch_fidelity.metric_prc import (
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    prc_features_to_metric,
)

from synscale.evaluation import image_set_metrics
from synscale.models import classifier
from synscale.study.models.classifiers import Architecture

SEEDS = st.integers(0, 2**31 - 1)
few = settings(
    max_examples=20, deadline=None
)  # torch beside other work on a few cores now and then takes its time
ARCHITECTURE = {"patch_size": 4, "width": 8, "depth": 2, "heads": 2, "pool": "avg", "label": ""}


def compared(images, real):
    return image_set_metrics.Real(real).compared(images)


def normal(seed, count=60, width=4):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def network(pool="avg"):
    torch.manual_seed(0)
    return classifier.build(
        Architecture(**ARCHITECTURE | {"pool": pool}),
        image_size=8,
        channels=1,
        classes=3,
        position_std=0.2,
    ).eval()


@torch.inference_mode()
def distance(images, pool="avg", batch_size=4):
    spread, model = image_set_metrics.Spread(), network(pool)
    for part in images.split(batch_size):
        spread.add(model.forward_intermediates(part, intermediates_only=True))
    return spread.distance()


@few
@given(SEEDS)
def test_a_set_is_at_no_distance_from_itself(seed):
    images = normal(seed)
    found = compared(
        images, images[torch.randperm(60, generator=torch.Generator().manual_seed(seed))]
    )
    assert found == {"fid": pytest.approx(0, abs=1e-6), "precision": 1, "recall": 1}


@few
@given(SEEDS, st.lists(st.floats(-10, 10), min_size=4, max_size=4))
def test_the_fid_of_a_shift_is_its_squared_length(seed, shift):
    images = normal(seed)
    assert compared(images.double() + torch.tensor(shift, dtype=torch.float64), images)[
        "fid"
    ] == pytest.approx(np.square(shift).sum(), abs=1e-6)


@few
@given(SEEDS, st.floats(0.1, 10))
def test_the_fid_of_a_scaled_set_is_that_of_two_gaussians(seed, factor):
    images = normal(seed).double()
    images -= images.mean(0)
    expected = (factor - 1) ** 2 * images.var(
        0
    ).sum().item()  # |(f - 1) S^(1/2)|^2 of two centred Gaussians
    assert compared(factor * images, images)["fid"] == pytest.approx(expected, abs=1e-6)


@few
@given(SEEDS)
def test_fid_is_symmetric_and_precision_is_recall_the_other_way_round(seed):
    a, b = normal(seed), 1.5 * normal(seed + 1, 80) + 0.5
    there, back = compared(a, b), compared(b, a)
    assert there["fid"] == pytest.approx(back["fid"], abs=1e-6)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


@few
@given(SEEDS)
def test_a_dropped_mode_costs_recall_and_not_precision(seed):
    real = torch.cat([normal(seed), normal(seed + 1) + 100])
    found = compared(real[:60], real)
    assert (found["precision"], found["recall"]) == (1, 0.5)


@few
@given(SEEDS)
def test_far_images_cost_precision_and_not_recall(seed):
    real = normal(seed)
    found = compared(torch.cat([real, normal(seed + 1, 20) + 100]), real)
    assert (found["precision"], found["recall"]) == (0.75, 1)


@few
@given(SEEDS, st.integers(4, 30), st.integers(4, 30), st.integers(1, 31))
def test_a_few_rows_at_a_time_give_what_torch_fidelity_computes_of_all(seed, count, others, rows):
    a, b = normal(seed, count).double(), normal(seed + 1, others).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_set_metrics, "ROWS", rows)
        found = compared(a, b)
    fid = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), verbose=False
    )
    balls = prc_features_to_metric(
        a,
        b,
        prc_neighborhood=image_set_metrics.NEIGHBOURS,
        prc_batch_size=100,
        save_cpu_ram=False,
        verbose=False,
    )
    assert found["fid"] == pytest.approx(fid[KEY_METRIC_FID], abs=1e-6)
    assert (found["precision"], found["recall"]) == (
        balls[KEY_METRIC_PRECISION],
        balls[KEY_METRIC_RECALL],
    )


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="more than 3 images in a set, not 3"):
        compared(normal(0, 3), normal(1))
    with pytest.raises(ValueError, match="more than 3 real images in a set, not 2"):
        compared(normal(1), normal(0, 2))
    with pytest.raises(ValueError, match="two of a class"):
        distance(torch.zeros(1, 1, 8, 8))


@few
@given(SEEDS)
def test_copies_are_at_no_distance_and_others_are(seed):
    image, other = normal(seed, 2, 64).reshape(2, 1, 1, 8, 8)
    assert distance(image.expand(5, -1, -1, -1)) == pytest.approx(0, abs=1e-10)
    apart = distance(torch.cat([image, other]))
    assert 0 < apart < 4
    assert distance(torch.cat([other, image])) == pytest.approx(apart)


@pytest.mark.parametrize(("pool", "batch_size"), [("avg", 2), ("token", 5)])
def test_the_distance_is_the_mean_over_all_pairs_of_the_squared_difference_of_unit_features(
    pool, batch_size
):
    images = normal(0, 5, 64).reshape(5, 1, 8, 8)
    model = network(pool)
    x = model._pos_embed(model.patch_embed(images))
    layers = []
    with torch.inference_mode():
        for block in model.blocks:
            x = block(x)
            layers.append(
                x[:, model.num_prefix_tokens :]
                / x[:, model.num_prefix_tokens :].norm(dim=-1, keepdim=True)
            )
    pairs = [
        np.mean([((layer[i] - layer[j]) ** 2).sum(-1).mean().item() for layer in layers]) for i in range(5) for j in range(i)
    ]  # fmt: skip
    assert distance(images, pool, batch_size) == pytest.approx(np.mean(pairs), rel=1e-5)
