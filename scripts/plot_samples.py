"""Samples: a row for each prompt recipe, a column for each guidance scale; real images on top.

A cell has one image of each class. The same image indices are shown in every cell, the first ones
that were generated: nothing is picked.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from synscale.data import shards
from synscale.report import plotting
from synscale.report.axes import subplots
from synscale.report.mosaics import show
from synscale.report.names import display_name
from synscale.study import class_table
from synscale.workflow.settings.figures import samples_settings

WIDTH = 7.2  # inches of a page
CELL = 1.3  # inches that a cell is wide at most
LABELS = 1.6  # inches that the names of the rows take


def read(
    tars: list[str], select: Callable[[pd.DataFrame], pd.Series]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the selected images and manifest rows of several shards."""
    images, manifests = zip(*(shards.read(tar, select) for tar in tars), strict=True)
    return np.concatenate([stack for stack in images if len(stack)]), pd.concat(manifests)


def size(rows: int, scales: int, images: int, columns: int) -> tuple[float, float]:
    """Return width and height in inches of a grid of cells.

    Parameters
    ----------
    rows, scales : int
        Cells in a column and in a row of the grid.
    images, columns : int
        Images in a cell, and in a row of a cell.
    """
    cell = min(CELL, (WIDTH - LABELS) / scales)
    return cell * scales + LABELS, (cell * -(-images // columns) / columns + 0.1) * rows + 0.4


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    inputs = ("classes", "real", "images")
    args, settings = plotting.begin(__doc__, inputs, arguments, samples_settings)
    scales, columns = settings.guidance, settings.columns
    count = len(class_table.read(args.classes[0]))
    class_ids = settings.classes or range(count)
    names = ["real images", *map(display_name, settings.rows)]
    figsize = size(len(names), len(scales), len(class_ids), columns)
    figure, grid = subplots(len(names), len(scales), figsize)

    def first(rows: pd.DataFrame, each: int = 1) -> pd.Series:
        """Select the first `each` images of each class that is shown."""
        return (rows["image"] < count * each) & rows["class_id"].isin(class_ids)

    real, manifest = read(args.real, lambda rows: first(rows, len(scales)))
    drawn = [manifest.assign(row="real", guidance=None)]
    for place, axes in enumerate(grid[0]):
        show(axes, real[place * len(class_ids) : (place + 1) * len(class_ids)], columns)
    by_recipe = shards.by_source(args.images, settings.rows)
    for cells, (recipe, tars) in zip(grid[1:], by_recipe.items(), strict=True):
        images, manifest = read(tars, first)
        drawn.append(manifest.assign(row=recipe))
        for axes, scale in zip(cells, scales, strict=True):
            at_scale = images[manifest["guidance"].to_numpy() == scale]
            show(axes, at_scale, columns) if len(at_scale) else axes.set_axis_off()
    for axes, scale in zip(grid[1], scales, strict=True):
        axes.set_title(f"guidance {scale:g}")
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.text(-0.06, 0.5, name, transform=axes.transAxes, ha="right", va="center")
    table = pd.concat(drawn)[["row", "guidance", "class_name", "prompt", "key"]]
    plotting.write(figure, table, args.output)


if __name__ == "__main__":
    main()
