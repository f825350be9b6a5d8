"""Evaluation sets of digits away from the training data, each after one of ImageNet's (the digits
and their making are ours).

All are images (N, 8, 8) with grey levels 0 to 16, counted from a 32 x 32 bitmap in shards of 4 x 4
as the handwritten digits were.
"""

from pathlib import Path

import numpy as np
from scipy import ndimage


def counted(bitmaps: np.ndarray) -> np.ndarray:
    """Ink (0 or 1) in each shard of 4 x 4 of bitmaps (N, 32, 32): (N, 8, 8), 0 to 16."""
    return bitmaps.reshape(-1, 8, 4, 8, 4).sum((2, 4)).astype(float)


def outlines(images: np.ndarray) -> np.ndarray:
    """What ImageNet-Sketch is to ImageNet: the shape without its filling.

    The digit is enlarged to a bitmap, and the ink that touches paper is kept. The thin line that is
    left is made as dark as the digit was: else its paleness, not its shape, would be what is new.
    """
    large = np.stack(
        [ndimage.zoom(image, 4, order=1, mode="nearest", grid_mode=True) for image in images]
    )
    ink = large > 6
    inner = np.stack([ndimage.binary_erosion(one, np.ones((3, 3)), iterations=2) for one in ink])
    edges = counted(ink & ~inner)
    darkest = edges.max((1, 2), keepdims=True)
    return np.clip(
        edges * (images.max((1, 2), keepdims=True) / np.maximum(darkest, 1)), 0, 16
    ).round()


def fonts() -> list[str]:
    """Files of the text fonts that matplotlib ships."""
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts/ttf")
    text = [
        path
        for path in sorted(folder.glob("*.ttf"))
        if path.stem.startswith(("DejaVu", "STIXGeneral", "cmr", "cmb", "cmss", "cmtt"))
    ]
    return [str(path) for path in text if "Display" not in path.stem]


def printed(angles: list[float]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What ImageNet-R is to ImageNet: the same things, rendered otherwise. Printed digits in every
    font of `fonts`, turned by each angle.

    Each fills the height of the bitmap, as the handwritten ones do. Returns images, labels (N,),
    and the font and angle of each.
    """
    from PIL import Image, ImageDraw, ImageFont

    bitmaps, labels, made = [], [], []
    for path in fonts():
        font = ImageFont.truetype(path, 96)
        for angle in angles:
            for digit in range(10):
                canvas = Image.new("L", (192, 192))
                ImageDraw.Draw(canvas).text((96, 96), str(digit), fill=255, font=font, anchor="mm")
                turned = canvas.rotate(angle, Image.Resampling.BICUBIC)
                glyph = turned.crop(turned.getbbox())
                width = min(32, max(1, round(glyph.width * 32 / glyph.height)))
                page = Image.new("L", (32, 32))
                page.paste(glyph.resize((width, 32), Image.Resampling.BOX), ((32 - width) // 2, 0))
                bitmaps.append(np.asarray(page) > 127)
                labels.append(digit)
                made.append(f"{Path(path).stem} {angle:g}")
    return counted(np.stack(bitmaps)), np.array(labels), made


def misread(
    images: np.ndarray, labels: np.ndarray, training_images: np.ndarray, training_labels: np.ndarray
) -> np.ndarray:
    """What ImageNet-A is to ImageNet: real images, unchanged, that a model gets wrong. Indices (M,)
    of those images.

    ImageNet-A was chosen with a ResNet-50. Here the model gives an image the class whose mean image
    is nearest, of other writers: no classifier that is evaluated is of its kind or has seen its
    training images.
    """
    from sklearn.neighbors import NearestCentroid

    flat = lambda some: some.reshape(len(some), -1) / 16  # noqa: E731
    model = NearestCentroid().fit(flat(training_images), training_labels)
    return np.flatnonzero(model.predict(flat(images)) != labels)
