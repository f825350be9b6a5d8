"""An image of a data set as the study stores it: upright, RGB or grey, a square."""

import io
import math

import numpy as np
from PIL import Image

from synscale.data import shards
from synscale.workflow.settings.data import StoredImages

FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
# Raised by Pillow for an image that it cannot read.
BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
EXIF = b"Exif\0\0"  # the first bytes of an EXIF block
ORIENTATION = 0x0112
UPRIGHT = {  # EXIF orientation -> transposition that turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ELONGATED = 16  # ratio of the sides from which on only the region in the centre is resized


def store(image: bytes | Image.Image, stored: StoredImages, evaluation: bool = False) -> bytes:
    """Return an image as the study stores it.

    The shorter side is resized to the size and the centre square cropped (our choice). Images are
    turned upright, transparent pixels become white, and the filter is bicubic, as in the authors'
    script for generated images. A file that is already as it would be stored is returned unchanged,
    so that nothing is compressed twice.

    Parameters
    ----------
    image : bytes or Image
        The file, or the decoded image.
    stored : StoredImages
    evaluation : bool
        Give the pixels that torchvision's folder reader gives, which the authors evaluate with:
        images are neither turned nor put on white, and the filter is bilinear. The centre 224 of an
        image of size 256 then equals their Resize(256), CenterCrop(224), pixel by pixel.

    Raises
    ------
    BROKEN
        If the image cannot be read.
    """
    if isinstance(image, Image.Image):
        return _converted(image, stored, evaluation)
    data, opened = _open(image)
    with opened:
        opened.load()  # raises if the file is cut off or damaged
        if _is_stored(opened, stored, evaluation):
            return data
        return _converted(opened, stored, evaluation)


def _mode(stored: StoredImages) -> str:
    return "L" if stored.channels == 1 else "RGB"


def _is_stored(image: Image.Image, stored: StoredImages, evaluation: bool) -> bool:
    expected = (FORMATS[stored.format], _mode(stored), (stored.size, stored.size))
    if (image.format, image.mode, image.size) != expected or "transparency" in image.info:
        return False
    return evaluation or _transposition(image) is None


def _converted(image: Image.Image, stored: StoredImages, evaluation: bool) -> bytes:
    transposition = None if evaluation else _transposition(image)
    if transposition is not None:
        image = image.transpose(transposition)
    image = _opaque(_eight_bits(image), white=not evaluation).convert(_mode(stored))
    filter = Image.Resampling.BILINEAR if evaluation else Image.Resampling.BICUBIC
    return shards.encode(np.asarray(centre(image, stored.size, filter)), stored)


def centre(image: Image.Image, size: int, filter: Image.Resampling) -> Image.Image:
    """Return the centre square of the image resized to a shorter side of `size`.

    Roundings are those of torchvision's Resize and CenterCrop. The image is resized completely, so
    that pixels are those of torchvision, unless its sides differ by a factor of ELONGATED or more.
    Then only the region in the centre is resized, at a cost that does not depend on the ratio of
    the sides. Pillow rounds the corners of that region to 32 bits, and resizes the height of tall
    images first, which changes a few pixels: by one grey level, with the bicubic filter by up to
    ten.

    Parameters
    ----------
    image : Image
    size : int
        Pixels a side.
    filter : Image.Resampling
    """
    width, height = image.size
    short = min(width, height)
    resized = (int(size * width / short), int(size * height / short))
    left, top = (round((side - size) / 2) for side in resized)
    region = (left, top, left + size, top + size)
    if max(width, height) >= ELONGATED * short:
        return _resized_region(image, resized, region, filter)
    if resized != image.size:
        image = image.resize(resized, filter)
    return image.crop(region)


def _resized_region(
    image: Image.Image,
    resized: tuple[int, int],
    region: tuple[int, int, int, int],
    filter: Image.Resampling,
) -> Image.Image:
    """Resize only the pixels that a region depends on.

    Parameters
    ----------
    image : Image.Image
    resized : tuple of int
        Width and height of the complete image after resizing.
    region : tuple of int
        Left, top, right and bottom, in pixels of the resized image.
    filter : Image.Resampling
        A filter that reaches at most two pixels to each side: bilinear or bicubic.

    Returns
    -------
    Image.Image
        The region, of size (right - left, bottom - top).
    """
    scales = [before / after for before, after in zip(image.size, resized, strict=True)] * 2
    box = [edge * scale for edge, scale in zip(region, scales, strict=True)]
    reach = [math.ceil(2 * max(scale, 1)) + 1 for scale in scales]
    near = [max(math.floor(box[axis]) - reach[axis], 0) for axis in (0, 1)]
    far = [min(math.ceil(box[2 + axis]) + reach[axis], image.size[axis]) for axis in (0, 1)]
    # The crop comes first, so that the box has small numbers: Pillow stores it with 24 significant
    # bits.
    box = [min(edge, far[axis % 2]) - near[axis % 2] for axis, edge in enumerate(box)]
    size = (region[2] - region[0], region[3] - region[1])
    return image.crop((*near, *far)).resize(size, filter, tuple(box))


def _open(data: bytes) -> tuple[bytes, Image.Image]:
    """Return the image, and its bytes without an EXIF block that keeps Pillow from opening it."""
    try:
        return data, Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError:
        if EXIF not in data:
            raise
        data = data.replace(EXIF, bytes(len(EXIF)))
        return data, Image.open(io.BytesIO(data))


def _transposition(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that turns the image upright, if there is one.

    It is None if the EXIF block is damaged. Only the orientation is read. Pillow's `exif_transpose`
    also rewrites the block, which fails for many blocks.
    """
    image.load()  # an image that is damaged raises here; a TIFF file is turned here
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION))
    except Exception:  # a damaged block raises errors of many classes
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 16 bits to 8; Pillow would cut off everything above 255."""
    if image.mode in ("F", "I"):
        problem = f"pixels of mode {image.mode} have an unknown range"
        raise ValueError(f"{problem}; store the image with 8 or 16 bits")
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _opaque(image: Image.Image, white: bool) -> Image.Image:
    if not white or not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
