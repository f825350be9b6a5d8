"""Which classes get better with more synthetic images, and which of their scores predict it.

(a) Cross-entropy of each class against size, for the first curve of the study's list: mean over
seeds, and the pure law of the class over the sizes of the study's law. Groups (names are the
paper's, thresholds the study's): easy, top-1 at the smallest size is `easy_top1` at least; poor, k
below `poor_k`; scaling, all others. (b) The first images of one class of each group, the one with
the median k: nothing is picked. (c, d) k against recognizability and diversity, a point for each
class and curve, bars (of 20 classes at most) the 95 % t-intervals of k. Spearman's rho of ranks
within each curve, so that a difference between curves is no difference of classes, with a 95 %
interval from 2,000 resamples of complete classes, because every class is there once for each curve.
Classes that have no law (a loss of 0) are counted, not drawn.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from synscale.analysis import metrics, per_class, result_files
from synscale.data import shards
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.class_panels import NAMED, SCORES, STYLES, draw_laws, draw_score
from synscale.report.label_places import name_points
from synscale.report.mosaics import show
from synscale.report.names import display_name
from synscale.study import class_table
from synscale.workflow.settings.figures import PerClassSettings, per_class_settings

COLUMNS = 10  # example images side by side


def read_examples(
    tar: str, class_id: int, settings: PerClassSettings
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the first images of a class on the first curve, and their manifest rows."""

    def first(rows: pd.DataFrame) -> pd.Series:
        is_shown = rows["class_id"] == class_id
        if settings.curves[0].guidance is not None:
            is_shown &= rows["guidance"] == settings.curves[0].guidance
        return is_shown & (is_shown.cumsum() <= settings.examples)

    return shards.read(tar, first)


def draw_examples(
    figure: plt.Figure, place, laws: pd.DataFrame, tar: str, settings: PerClassSettings, names: dict
) -> pd.DataFrame:
    """Draw the first images of the median class of each group; return their manifest rows.

    Parameters
    ----------
    figure : Figure
    place : SubplotSpec
    laws : DataFrame
        Laws of the first curve.
    tar : str
        Shard with the images.
    settings : PerClassSettings
    names : dict
        By class_id.
    """
    shown = []
    corner = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.95), "borderpad": 0}
    rows = place.subgridspec(len(STYLES), 1, hspace=0.35)
    for letter, row, (group, sign) in zip(("(b) ", "", ""), rows, STYLES.items(), strict=True):
        axes = figure.add_subplot(row)
        class_id = per_class.median_class(laws, group)
        axes.set_axis_off()
        axes.set_anchor("W")
        here = "" if class_id is None else f"; here {names[class_id]}"
        count = (laws["group"] == group).sum()
        text = f"{letter}{group}: {count} class{'' if count == 1 else 'es'}{here}"
        style = dict(zip(("color", "marker"), sign, strict=True))
        key = Line2D([], [], linewidth=0.9, markersize=3.5, label=text, **style)
        axes.legend(handles=[key], fontsize=7.5, **corner)
        if class_id is not None:
            images, manifest = read_examples(tar, class_id, settings)
            show(axes, images, min(settings.examples, COLUMNS))
            columns = [name for name in ("key", "class_id", "guidance") if name in manifest]
            shown.append(manifest[columns].assign(group=group))
    return pd.concat(shown) if shown else pd.DataFrame()


def draw(
    laws: pd.DataFrame, points: pd.DataFrame, tar: str, settings: PerClassSettings, names: dict
) -> tuple[plt.Figure, pd.DataFrame]:
    """Return the figure and the table of what it shows.

    laws: laws of classes with scores. points: mean losses of the first curve. Other parameters as
    of `draw_examples`.
    """
    curves = settings.curves
    first = metrics.of_curve(laws, *curves[0].key)
    figure = plt.figure(figsize=(7.2, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1])
    top = figure.add_subplot(grid[0, 0])
    draw_laws(top, points, first, names)
    top.set_title(f"(a) {display_name(curves[0].label)}", fontsize=8, loc="left")
    others = int(first["group"].isna().sum())
    if others:
        top.text(0.02, 0.03, f"{others} without a law", transform=top.transAxes, fontsize=7)
    examples = draw_examples(figure, grid[0, 1], first, tar, settings, names)
    left = figure.add_subplot(grid[1, 0])
    left.set_ylabel("scaling ability k of a class")
    both = dict(zip(SCORES, (left, figure.add_subplot(grid[1, 1], sharey=left)), strict=True))
    correlations = [
        draw_score(axes, laws, score, letter, curves)
        for letter, (score, axes) in zip("cd", both.items(), strict=True)
    ]
    marks = {"linestyle": "none", "markersize": 4}
    handles = [panels.curve_handle(curve, **marks) for curve in curves]
    panels.legend_below(figure, handles, ncols=3, fontsize=7)
    if len(first) <= NAMED:
        figure.draw_without_rendering()
        for score, axes in both.items():
            rows = first.dropna(subset=["k", score])
            class_names = rows["class_id"].map(names)
            name_points(axes, list(zip(rows[score], rows["k"], class_names, strict=True)))
    parts = {"loss": points, "law": laws, "correlation": pd.DataFrame(correlations)}
    return figure, panels.part_table(parts | {"example": examples})


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    inputs = ("classes", "images", "scores", "metrics")
    args, settings = plotting.begin(__doc__, inputs, arguments, per_class_settings)
    table = metrics.read(args.metrics)
    names = class_table.read(args.classes[0]).set_index("class_id")["name"].to_dict()
    thresholds = settings.easy_top1, settings.poor_k
    laws = per_class.class_laws(table, settings.law, settings.curves, thresholds)
    keys = [*result_files.CONFIGURATION, "class_id"]
    scores = result_files.class_scores(args.scores)
    laws = laws.merge(scores, on=keys, how="left", validate="many_to_one")
    key = settings.curves[0].key
    runs = metrics.of_curve(per_class.by_class(table, settings.law.evaluation), *key)
    runs = runs[runs["size"].between(*settings.law.sizes)]
    losses = runs.groupby(["class_id", "size"])["cross_entropy"]
    points = losses.agg(loss="mean", loss_min="min", loss_max="max").reset_index()
    points = points.assign(**dict(zip(per_class.CURVE, key, strict=True)))
    figure, drawn = draw(laws, points, args.images[0], settings, names)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
