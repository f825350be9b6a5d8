"""FID, precision, recall and the distance between images: laws, and torch-fidelity."""

from itertools import combinations

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
# Without a deadline: on a few busy cores torch sometimes takes long.
few = settings(max_examples=20, deadline=None)
ARCHITECTURE = {"patch_size": 4, "width": 8, "depth": 2, "heads": 2, "label": ""}


def compare(images, real):
    return image_set_metrics.RealImages(real).compare(images)


def normal(seed, count=60, width=4):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def network(pool="avg"):
    torch.manual_seed(0)
    return classifier.build(
        Architecture(pool=pool, **ARCHITECTURE),
        image_size=8,
        channels=1,
        classes=3,
        position_std=0.2,
    ).eval()


@torch.inference_mode()
def mean_distance(images, pool="avg", batch_size=4):
    distance = image_set_metrics.PairwiseDistance()
    model = network(pool)
    for part in images.split(batch_size):
        distance.add(model.forward_intermediates(part, intermediates_only=True))
    return distance.mean()


@few
@given(SEEDS)
def test_fid_of_a_set_to_itself_is_zero(seed):
    images = normal(seed)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    assert compare(images, images[order]) == {
        "fid": pytest.approx(0, abs=1e-6),
        "precision": 1,
        "recall": 1,
    }


@few
@given(SEEDS, st.lists(st.floats(-10, 10), min_size=4, max_size=4))
def test_fid_of_a_shift_is_its_squared_length(seed, shift):
    images = normal(seed)
    shifted = images.double() + torch.tensor(shift, dtype=torch.float64)
    fid = compare(shifted, images)["fid"]
    assert fid == pytest.approx(np.square(shift).sum(), abs=1e-6)


@few
@given(SEEDS, st.floats(0.1, 10))
def test_fid_of_a_scaled_set_is_that_of_gaussians(seed, factor):
    images = normal(seed).double()
    images -= images.mean(0)
    # |(f - 1) S^(1/2)|^2 of two centred Gaussians
    expected = (factor - 1) ** 2 * images.var(0).sum().item()
    assert compare(factor * images, images)["fid"] == pytest.approx(expected, abs=1e-6)


@few
@given(SEEDS)
def test_swapped_sets_swap_precision_and_recall(seed):
    a = normal(seed)
    b = 1.5 * normal(seed + 1, 80) + 0.5
    there = compare(a, b)
    back = compare(b, a)
    assert there["fid"] == pytest.approx(back["fid"], abs=1e-6)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


@few
@given(SEEDS)
def test_missing_mode_lowers_recall_only(seed):
    real = torch.cat([normal(seed), normal(seed + 1) + 100])
    metrics = compare(real[:60], real)
    assert (metrics["precision"], metrics["recall"]) == (1, 0.5)


@few
@given(SEEDS)
def test_far_images_lower_precision_only(seed):
    real = normal(seed)
    metrics = compare(torch.cat([real, normal(seed + 1, 20) + 100]), real)
    assert (metrics["precision"], metrics["recall"]) == (0.75, 1)


@few
@given(SEEDS, st.integers(4, 30), st.integers(4, 30), st.integers(1, 31))
def test_parts_of_any_size_agree_with_torch_fidelity(seed, count, others, rows):
    a = normal(seed, count).double()
    b = normal(seed + 1, others).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_set_metrics, "ROWS", rows)
        metrics = compare(a, b)
    statistics = [fid_features_to_statistics(features) for features in (a, b)]
    fid = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
    options = {"prc_batch_size": 100, "save_cpu_ram": False, "verbose": False}
    balls = prc_features_to_metric(a, b, prc_neighborhood=image_set_metrics.NEIGHBOURS, **options)
    assert metrics["fid"] == pytest.approx(fid, abs=1e-6)
    assert metrics["precision"] == balls[KEY_METRIC_PRECISION]
    assert metrics["recall"] == balls[KEY_METRIC_RECALL]


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="more than 3 images in a set, not 3"):
        compare(normal(0, 3), normal(1))
    with pytest.raises(ValueError, match="more than 3 real images in a set, not 2"):
        compare(normal(1), normal(0, 2))
    with pytest.raises(ValueError, match="1 images of a class"):
        mean_distance(torch.zeros(1, 1, 8, 8))


@few
@given(SEEDS)
def test_copies_have_no_distance_and_others_have(seed):
    image, other = normal(seed, 2, 64).reshape(2, 1, 1, 8, 8)
    assert mean_distance(image.expand(5, -1, -1, -1)) == pytest.approx(0, abs=1e-10)
    apart = mean_distance(torch.cat([image, other]))
    assert 0 < apart < 4
    assert mean_distance(torch.cat([other, image])) == pytest.approx(apart)


@pytest.mark.parametrize(("pool", "batch_size"), [("avg", 2), ("token", 5)])
def test_distance_is_the_mean_over_all_pairs(pool, batch_size):
    images = normal(0, 5, 64).reshape(5, 1, 8, 8)
    model = network(pool)
    x = model._pos_embed(model.patch_embed(images))
    distances = []
    with torch.inference_mode():
        for block in model.blocks:
            x = block(x)
            tokens = x[:, model.num_prefix_tokens :]
            units = tokens / tokens.norm(dim=-1, keepdim=True)
            for i, j in combinations(range(5), 2):
                distances.append(((units[i] - units[j]) ** 2).sum(-1).mean().item())
    distance = mean_distance(images, pool, batch_size)
    assert distance == pytest.approx(np.mean(distances), rel=1e-5)
