"""Images of a data set as one picture of a figure."""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

SIDE = 128  # pixels: at 300 to an inch a figure has room for no more; files would have 100 MB


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Return images with no more than SIDE pixels a side.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), uint8
    """
    if max(images.shape[2:]) <= SIDE:
        return images
    size = SIDE, SIDE * images.shape[2] // images.shape[3]

    def resize(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.LANCZOS))

    return np.stack([[resize(channel) for channel in image] for image in images])


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Arrange images in rows, with white lines between them.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), uint8
    columns : int
        Images in a row.

    Returns
    -------
    ndarray, shape (height, width, C), uint8
    """
    n, channels, height, width = images.shape
    rows, gap = -(-n // columns), max(1, width // 24)
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap, channels
    sheet = np.full(shape, 255, np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet


def show(axes: plt.Axes, images: np.ndarray, columns: int) -> None:
    """Draw images (N, C, H, W) as a mosaic; grey ones dark on white, as they were written.

    Parameters
    ----------
    axes : Axes
    images : ndarray, shape (N, C, H, W), uint8
    columns : int
        Images side by side.
    """
    is_grey = images.shape[1] == 1  # ink is bright in the data
    picture = mosaic(thumbnails(255 - images if is_grey else images), columns)
    cmap = "gray" if is_grey else None
    axes.imshow(picture, cmap=cmap, vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
