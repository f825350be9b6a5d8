"""Single images: what is stored of one, and whether it shows anything."""

import numpy as np
from PIL import Image


class BlankImage(RuntimeError):
    """An image that shows nothing, however often it is drawn."""


def as_stored(pixels: np.ndarray, size: int, channels: int) -> np.ndarray:
    """uint8 pixels (H, W) or (H, W, 3) as `size` x `size` with 1 or 3 channels, of the same layouts.

    By Pillow's bicubic filter: it is what `resize` does where no filter is named, as in the script that the paper's authors released, and
    it smooths before it leaves pixels out.
    """
    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def is_blank(pixels: np.ndarray) -> bool:
    """Whether an image (H, W) or (H, W, 3) is of a single colour."""
    return bool((pixels == pixels[:1, :1]).all())
