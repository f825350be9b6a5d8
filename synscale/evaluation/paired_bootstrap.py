"""Differences of measures between two sets of images that differ in one thing, such as precision.

The images are paired, so that the random choice of texts and seeds cancels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from synscale.evaluation import image_set_metrics
from synscale.evaluation.reference import ReferenceOutputs
from synscale.evaluation.scores import class_scores

RESAMPLES = 200


@dataclass(frozen=True)
class Difference:
    """A measure in both precisions, and the lower one minus float32 with its 95 % interval."""

    float32: float
    low_precision: float
    difference: float
    interval_low: float
    interval_high: float


def paired_bootstrap(
    measure: Callable[[ReferenceOutputs, np.ndarray], float],
    exact: ReferenceOutputs,
    fast: ReferenceOutputs,
    resamples: int = RESAMPLES,
) -> Difference:
    """Compare a measure of the same images in two precisions.

    Parameters
    ----------
    measure : callable
        Value of a set of images, given by their positions, shape (N,), int64.
    exact : ReferenceOutputs
        Images in float32.
    fast : ReferenceOutputs
        The same images, in the same order, in a lower precision.
    resamples : int
        Bootstrap samples of the images.

    Returns
    -------
    Difference
        With the 2.5th and 97.5th percentile of the differences.
    """
    count = len(exact.class_ids)
    random = np.random.default_rng(0)
    everything = np.arange(count)
    samples = (random.integers(0, count, count) for _ in range(resamples))
    differences = [measure(fast, images) - measure(exact, images) for images in samples]
    values = measure(exact, everything), measure(fast, everything)
    interval: list[float] = np.percentile(differences, [2.5, 97.5]).tolist()
    return Difference(*values, values[1] - values[0], *interval)


def recognizability(images: ReferenceOutputs, positions: np.ndarray) -> float:
    """Return the F1 of the reference, mean over classes (`scores.class_scores`).

    Parameters
    ----------
    images : ReferenceOutputs
    positions : ndarray, shape (N,), int64
        Images that count, with repetitions.

    Returns
    -------
    float
    """
    features = images.features.numpy()[positions]
    scores = class_scores(images.predicted[positions], features, images.class_ids[positions])
    return scores["recognizability"]


def frechet_distance(real: dict, images: ReferenceOutputs, positions: np.ndarray) -> float:
    """Return the FID of images on features of the reference.

    Parameters
    ----------
    real : dict
        Mean and covariance of real images (`image_set_metrics.gaussian_statistics`).
    images : ReferenceOutputs
    positions : ndarray, shape (N,), int64
        Images that count, with repetitions.

    Returns
    -------
    float
    """
    features = images.features[torch.from_numpy(positions)]
    statistics = image_set_metrics.gaussian_statistics(features)
    return image_set_metrics.frechet_distance(statistics, real)
