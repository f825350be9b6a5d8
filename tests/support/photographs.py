"""Photographs that installed packages bring."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

# The packages are not imported, which takes a second.
SKLEARN, MATPLOTLIB = (Path(find_spec(name).origin).parent for name in ("sklearn", "matplotlib"))
FILES = (
    SKLEARN / "datasets/images/china.jpg",
    SKLEARN / "datasets/images/flower.jpg",
    MATPLOTLIB / "mpl-data/sample_data/grace_hopper.jpg",
)
CLASSES = ("cat", "green_bird")  # names of the folders of `write_photographs`


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
    centres = []
    for path in FILES:
        image = Image.open(path).convert("RGB")
        scale = size / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        centres.append(np.asarray(image.crop((left, top, left + size, top + size))))
    return centres


def write_photographs(
    folder: Path, per_class: int, size: int = 24, mode: str = "RGB", first: int = 0
) -> Path:
    """Write a folder for each class with different crops of photographs."""
    photographs = squares(96)
    for class_id, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for i in range(first, first + per_class):
            x, y = 7 * i % (97 - size), 11 * i % (97 - size)
            crop = photographs[class_id][y : y + size, x : x + size]
            Image.fromarray(crop).convert(mode).save(folder / name / f"{i}.png")
    return folder
