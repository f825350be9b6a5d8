"""Single images: what is stored of one, how that is read, and whether it shows anything."""

import io

import numpy as np
import simplejpeg
from PIL import Image


class BlankImage(RuntimeError):
    """An image that shows nothing, however often it is drawn."""


def as_stored(pixels: np.ndarray, size: int, channels: int) -> np.ndarray:
    """uint8 pixels (H, W) or (H, W, 3) as `size` x `size` with 1 or 3 channels, of the same
    layouts.

    By Pillow's bicubic filter: it is what `resize` does where no filter is named, as in the script
    that the paper's authors released, and it smooths before it leaves pixels out.
    """
    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def decoded(data: bytes, into: np.ndarray | None = None) -> np.ndarray:
    """Pixels of an encoded image, uint8 (H, W) or (H, W, C), as Pillow decodes them.

    A JPEG, grey or of three channels, is decoded by simplejpeg: by the same libjpeg-turbo to the
    same pixels, in half of the time. into: pixels that are no longer needed, whose place these take
    if they fit there.
    """
    if data[:2] == b"\xff\xd8":
        try:
            height, width, space, _ = simplejpeg.decode_jpeg_header(data)
            if space == "Gray":
                return simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
            if space in ("YCbCr", "RGB"):
                fits = (
                    into is not None
                    and into.flags.c_contiguous
                    and into.nbytes >= 3 * height * width
                )
                return simplejpeg.decode_jpeg(data, buffer=into if fits else None)
        except ValueError:  # of a fault that Pillow looks past, or tells better
            pass
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def is_blank(pixels: np.ndarray) -> bool:
    """Whether an image (H, W) or (H, W, 3) is of a single colour."""
    return bool((pixels == pixels[:1, :1]).all())
