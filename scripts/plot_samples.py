"""Samples: a row for each prompt recipe, a column for each guidance scale, a cell of one image for
each class; real images on top.

The same image indices are shown in every cell, the first ones that were made: nothing is picked.
"""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from synscale.data import shards
from synscale.report import plotting
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings import figures as figure_settings

WIDTH = 7.2  # inches of a page
CELL = 1.3  # inches that a cell is wide at most
LABELS = 1.6  # inches that the names of the rows take
SIDE = 128  # pixels of an image that a figure has room for, at 300 to an inch; more would make files of 100 MB


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) with no more than SIDE pixels a side; uint8."""
    if max(images.shape[2:]) <= SIDE:
        return images
    size = SIDE, SIDE * images.shape[2] // images.shape[3]
    return np.stack(
        [
            [
                np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.LANCZOS))
                for channel in image
            ]
            for image in images
        ]
    )


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (N, C, H, W) as one picture, rows of `columns`, with white lines between them;
    (height, width, C), uint8.
    """
    n, channels, height, width = images.shape
    rows, gap = -(-n // columns), max(1, width // 24)
    sheet = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8
    )
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet


def read(
    tars: list[str], chosen: Callable[[pd.DataFrame], pd.Series]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Images and manifest rows that are chosen, of several shards."""
    images, manifests = zip(*(shards.read(tar, chosen) for tar in tars), strict=True)
    return np.concatenate([stack for stack in images if len(stack)]), pd.concat(manifests)


def show(axes: plt.Axes, images: np.ndarray, columns: int) -> None:
    grey = images.shape[1] == 1  # ink is bright in the data: drawn dark on white, as it was written
    picture = mosaic(thumbnails(255 - images if grey else images), columns)
    axes.imshow(picture, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def size(lines: int, scales: int, images: int, columns: int) -> tuple[float, float]:
    """Inches, width and height, of a grid of `lines` x `scales` cells, each of so many images in
    rows of `columns`.
    """
    cell = min(CELL, (WIDTH - LABELS) / scales)
    return cell * scales + LABELS, (cell * -(-images // columns) / columns + 0.1) * lines + 0.4


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "classes", "real", "images"),
        arguments,
        figure_settings.samples_settings,
    )
    plotting.style()
    scales, lines = settings["guidance"], len(settings["rows"]) + 1
    columns, count = settings["columns"], len(class_table.read(args.classes[0]))
    wanted = settings["classes"] or range(count)
    figure, grid = plt.subplots(
        lines,
        len(scales),
        figsize=size(lines, len(scales), len(wanted), columns),
        squeeze=False,
        layout="constrained",
    )

    def first(rows: pd.DataFrame, each: int = 1) -> pd.Series:
        """The first images, so many of each class that is shown."""
        return (rows["image"] < count * each) & rows["class_id"].isin(wanted)

    real, manifest = read(args.real, lambda rows: first(rows, len(scales)))
    drawn = [manifest.assign(row="real", guidance=None)]
    for place, axes in enumerate(grid[0]):
        show(axes, real[place * len(wanted) : (place + 1) * len(wanted)], columns)
    for row, (label, tars) in enumerate(
        shards.by_source(args.images, settings["rows"]).items(), start=1
    ):
        images, manifest = read(tars, first)
        drawn.append(manifest.assign(row=label))
        for axes, scale in zip(grid[row], scales, strict=True):
            chosen = images[manifest["guidance"].to_numpy() == scale]
            show(axes, chosen, columns) if len(chosen) else axes.set_axis_off()
            if row == 1:
                axes.set_title(f"guidance {scale:g}")
    for axes, label in zip(
        grid[:, 0], ["real images", *map(plotting.words, settings["rows"])], strict=True
    ):
        axes.text(-0.06, 0.5, label, transform=axes.transAxes, ha="right", va="center")
    table = pd.concat(drawn)[["row", "guidance", "class_name", "prompt", "key"]]
    plotting.write(figure, table, args.output)


if __name__ == "__main__":
    main()
