"""Captions composed of what is measured on the pixels (our choice).

They take the place of a captioning model for images that are too small for one.
"""

from collections.abc import Mapping

import numpy as np

# Measure of `measure` -> words for its lowest and its highest quarter within a class.
WORDS = {
    "brightness": ("dark", "bright"),
    "width": ("narrow", "wide"),
    "texture": ("smooth", "textured"),
}
PLAIN = "plain"  # caption of an image that is not striking in any measure


def spread(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measure where the brightness of images is.

    Parameters
    ----------
    images : ndarray, shape (N, H, W)
        Grey levels. An image without any counts as evenly grey.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        `xx`, `yy` and `xy`: variance of the x and of the y of its pixels and their covariance,
        weighted by grey level, in square pixels.
    """
    total = images.sum((1, 2))
    weights = np.where(total[:, None, None] > 0, images, 1)
    total = weights.sum((1, 2))
    y, x = np.mgrid[0 : images.shape[1], 0 : images.shape[2]]
    mean = [(weights * axis).sum((1, 2)) / total for axis in (x, y)]
    dx, dy = x - mean[0][:, None, None], y - mean[1][:, None, None]
    pairs = {"xx": (dx, dx), "yy": (dy, dy), "xy": (dx, dy)}
    return {name: (weights * a * b).sum((1, 2)) / total for name, (a, b) in pairs.items()}


def measure(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measure brightness, width and texture of images.

    Parameters
    ----------
    images : ndarray, shape (N, H, W) or (N, H, W, 3), uint8

    Returns
    -------
    dict of str to ndarray, shape (N,)
        `brightness`: mean grey level. `width`: standard deviation of the x of the brightness over
        that of its y. `texture`: mean difference of neighbouring grey levels over the brightness.
    """
    grey = images.astype(float) if images.ndim == 3 else images.mean(3)
    places = spread(grey)
    brightness = grey.mean((1, 2))
    differences = [np.abs(np.diff(grey, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    return {
        "brightness": brightness,
        "width": np.sqrt(places["xx"] / np.maximum(places["yy"], 1e-9)),
        "texture": sum(differences) / np.maximum(brightness, 1e-9),
    }


def describe(
    measures: Mapping[str, np.ndarray],
    labels: np.ndarray,
    words: Mapping[str, tuple[str, str]] = WORDS,
) -> list[str]:
    """Return what is striking about each image among its class.

    Parameters
    ----------
    measures : mapping of str to ndarray, shape (N,)
    labels : ndarray, shape (N,)
    words : mapping of str to (str, str)
        Words for the outer quarters of a measure within a class.

    Returns
    -------
    list of str
        Words separated by commas; "plain" if no measure is in an outer quarter.
    """
    striking: list[list[str]] = [[] for _ in labels]
    for name, values in measures.items():
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            low, high = np.quantile(values[members], [0.25, 0.75])
            for i in members:
                if values[i] < low or values[i] > high:
                    striking[i].append(words[name][int(values[i] > high)])
    return [", ".join(texts) or PLAIN for texts in striking]
