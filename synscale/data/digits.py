"""The handwritten digits of scikit-learn: the form of each image, and captions.

Captions are composed of what is measured on the pixels.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from synscale.data.captions import describe, spread

FORMS = 14
# Every form asks for the same 130 digits: 0..9 three times over, then a fixed sequence. Some images
# are missing, so a form has 122 to 130. A form begins where three runs, each perhaps with gaps, are
# followed by the first digits of the fixed sequence. The data set's notes count 13 writers in this
# part; the array holds 14 forms. Two of them may be by one hand, which nothing in the data shows.
_FORM_START = re.compile(r"0?123456789(?:0?1?2?3?4?5?6?7?8?9?){2}(?=0955650)")


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the images and class labels of scikit-learn's `load_digits`.

    Its file is read without the package, whose import takes a third of a job.

    Returns
    -------
    images : ndarray, shape (N, 8, 8)
        Grey levels 0 to 16.
    labels : ndarray, shape (N,)
    """
    spec = find_spec("sklearn")
    assert spec is not None and spec.origin is not None
    table = np.loadtxt(Path(spec.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(int)


def forms(labels: np.ndarray) -> np.ndarray:
    """Return the form of each image, recovered from the order of the class labels.

    Parameters
    ----------
    labels : ndarray, shape (N,), int
        Class of each image of scikit-learn's digits, in their order.

    Returns
    -------
    ndarray, shape (N,), int
        Form of each image, 0 to 13.

    Raises
    ------
    ValueError
        If the labels are not in the order of the forms.
    """
    text = "".join(map(str, labels))
    starts = [match.start() for match in _FORM_START.finditer(text)]
    if len(starts) != FORMS or starts[0] != 0:
        detail = f"{len(starts)} forms, expected {FORMS} from the first label on"
        raise ValueError(f"scikit-learn's digits are not in the order of the forms ({detail})")
    return np.asarray(np.searchsorted(starts, np.arange(len(text)), side="right")) - 1


def measure(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measure ink, slant and width of images.

    Parameters
    ----------
    images : ndarray, shape (N, 8, 8)
        Grey levels 0 to 16.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        `ink`: mean grey level. `slant`: covariance of the ink's x and height over the variance of
        its height, positive when leaning right. `width`: standard deviation of the ink's x over
        that of its y.
    """
    at = spread(images)
    width = np.sqrt(at["xx"] / at["yy"])
    return {"ink": images.mean((1, 2)), "slant": -at["xy"] / at["yy"], "width": width}


WORDS = {
    "ink": ("thin", "thick"),
    "slant": ("leaning left", "leaning right"),
    "width": ("narrow", "wide"),
}


def captions(images: np.ndarray, labels: np.ndarray) -> list[str]:
    """Return what is striking about each image among its class.

    Parameters
    ----------
    images : ndarray, shape (N, 8, 8)
        Grey levels 0 to 16.
    labels : ndarray, shape (N,)
    """
    return describe(measure(images), labels, WORDS)
