"""Photographs that installed packages bring."""

from pathlib import Path

import matplotlib
import numpy as np
import sklearn
from PIL import Image

FILES = (
    Path(sklearn.__file__).parent / "datasets/images/china.jpg",
    Path(sklearn.__file__).parent / "datasets/images/flower.jpg",
    Path(matplotlib.__file__).parent / "mpl-data/sample_data/grace_hopper.jpg",
)


def squares(size: int = 256) -> list[np.ndarray]:
    """Return the centre of each photograph, its shorter side resized to `size` pixels.

    Parameters
    ----------
    size : int
        Pixels a side.

    Returns
    -------
    list of ndarray, shape (size, size, 3), uint8
    """
    found = []
    for path in FILES:
        image = Image.open(path).convert("RGB")
        scale = size / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        found.append(np.asarray(image.crop((left, top, left + size, top + size))))
    return found
