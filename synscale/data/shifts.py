"""Images that are shifted from the training data: changed, or selected because a model errs.

Outlines are modelled on ImageNet-Sketch, misread images on ImageNet-A (our choice, including how
they are computed). Images are uint8, shape (H, W) or (H, W, 3).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synscale.study.models.data import (
    BlurredImages,
    InvertedImages,
    OutlinedImages,
    ShiftedSet,
)

LINE = 1 / 64  # width of a line as a fraction of the side; at least one pixel


def outlines(pixels: np.ndarray) -> np.ndarray:
    """Return the edges of shapes without their filling.

    An edge is where a pixel is brighter than the darkest one within reach. Lines are as bright as
    the brightest pixel was: otherwise the set would test paleness, not shape. An image with a
    bright frame has dark lines on white, any other one bright lines on black.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8
    """
    frame = np.ones(pixels.shape[:2], bool)
    frame[1:-1, 1:-1] = False
    if pixels[frame].mean() > 255 / 2:
        return inverted(outlines(inverted(pixels)))
    side = 2 * max(1, round(LINE * len(pixels))) + 1
    darkest = ndimage.minimum_filter(pixels, (side, side, 1)[: pixels.ndim], mode="nearest")
    edges = (pixels - darkest).astype(float)
    return np.rint(edges * (pixels.max() / max(edges.max(), 1))).astype(np.uint8)


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Return an image after a Gaussian filter, of `sigma` pixels, which keeps its mean.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8
    sigma : float
        Standard deviation of the filter in pixels.
    """
    sigmas = (sigma, sigma, 0)[: pixels.ndim]
    return np.rint(ndimage.gaussian_filter(pixels.astype(float), sigmas)).astype(np.uint8)


def inverted(pixels: np.ndarray) -> np.ndarray:
    """Return the negative of an image.

    Parameters
    ----------
    pixels : ndarray, uint8
        Pixels, of any shape.
    """
    return 255 - pixels


def changed(pixels: np.ndarray, shift: ShiftedSet) -> np.ndarray:
    """Return an image as a shifted set has it.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8
    shift : ShiftedSet
        Kind of the set and its parameters.
    """
    match shift:
        case OutlinedImages():
            return outlines(pixels)
        case BlurredImages(sigma=sigma):
            return blurred(pixels, sigma)
        case InvertedImages():
            return inverted(pixels)
    raise TypeError(f"{shift}: unknown kind (expected a set that changes images)")


@dataclass(frozen=True)
class NearestMean:
    """Model that gives an image the class whose mean image is nearest.

    It is scikit-learn's NearestCentroid, which would need all training images in memory.

    Attributes
    ----------
    classes : ndarray, shape (K,)
    means : ndarray, shape (K, P)
        Mean image of each class, P values.
    """

    classes: np.ndarray
    means: np.ndarray

    @classmethod
    def of(cls, images: Iterable[tuple[int, np.ndarray]]) -> "NearestMean":
        """Return the model that is trained on pairs of class and image.

        Parameters
        ----------
        images : iterable of (int, ndarray)
            Class and pixels of each training image.
        """
        sums: dict[int, np.ndarray] = {}
        counts: Counter[int] = Counter()
        for class_id, image in images:
            sums[class_id] = sums.get(class_id, 0) + image.astype(float).ravel()
            counts[class_id] += 1
        classes = sorted(sums)
        means = np.stack([sums[class_id] / counts[class_id] for class_id in classes])
        return cls(np.array(classes), means)

    def misread(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the indices of images that the model classifies wrongly.

        Parameters
        ----------
        images : ndarray, shape (N, ...)
            P values each.
        labels : ndarray, shape (N,)
        """
        from sklearn.metrics import pairwise_distances_argmin

        values: np.ndarray = images.astype(float).reshape(len(images), -1)
        nearest = pairwise_distances_argmin(values, self.means)
        return np.flatnonzero(self.classes[nearest] != labels)
