"""An image of a data set as the study stores it: upright, RGB or grey, a square."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from scripts.lib import shards

FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises for an image that it cannot read


@dataclass(frozen=True)
class Stored:
    """How images of a split are stored.

    size: pixels a side; the shorter side is resized to it and the centre square kept (ours). storage: as `shards.encode` takes it.
    evaluation: pixels as torchvision's folder reader gives them, which the authors evaluate with, so neither turned as EXIF says nor put on
    white, and resized by their bilinear filter: the centre 224 of what is stored at 256 is their Resize(256), CenterCrop(224), pixel by
    pixel. Other images are turned upright, what is transparent is white, and the filter is bicubic, as in the script that the authors
    released for generated images.
    """

    size: int
    channels: int
    storage: dict
    evaluation: bool = False

    def of(self, image: bytes | Image.Image) -> bytes:
        """Bytes to store. Those of the file itself where it is already as it would be stored, so that nothing is compressed twice.

        Raises one of BROKEN where it cannot be read.
        """
        if isinstance(image, Image.Image):
            return self._made(image)
        with Image.open(io.BytesIO(image)) as opened:
            kept = self._as_it_is(opened)
            opened.load()  # raises where the file is cut off or damaged
            return image if kept else self._made(opened)

    def _as_it_is(self, image: Image.Image) -> bool:
        mode = "L" if self.channels == 1 else "RGB"
        same = image.format == FORMATS[self.storage["format"]] and image.mode == mode and image.size == (self.size, self.size)
        return same and (self.evaluation or image.getexif().get(0x0112, 1) == 1) and "transparency" not in image.info

    def _made(self, image: Image.Image) -> bytes:
        if not self.evaluation:
            image = ImageOps.exif_transpose(image)
        image = _opaque(_eight_bits(image), white=not self.evaluation).convert("L" if self.channels == 1 else "RGB")
        filter = Image.Resampling.BILINEAR if self.evaluation else Image.Resampling.BICUBIC
        return shards.encode(np.asarray(centre(image, self.size, filter)), self.storage)


def centre(image: Image.Image, size: int, filter: Image.Resampling) -> Image.Image:
    """The centre square of the image resized to a shorter side of `size`, with the roundings of torchvision's Resize and CenterCrop."""
    width, height = image.size
    short = min(width, height)
    resized = (int(size * width / short), int(size * height / short))
    if resized != image.size:
        image = image.resize(resized, filter)
    left, top = (round((side - size) / 2) for side in resized)
    return image.crop((left, top, left + size, top + size))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits scaled to 8, where Pillow would cut off what is above 255."""
    if image.mode in ("F", "I"):
        raise ValueError(f"pixels are of mode {image.mode}, whose range is not known: store the image with 8 or 16 bits")
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image


def _opaque(image: Image.Image, white: bool) -> Image.Image:
    if not white or not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
