"""Samples: a row for each prompt recipe, a column for each guidance scale, a cell of one image for each class; real images on top.

The same image indices are shown in every cell, the first ones that were made: nothing is picked.
"""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.lib import command, plotting, shards, shown


def mosaic(images: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Images (N, C, H, W) as one picture, rows of `columns`, with white lines between them; (height, width, C), uint8."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet


def read(tars: list[str], chosen: Callable[[pd.DataFrame], pd.Series]) -> tuple[np.ndarray, pd.DataFrame]:
    """Images and manifest rows that are chosen, of several blocks."""
    images, manifests = zip(*(shards.read(tar, chosen) for tar in tars), strict=True)
    return np.concatenate([stack for stack in images if len(stack)]), pd.concat(manifests)


def show(axes: plt.Axes, images: np.ndarray, columns: int) -> None:
    grey = images.shape[1] == 1  # ink is bright in the data: drawn dark on white, as it was written
    picture = mosaic(255 - images if grey else images, columns)
    axes.imshow(picture, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(plotting.arguments(__doc__, "classes", "real", "images"), arguments, shown.samples_settings)
    plotting.style()
    scales = settings["guidance"]
    columns, count = settings["columns"], len(pd.read_csv(args.classes[0]))
    figure, grid = plt.subplots(
        len(settings["rows"]) + 1, len(scales), figsize=(1.3 * len(scales) + 1.6, 0.62 * (len(settings["rows"]) + 1) + 0.4), squeeze=False, layout="constrained"
    )
    wanted = settings["classes"] or range(count)

    def first(rows: pd.DataFrame, each: int = 1) -> pd.Series:
        """The first images, so many of each class that is shown."""
        return (rows["image"] < count * each) & rows["class_id"].isin(wanted)

    real, manifest = read(args.real, lambda rows: first(rows, len(scales)))
    drawn = [manifest.assign(row="real", guidance=None)]
    for place, axes in enumerate(grid[0]):
        show(axes, real[place * len(wanted) : (place + 1) * len(wanted)], columns)
    for row, (label, tars) in enumerate(shards.by_source(args.images, settings["rows"]).items(), start=1):
        images, manifest = read(tars, first)
        drawn.append(manifest.assign(row=label))
        for axes, scale in zip(grid[row], scales, strict=True):
            chosen = images[manifest["guidance"].to_numpy() == scale]
            show(axes, chosen, columns) if len(chosen) else axes.set_axis_off()
            if row == 1:
                axes.set_title(f"guidance {scale:g}")
    for axes, label in zip(grid[:, 0], ["real images", *map(plotting.words, settings["rows"])], strict=True):
        axes.text(-0.06, 0.5, label, transform=axes.transAxes, ha="right", va="center")
    table = pd.concat(drawn)[["row", "guidance", "class_name", "prompt", "key"]]
    plotting.write(figure, table, args.output)


if __name__ == "__main__":
    main()
