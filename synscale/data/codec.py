"""Single images: resize, decode, and find those that show nothing."""

import io

import numpy as np
import simplejpeg
from PIL import Image


class BlankImage(RuntimeError):
    """An image that shows nothing, however often it is drawn."""


def as_stored(pixels: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Resize an image by Pillow's bicubic filter, and convert it to grey or RGB.

    The authors' script calls `resize` without a filter, which is this one; it smooths before it
    leaves pixels out.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8
    size : int
        Pixels a side.
    channels : int
        1 or 3.

    Returns
    -------
    ndarray, shape (size, size) or (size, size, 3), uint8
    """
    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def decode(data: bytes, buffer: np.ndarray | None = None) -> np.ndarray:
    """Decode an image to the pixels that Pillow gives.

    simplejpeg decodes grey and RGB JPEGs with the same libjpeg-turbo to the same pixels, in half
    the time.

    Parameters
    ----------
    data : bytes
    buffer : ndarray, optional
        Pixels that are no longer needed; their memory is used again if it is large enough.

    Returns
    -------
    ndarray, shape (H, W) or (H, W, C), uint8
    """
    if data[:2] == b"\xff\xd8":
        try:
            height, width, space, _ = simplejpeg.decode_jpeg_header(data)
            if space == "Gray":
                return simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
            if space in ("YCbCr", "RGB"):
                fits = buffer is not None and buffer.flags.c_contiguous
                fits = fits and buffer.nbytes >= 3 * height * width
                return simplejpeg.decode_jpeg(data, buffer=buffer if fits else None)
        except ValueError:
            pass  # Pillow reads some damaged files, and has the better message for the others
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def is_blank(pixels: np.ndarray) -> bool:
    """Return whether an image has a single colour.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8
    """
    return bool((pixels == pixels[:1, :1]).all())


def as_rgb(pixels: np.ndarray) -> Image.Image:
    """Return pixels as an RGB image.

    Parameters
    ----------
    pixels : ndarray, shape (C, H, W), uint8
        One channel or three.
    """
    plane = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    return Image.fromarray(plane).convert("RGB")
