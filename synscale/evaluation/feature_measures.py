"""Compare sets of images in any features: kernel distances, density, coverage, memorisation.

Frechet and kernel distances are those of torch-fidelity. No library of our pins has density,
coverage and memorisation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import normalize
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from synscale.evaluation import image_set_metrics
from synscale.evaluation.image_set_metrics import (
    ROWS,
    frechet_distance,
    gaussian_statistics,
    nearest_distances,
    neighbour_distances,
)
from synscale.study.models.scores import NEIGHBOURS

SUBSET = 1000  # images of a subset, as in torch-fidelity
SUBSETS = 10  # or more, so that about every image of the source is in one
CMMD_SCALE = 1000
QUANTILE = 0.05  # its distance of held-out images is the threshold
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class FeatureSets:
    """Features of the images that are compared, on one device.

    Parameters
    ----------
    images : Tensor, shape (N, width)
        Of a generator.
    real : Tensor, shape (M, width)
        Of held-out real images.
    training : Tensor, shape (T, width), or None
        Of the training images of the generator, if they are known.
    """

    images: torch.Tensor
    real: torch.Tensor
    training: torch.Tensor | None = None


def kernel_distance(images: torch.Tensor, real: torch.Tensor, **kernel) -> float:
    """Return the unbiased squared MMD, mean over random subsets (KID of Binkowski et al. 2018).

    There are at least 10 subsets of at most 1000 images.

    Parameters
    ----------
    images : Tensor, shape (N, width)
    real : Tensor, shape (M, width)
    kernel : object
        Options of torch-fidelity; by default a polynomial of degree 3.
    """
    pair = (images.double(), real.double())
    size = min(SUBSET, len(images), len(real))
    subsets = {"kid_subset_size": size, "kid_subsets": max(SUBSETS, len(images) // size)}
    return kid_features_to_metric(*pair, **subsets, verbose=False, **kernel)[KEY_METRIC_KID_MEAN]


def cmmd(images: torch.Tensor, real: torch.Tensor) -> float:
    """Return CMMD (Jayasumana et al. 2024, arXiv 2401.09603) of features of CLIP.

    It is 1000 times the squared MMD of unit vectors, Gaussian kernel of width 10. The estimator is
    the unbiased one, as in the paper; the authors' code has the biased one.

    Parameters
    ----------
    images : Tensor, shape (N, width)
    real : Tensor, shape (M, width)
    """
    units = [normalize(features.double(), dim=1) for features in (images, real)]
    return CMMD_SCALE * kernel_distance(*units, kid_kernel="rbf", kid_kernel_rbf_sigma=10)


def precision_and_recall(images: torch.Tensor, real: torch.Tensor) -> tuple[float, float]:
    """Return precision and recall of Kynkaanniemi et al. (2019), with their 3 neighbours.

    Parameters
    ----------
    images : Tensor, shape (N, width)
    real : Tensor, shape (M, width)
    """
    radii = neighbour_distances(images), neighbour_distances(real)
    return image_set_metrics.precision_and_recall(images, real, *radii)


def density_and_coverage(images: torch.Tensor, real: torch.Tensor) -> tuple[float, float]:
    """Return density and coverage of Naeem et al. (2020, arXiv 2002.09797).

    A real image has a ball that reaches to its 5th nearest real one. Density: balls around an image
    of the generator, mean over images, divided by 5; about 1 for images of the same distribution.
    Coverage: share of the balls with an image.

    Parameters
    ----------
    images : Tensor, shape (N, width)
    real : Tensor, shape (M, width)
    """
    neighbours = NEIGHBOURS["density"]
    radii = neighbour_distances(real, neighbours)
    inside = 0
    for part, radius in zip(real.split(ROWS), radii.split(ROWS), strict=True):
        for other_part in images.split(ROWS):
            distances = torch.cdist(part.double(), other_part.double())
            inside += int((distances <= radius[:, None]).sum())
    is_covered = nearest_distances(real, images) <= radii
    return inside / (neighbours * len(images)), is_covered.double().mean().item()


def memorisation(sets: FeatureSets, seed: int = 0) -> tuple[float, float, float]:
    """Return the share of images that are suspiciously near a training image, and its interval.

    An image counts if its distance to the nearest training image of the generator is below the 5 %
    quantile of the same distance of held-out real images. A generator that draws from the
    distribution of the training images has 0.05, one that copies them 1. Carlini et al. (2023,
    arXiv 2301.13188) search copies by the distance to the nearest training image; Meehan et al.
    (2020, arXiv 2004.05675) compare this distance with that of held-out images, by a rank test. The
    share below a quantile is our choice.

    Interval: 95 %, percentiles of a bootstrap over the images of the generator and the held-out
    ones. The training images are fixed.

    Parameters
    ----------
    sets : FeatureSets
        With training images.
    seed : int

    Returns
    -------
    tuple of float
        Share, and the ends of its interval.
    """
    assert sets.training is not None  # as the caller checks
    images, held_out = (
        nearest_distances(features, sets.training).cpu().numpy()
        for features in (sets.images, sets.real)
    )
    share = float(np.mean(images < np.quantile(held_out, QUANTILE)))
    random = np.random.default_rng(seed)
    resampled = [
        np.mean(random.choice(images, len(images)) < np.quantile(draw, QUANTILE))
        for draw in (random.choice(held_out, len(held_out)) for _ in range(RESAMPLES))
    ]
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return share, float(low), float(high)


def check_count(features: torch.Tensor, measures: list[str], what: str) -> None:
    """Raise ValueError if a set has too few images for the neighbours of some measures.

    Parameters
    ----------
    features : Tensor, shape (N, width)
    measures : list of str
    what : str
        Name of the set, for the message.
    """
    for name in measures:
        if len(features) <= NEIGHBOURS.get(name, 1):
            raise ValueError(
                f"{name}: too few images ({len(features)} of {what}, expected more than "
                f"{NEIGHBOURS.get(name, 1)}); use more or remove the measure"
            )


def compare(sets: FeatureSets, measures: list[str]) -> dict[str, float | None]:
    """Return the measures of a set of images.

    Parameters
    ----------
    sets : FeatureSets
    measures : list of str
        Names of `scores.measures`.

    Returns
    -------
    dict
        Measure -> value. Memorisation has the ends of its interval as `memorisation_low` and
        `memorisation_high`; it is None if the training images are unknown.

    Raises
    ------
    ValueError
        If there are too few images.
    """
    check_count(sets.images, measures, "the source")
    check_count(sets.real, measures, "the evaluation set")
    pair = (sets.images, sets.real)
    values: dict[str, float | None] = {}
    if "frechet_distance" in measures:
        values["frechet_distance"] = frechet_distance(*map(gaussian_statistics, map(_host, pair)))
    if "kernel_distance" in measures:
        values["kernel_distance"] = kernel_distance(*pair)
    if "cmmd" in measures:
        values["cmmd"] = cmmd(*pair)
    if {"precision", "recall"} & set(measures):
        values["precision"], values["recall"] = precision_and_recall(*pair)
    if {"density", "coverage"} & set(measures):
        values["density"], values["coverage"] = density_and_coverage(*pair)
    if "memorisation" in measures:
        names = ("memorisation", "memorisation_low", "memorisation_high")
        known = memorisation(sets) if sets.training is not None else (None,) * 3
        values |= zip(names, known, strict=True)
    paired = {"precision", "recall", "density", "coverage"} - set(measures)
    return {name: value for name, value in values.items() if name not in paired}


def _host(features: torch.Tensor) -> torch.Tensor:
    return features.cpu()
