"""Measures in feature spaces: closed forms of Gaussians, definitions, and known copies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from synscale.evaluation import feature_measures, image_set_metrics
from synscale.evaluation.feature_measures import FeatureSets, compare
from synscale.study.models.scores import MEASURES

SEEDS = st.integers(0, 2**31 - 1)
few = settings(max_examples=10, deadline=None)
SHIFT = torch.tensor([1.0, -0.5, 0.0, 2.0])


def normal(seed, count=60, width=4):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def polynomial_mmd(width: int, q: float) -> float:
    """Squared MMD of N(0, I) and N(m, I), |m|^2 = q, with the kernel (x y / width + 1)^3."""
    a = q / width
    square = (width + 2 * q) / width**2 + a**2
    cube = (q**3 + 3 * q * (width + 2 * q) + 6 * q) / width**3
    mixed = 1 + 3 * (width + q) / width**2
    return (1 + 3 / width) + (1 + 3 * a + 3 * square + cube) - 2 * mixed


def gaussian_mmd(width: int, q: float, sigma: float) -> float:
    """Squared MMD of the same Gaussians with a Gaussian kernel of width sigma."""
    factor = (sigma**2 / (sigma**2 + 2)) ** (width / 2)
    return 2 * factor * (1 - np.exp(-q / (2 * (sigma**2 + 2))))


def test_kernel_distance_is_that_of_gaussians():
    images, real = normal(0, 2000) + SHIFT, normal(1, 2000)
    q = float(SHIFT.square().sum())
    distance = feature_measures.kernel_distance(images, real)
    assert distance == pytest.approx(polynomial_mmd(4, q), rel=0.1)
    kernel = {"kid_kernel": "rbf", "kid_kernel_rbf_sigma": 2.0}
    distance = feature_measures.kernel_distance(images, real, **kernel)
    assert distance == pytest.approx(gaussian_mmd(4, q, 2.0), rel=0.05)


def test_kernel_distance_of_one_distribution_is_about_zero():
    assert abs(feature_measures.kernel_distance(normal(0, 2000), normal(1, 2000))) < 0.01


@few
@given(SEEDS)
def test_cmmd_is_the_unbiased_distance_of_unit_vectors(seed):
    pair = normal(seed, 30) + SHIFT, normal(seed + 1, 30)
    x, y = (normalize(features.double(), dim=1) for features in pair)

    def kernel(a, b):
        return torch.exp(-torch.cdist(a, b).square() / 200)

    within = sum((kernel(z, z).sum() - 30) / (30 * 29) for z in (x, y))
    expected = 1000 * float(within - 2 * kernel(x, y).mean())
    assert feature_measures.cmmd(*pair) == pytest.approx(expected, abs=1e-6)
    assert feature_measures.cmmd(7 * pair[0], pair[1]) == pytest.approx(expected, abs=1e-6)


@few
@given(SEEDS, st.integers(6, 30), st.integers(6, 30), st.integers(1, 31))
def test_density_and_coverage_follow_their_definition(seed, count, others, rows):
    images, real = normal(seed, count), 1.3 * normal(seed + 1, others)
    distances = np.linalg.norm(real.double()[:, None] - real.double()[None], axis=2)
    radii = np.sort(distances, axis=1)[:, 5]
    is_inside = np.linalg.norm(images.double()[:, None] - real.double()[None], axis=2) <= radii
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_set_metrics, "ROWS", rows)
        patch.setattr(feature_measures, "ROWS", rows)
        density, coverage = feature_measures.density_and_coverage(images, real)
    assert density == pytest.approx(is_inside.sum() / (5 * count))
    assert coverage == pytest.approx(is_inside.any(0).mean())


def test_density_and_coverage_have_the_values_of_theory():
    """The expectations of Naeem et al.: 1, and 1 - product of (N - i) / (2 N - i), i = 1 to k."""
    rows = [
        feature_measures.density_and_coverage(normal(seed, 200), normal(seed + 100, 200))
        for seed in range(30)
    ]
    density, coverage = np.mean(rows, axis=0)
    places = np.arange(1, 6)
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - np.prod((200 - places) / (400 - places)), abs=0.01)


def test_missing_mode_lowers_coverage_far_images_density():
    real = torch.cat([normal(0), normal(1) + 100])
    values = compare(FeatureSets(real[:60], real), ["density", "coverage"])
    assert values["coverage"] == 0.5
    far = torch.cat([real, normal(2, 120) - 100])
    assert compare(FeatureSets(far, real), ["density"])["density"] == pytest.approx(
        compare(FeatureSets(real, real), ["density"])["density"] / 2
    )


def test_equal_sets_are_equal_in_every_measure():
    real = normal(0)
    values = compare(FeatureSets(real, real), ["frechet_distance", "precision", "recall"])
    expected = {"frechet_distance": pytest.approx(0, abs=1e-6), "precision": 1, "recall": 1}
    assert values == expected


# -- memorisation ----------------------------------------------------------------------------------
def test_copies_of_training_images_are_memorised():
    training, real = normal(0, 200), normal(1, 200)
    copies = torch.cat([training[:50], normal(2, 150) + 100])
    assert compare(FeatureSets(copies, real, training), ["memorisation"]) == {
        "memorisation": 0.25,
        "memorisation_low": pytest.approx(0.19, abs=0.02),
        "memorisation_high": pytest.approx(0.31, abs=0.02),
    }


@pytest.mark.parametrize("deviation", [1.0, 0.5, 2.0])
def test_memorisation_is_the_share_below_the_quantile(deviation):
    """The only training image is at the origin: distances are Rayleigh distributed in a plane."""
    held_out, images = normal(0, 20000, 2), deviation * normal(1, 20000, 2)
    share, low, high = feature_measures.memorisation(
        FeatureSets(images, held_out, torch.zeros(1, 2))
    )
    expected = 1 - 0.95 ** (1 / deviation**2)
    assert share == pytest.approx(expected, rel=0.1)
    assert low < expected < high


def test_memorisation_intervals_cover():
    training = torch.zeros(1, 2)
    ends = []
    for seed in range(40):
        sets = FeatureSets(normal(seed, 200, 2), normal(seed + 1000, 200, 2), training)
        ends.append(feature_measures.memorisation(sets)[1:])
    covered = np.mean([low <= feature_measures.QUANTILE <= high for low, high in ends])
    assert 0.88 <= covered <= 1


def test_memorisation_is_unknown_without_training_images():
    values = compare(FeatureSets(normal(0), normal(1)), ["memorisation"])
    assert values == dict.fromkeys(("memorisation", "memorisation_low", "memorisation_high"), None)


# -- all of them -----------------------------------------------------------------------------------
@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_can_be_computed_by_itself(measure):
    sets = FeatureSets(normal(0) + 0.2, normal(1), normal(2))
    every_measure = compare(sets, list(MEASURES))
    values = compare(sets, [measure])
    assert [name for name in values if not name.endswith(("_low", "_high"))] == [measure]
    assert values.items() <= every_measure.items()


@pytest.mark.parametrize(
    ("measure", "count", "neighbours"), [("recall", 3, 3), ("density", 5, 5), ("cmmd", 1, 1)]
)
def test_too_few_images_are_reported(measure, count, neighbours):
    expected = rf"{measure}: too few images \({count} of the {{}}, expected more than {neighbours}"
    with pytest.raises(ValueError, match=expected.format("evaluation set")):
        compare(FeatureSets(normal(0), normal(1, count)), [measure])
    with pytest.raises(ValueError, match=expected.format("source")):
        compare(FeatureSets(normal(0, count), normal(1)), [measure])
    compare(FeatureSets(normal(0, count + 1), normal(1, count + 1)), [measure])
