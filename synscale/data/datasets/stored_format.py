"""An image of a data set as the study stores it: upright, RGB or grey, a square."""

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from synscale.data import shards

FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)  # what Pillow raises for an image that it cannot read
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
ELONGATED = 16  # ratio of the sides from which on only the region that is kept is resized


@dataclass(frozen=True)
class Stored:
    """How images of a split are stored.

    size: pixels a side; the shorter side is resized to it and the centre square kept (ours).
    storage: as `shards.encode` takes it. evaluation: pixels as torchvision's folder reader gives
    them, which the authors evaluate with, so neither turned as EXIF says nor put on white, and
    resized by their bilinear filter: the centre 224 of what is stored at 256 is their Resize(256),
    CenterCrop(224), pixel by pixel. Other images are turned upright, what is transparent is white,
    and the filter is bicubic, as in the script that the authors released for generated images.
    """

    size: int
    channels: int
    storage: dict
    evaluation: bool = False

    def of(self, image: bytes | Image.Image) -> bytes:
        """Bytes to store. Those of the file itself where it is already as it would be stored, so
        that nothing is compressed twice.

        Raises one of BROKEN where it cannot be read.
        """
        if isinstance(image, Image.Image):
            return self._made(image)
        data, opened = _opened(image)
        with opened:
            opened.load()  # raises where the file is cut off or damaged
            return data if self._as_it_is(opened) else self._made(opened)

    def _as_it_is(self, image: Image.Image) -> bool:
        mode = "L" if self.channels == 1 else "RGB"
        same = (
            image.format == FORMATS[self.storage["format"]]
            and image.mode == mode
            and image.size == (self.size, self.size)
        )
        return (
            same
            and (self.evaluation or _transposition(image) is None)
            and "transparency" not in image.info
        )

    def _made(self, image: Image.Image) -> bytes:
        transposition = None if self.evaluation else _transposition(image)
        if transposition is not None:
            image = image.transpose(transposition)
        image = _opaque(_eight_bits(image), white=not self.evaluation).convert(
            "L" if self.channels == 1 else "RGB"
        )
        filter = Image.Resampling.BILINEAR if self.evaluation else Image.Resampling.BICUBIC
        return shards.encode(np.asarray(centre(image, self.size, filter)), self.storage)


def centre(image: Image.Image, size: int, filter: Image.Resampling) -> Image.Image:
    """The centre square of the image resized to a shorter side of `size`, with the roundings of
    torchvision's Resize and CenterCrop.

    The image is resized completely, so that pixels are those of torchvision, unless its sides
    differ by a factor of ELONGATED or more. Then only the region that is kept is resized, at a cost
    that does not depend on the ratio of the sides; Pillow rounds the corners of that region to 32
    bits, which changes a few pixels by one grey level.
    """
    width, height = image.size
    short = min(width, height)
    resized = (int(size * width / short), int(size * height / short))
    left, top = (round((side - size) / 2) for side in resized)
    if max(width, height) >= ELONGATED * short:
        return _resized_region(image, resized, (left, top, left + size, top + size), filter)
    if resized != image.size:
        image = image.resize(resized, filter)
    return image.crop((left, top, left + size, top + size))


def _resized_region(
    image: Image.Image,
    resized: tuple[int, int],
    region: tuple[int, int, int, int],
    filter: Image.Resampling,
) -> Image.Image:
    """A region of the image as it would be at the size `resized`, computed from the pixels that it
    depends on.

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


def _opened(data: bytes) -> tuple[bytes, Image.Image]:
    """The image, and its bytes without an EXIF block that keeps Pillow from opening the image."""
    try:
        return data, Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError:
        if EXIF not in data:
            raise
        data = data.replace(EXIF, bytes(len(EXIF)))
        return data, Image.open(io.BytesIO(data))


def _transposition(image: Image.Image) -> Image.Transpose | None:
    """The transposition that turns the image upright; None if it is upright or its EXIF block is
    damaged.

    Only the orientation is read. Pillow's `exif_transpose` also rewrites the block, which fails for
    many blocks.
    """
    image.load()  # an image that is damaged raises here; a TIFF file is turned here
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION))
    except Exception:  # a damaged block raises errors of many classes
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits scaled to 8, where Pillow would cut off what is above 255."""
    if image.mode in ("F", "I"):
        raise ValueError(
            f"pixels are of mode {image.mode}, whose range is not known: store the image with 8 or 16 bits"
        )
    return (
        Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.mode.startswith("I;16")
        else image
    )


def _opaque(image: Image.Image, white: bool) -> Image.Image:
    if not white or not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
