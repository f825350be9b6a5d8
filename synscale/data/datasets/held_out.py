"""Images of a data set that are held out of training, a fraction of every class.

Which ones follows from their names and a seed: an image has a rank among those of its class by a
hash, and the first ones are held out. The order of the files does not matter.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from synscale.workflow.settings.data import HeldOutImages

if TYPE_CHECKING:
    import numpy as np


def number(images: int, fraction: float) -> int:
    """Return how many images of a class are held out: at least one, and one is left.

    Parameters
    ----------
    images : int
        Images of the class.
    fraction : float
        Between 0 and 1.
    """
    return min(max(1, round(fraction * images)), images - 1)


def held_out_images(classes: Counter, fraction: float) -> int:
    """Return how many images of all classes are held out.

    Parameters
    ----------
    classes : Counter
        Number of images of each class.
    fraction : float
    """
    return sum(number(images, fraction) for images in classes.values() if images)


def mask(class_ids: Sequence[int], origins: Iterable[str], held_out: HeldOutImages) -> "np.ndarray":
    """Return which images are held out.

    Parameters
    ----------
    class_ids : sequence of int, shape (N,)
    origins : iterable of str, length N
        Name of each image in the data set.
    held_out : HeldOutImages

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    import numpy as np

    labels = np.asarray(class_ids)
    ranks = [hashlib.sha256(f"{held_out.seed}:{name}".encode()).hexdigest() for name in origins]
    order = np.lexsort((ranks, labels))
    selected: np.ndarray = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        selected[members[: number(len(members), held_out.fraction)]] = True
    return selected
