"""Select the best images of a source, window after window, class by class.

A window is a number of consecutive images. It keeps the same fraction of each class, because a
score favours easy classes: over all classes together, a selection would change their frequencies
and mix that effect with the quality of the images. The rows of a window are ordered round by round,
one image of each class, so that every prefix is balanced as that of the source is. No row depends
on images of later windows.
"""

from collections.abc import Callable

import numpy as np

# Class id, rows of its images in a window, and how many to select -> selected rows.
Picker = Callable[[int, np.ndarray, int], np.ndarray]


def quotas(class_ids: np.ndarray, count: int) -> dict[int, int]:
    """Return how many images of each class a window keeps, in proportion to its images.

    Fractions are rounded by the method of largest remainders; of equal ones, the class that comes
    first in the window is rounded up.

    Parameters
    ----------
    class_ids : ndarray, shape (N,), int64
        Classes of the images of the window.
    count : int
        Images that the window keeps.
    """
    classes, first, sizes = np.unique(class_ids, return_index=True, return_counts=True)
    numbers, remainders = np.divmod(count * sizes, len(class_ids))
    numbers[np.lexsort((first, -remainders))[: count - numbers.sum()]] += 1
    return dict(zip(classes.tolist(), numbers.tolist(), strict=True))


def select(class_ids: np.ndarray, window: int, per_window: int, pick: Picker) -> np.ndarray:
    """Return the rows of the selected images.

    Parameters
    ----------
    class_ids : ndarray, shape (N,), int64
        Classes of the images, in the order of the source; N is a multiple of the window.
    window : int
        Consecutive images that are compared.
    per_window : int
        Images that each window keeps.
    pick : callable
        Selects among the images of one class in one window.

    Returns
    -------
    ndarray, shape (N / window * per_window,), int64
    """
    parts = []
    for start in range(0, len(class_ids), window):
        classes = class_ids[start : start + window]
        by_class = [
            np.sort(pick(class_id, start + np.flatnonzero(classes == class_id), number))
            for class_id, number in quotas(classes, per_window).items()
        ]
        rows = np.concatenate(by_class)
        rounds = np.concatenate([np.arange(len(part)) for part in by_class])
        parts.append(rows[np.lexsort((rows, rounds))])
    return np.concatenate(parts)


def highest(scores: np.ndarray) -> Picker:
    """Return a picker of the highest scores; of equal ones, of the first image.

    Parameters
    ----------
    scores : ndarray, shape (N,)
    """

    def pick(class_id: int, rows: np.ndarray, number: int) -> np.ndarray:
        return rows[np.argsort(-scores[rows], kind="stable")[:number]]

    return pick


class Farthest:
    """Picker of the images that are farthest from those of their class that it picked before.

    Greedy k-centre: the farthest-first traversal of Gonzalez (1985, Theoretical Computer Science
    38), whose covering radius is at most twice the smallest possible one; core-sets of Sener and
    Savarese (ICLR 2018, arXiv 1708.00489) are built by it. It begins with the first image of a
    class, and continues over windows.

    Parameters
    ----------
    features : ndarray, shape (N, width)

    Attributes
    ----------
    scores : ndarray, shape (N,)
        Distance of each picked image to the nearest one that was picked before; NaN if there was
        none, or if it is not picked.
    """

    def __init__(self, features: np.ndarray):
        self.features = features
        self.scores = np.full(len(features), np.nan)
        self.picked: dict[int, list[int]] = {}

    def _distances(self, rows: np.ndarray, row: int) -> np.ndarray:
        return np.linalg.norm(self.features[rows] - self.features[row], axis=1)

    def __call__(self, class_id: int, rows: np.ndarray, number: int) -> np.ndarray:
        """Return the picked rows of one class in one window."""
        before = self.picked.setdefault(class_id, [])
        nearest = np.full(len(rows), np.inf)
        for row in before:
            nearest = np.minimum(nearest, self._distances(rows, row))
        for _ in range(number):
            place = int(nearest.argmax())
            row = int(rows[place])
            self.scores[row] = nearest[place] if np.isfinite(nearest[place]) else np.nan
            nearest = np.minimum(nearest, self._distances(rows, row))
            nearest[place] = -1  # it is not picked again if others are equal to it
            before.append(row)
        return np.array(before[len(before) - number :], np.int64)
