"""Evaluation sets of digits that are shifted from the training data.

Each is modelled on one of ImageNet's (our choice, including how they are generated).

All are images (N, 8, 8) with grey levels 0 to 16, counted from a 32 x 32 bitmap in cells of 4 x 4,
as the handwritten digits were.
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

FONTS = ("DejaVu", "STIXGeneral", "cmr", "cmb", "cmss", "cmtt")


def count_ink(bitmaps: np.ndarray) -> np.ndarray:
    """Return the ink in each cell of 4 x 4 of bitmaps.

    Parameters
    ----------
    bitmaps : ndarray, shape (N, 32, 32)
        1 for ink, 0 for paper.

    Returns
    -------
    ndarray, shape (N, 8, 8)
        0 to 16.
    """
    return bitmaps.reshape(-1, 8, 4, 8, 4).sum((2, 4)).astype(float)


def outlines(images: np.ndarray) -> np.ndarray:
    """Return shapes without their filling, as ImageNet-Sketch has them.

    A digit is enlarged to a bitmap, and only the ink that touches paper remains. This thin line is
    as dark as the digit was: otherwise the set would test paleness, not shape.

    Parameters
    ----------
    images : ndarray, shape (N, 8, 8)
        Grey levels, 0 to 16.
    """
    zoomed = [ndimage.zoom(image, 4, order=1, mode="nearest", grid_mode=True) for image in images]
    ink = np.stack(zoomed) > 6
    inner = np.stack([ndimage.binary_erosion(one, np.ones((3, 3)), iterations=2) for one in ink])
    edges = count_ink(ink & ~inner)
    scale = images.max((1, 2), keepdims=True) / np.maximum(edges.max((1, 2), keepdims=True), 1)
    return np.clip(edges * scale, 0, 16).round()


def fonts() -> list[str]:
    """Return the files of the text fonts that matplotlib ships."""
    import matplotlib

    paths = sorted(Path(matplotlib.get_data_path(), "fonts/ttf").glob("*.ttf"))
    text = [path for path in paths if path.stem.startswith(FONTS) and "Display" not in path.stem]
    return list(map(str, text))


def _bitmap(digit: int, font, angle: float) -> np.ndarray:
    """Draw a digit that fills the height of a bitmap, as the handwritten ones do."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (192, 192))
    ImageDraw.Draw(canvas).text((96, 96), str(digit), fill=255, font=font, anchor="mm")
    turned = canvas.rotate(angle, Image.Resampling.BICUBIC)
    glyph = turned.crop(turned.getbbox())
    width = min(32, max(1, round(glyph.width * 32 / glyph.height)))
    page = Image.new("L", (32, 32))
    page.paste(glyph.resize((width, 32), Image.Resampling.BOX), ((32 - width) // 2, 0))
    return np.asarray(page) > 127


def printed(angles: list[float]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return printed digits: the same things in another rendering, as in ImageNet-R.

    Parameters
    ----------
    angles : list of float
        Degrees by which digits are turned, in every font of `fonts`.

    Returns
    -------
    images : ndarray, shape (N, 8, 8)
    labels : ndarray, shape (N,)
    origins : list of str
        Font and angle of each.
    """
    from PIL import ImageFont

    bitmaps: list[np.ndarray] = []
    labels: list[int] = []
    origins: list[str] = []
    for path in fonts():
        font = ImageFont.truetype(path, 96)
        for angle in angles:
            bitmaps += [_bitmap(digit, font, angle) for digit in range(10)]
            labels += range(10)
            origins += [f"{Path(path).stem} {angle:g}"] * 10
    return count_ink(np.stack(bitmaps)), np.array(labels), origins
