"""Differences of measures between two sets of images that differ in one thing, such as precision.

The images are paired, so that the draw of texts and seeds cancels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

from scripts import score
from synscale.evaluation import image_set_metrics
from synscale.evaluation.reference import Judged

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
    measure: Callable[[Judged, np.ndarray], float],
    exact: Judged,
    fast: Judged,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare a measure of the same images in two precisions.

    Parameters
    ----------
    measure : callable
        Value of a set of images, given by their positions, shape (N,), int64.
    exact : Judged
        Images in float32.
    fast : Judged
        The same images, in the same order, in a lower precision.
    resamples : int
        Bootstrap samples of the images.
    seed : int

    Returns
    -------
    Difference
        With the 2.5th and 97.5th percentile of the differences.
    """
    count = len(exact.class_ids)
    random, everything = np.random.default_rng(seed), np.arange(count)
    samples = (random.integers(0, count, count) for _ in range(resamples))
    differences = [measure(fast, images) - measure(exact, images) for images in samples]
    values = measure(exact, everything), measure(fast, everything)
    low, high = np.percentile(differences, [2.5, 97.5])
    return Difference(*values, values[1] - values[0], float(low), float(high))


def recognizability(images: Judged, positions: np.ndarray) -> float:
    """Return the F1 of the reference, mean over classes (`scripts.score`).

    Parameters
    ----------
    images : Judged
    positions : ndarray, shape (N,), int64
        Images that count, with repetitions.

    Returns
    -------
    float
    """
    features = images.features.numpy()[positions]
    found = score.scores(images.predicted[positions], features, images.class_ids[positions])
    return found["recognizability"]


def frechet_distance(real: dict, images: Judged, positions: np.ndarray) -> float:
    """Return the FID of images on features of the reference.

    Parameters
    ----------
    real : dict
        Mean and covariance of real images (`fidelity.gaussian`).
    images : Judged
    positions : ndarray, shape (N,), int64
        Images that count, with repetitions.

    Returns
    -------
    float
    """
    chosen = image_set_metrics.gaussian(images.features[torch.from_numpy(positions)])
    return fid_statistics_to_metric(chosen, real, verbose=False)[KEY_METRIC_FID]
