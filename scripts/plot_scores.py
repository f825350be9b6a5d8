"""Which score of a set of synthetic images predicts the accuracy of a model trained on them.

Top-1 against each score, and all scores at once. A point is a configuration: generator, prompt
recipe, guidance scale. Top-1: mean over seeds at the largest size of the experiment. Above each
panel Spearman's rho with its 95 % interval (Fisher z, Bonett and Wright's variance). Right:
coefficients of a regression of top-1 on all scores, each standardised (95 % HC3 intervals), next to
the correlation of each score with top-1 given the others. Real images are drawn, a dashed line, and
are in no statistic. If the study has measures in further feature spaces, p values of Spearman's rho
are adjusted by Holm's method for the number of scores.
"""

from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from synscale.analysis import metrics, result_files, score_correlation
from synscale.analysis.result_files import CONFIGURATION
from synscale.report import axes as shared
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.report.score_names import SCORES, score_name
from synscale.workflow.settings.configuration_figures import ConfigurationSettings, scores_settings

PER_ROW = 3  # panels of scores
REAL_LINE = {"color": plotting.REAL, "linestyle": "--", "linewidth": 0.8}


def configurations(
    score_files: list[str], metric_files: list[str], settings: ConfigurationSettings
) -> pd.DataFrame:
    """Return names, every score, size, top1 (mean over seeds), top1_std of each configuration."""
    table = metrics.of_files(metric_files, settings.evaluation, settings.experiments)
    rows = metrics.at_largest_size(table, settings.architecture)
    groups = rows.groupby([*CONFIGURATION, "size"], dropna=False)
    top1 = groups["top1"].agg(top1="mean", top1_std="std", seeds="count").reset_index()
    scores = result_files.scores(score_files)[[*CONFIGURATION, *SCORES, *settings.measures]]
    scores = scores.astype(dict.fromkeys(settings.measures, float))
    keys = {"on": CONFIGURATION, "validate": "one_to_one"}
    return metrics.label_table(settings.labels).merge(scores, **keys).merge(top1, **keys)


def marker_styles(settings: ConfigurationSettings) -> tuple[dict[str, str], dict[str, dict]]:
    """Return the colour of each recipe, and the marker of each generator.

    Only the markers of the first generator are filled, as in the other figures.
    """
    styles = plotting.recipe_styles(settings.labels)
    colors = {recipe: style["color"] for recipe, style in styles.items()}
    base = {"linestyle": "", "markersize": 3.5, "markeredgewidth": 0.9}
    markers = {}
    for place, generator in enumerate(settings.generators):
        markers[generator] = base | {"marker": plotting.MARKERS[place]}
        markers[generator] |= {"markerfacecolor": "#FFFFFF"} if place else {}
    return colors, markers


def few_ticks(axis) -> None:
    """Label an axis at about four round numbers."""
    axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def draw_score(
    axes: plt.Axes, table: pd.DataFrame, row: pd.Series, colors: dict, markers: dict
) -> None:
    """Draw top-1 against one score, whose statistics are in `row`."""
    synthetic = table[table["recipe"] != "real"].groupby(["generator", "recipe"], sort=False)
    for (generator, recipe), points in synthetic:
        color = colors[recipe]
        style = {"color": color, "markerfacecolor": color} | markers[generator]
        axes.plot(points[row["score"]], 100 * points["top1"], **style)
    for level in table.loc[table["recipe"] == "real", "top1"]:
        axes.axhline(100 * level, **REAL_LINE)
    title = "no rank correlation"
    if pd.notna(row["spearman"]):
        ends = f"[{row['spearman_low']:.2f}, {row['spearman_high']:.2f}]"
        title = f"Spearman ρ = {row['spearman']:.2f}\n{ends}"
        title += f", p = {row['p_holm']:.2g}" if "p_holm" in row else ""
    axes.set_title(shared.minus(title), fontsize=7, pad=4)
    axes.set_xlabel(fill(score_name(row["score"]), 20), fontsize=8, labelpad=2)
    few_ticks(axes.xaxis)
    few_ticks(axes.yaxis)
    axes.grid(alpha=0.3, linewidth=0.5)


def draw_regression(left: plt.Axes, right: plt.Axes, rows: pd.DataFrame, count: int) -> None:
    """Draw coefficient and partial correlation of each score; count: configurations."""
    rows = rows.dropna(subset="coefficient")  # others are in no regression
    columns = (
        (left, "coefficient", "low", "high", "coefficient\n(s.d. per s.d.)"),
        (right, "partial", "partial_low", "partial_high", "partial\ncorrelation"),
    )
    at = [-place for place in range(len(rows))]
    style = {"fmt": "o", "color": plotting.REAL, "markersize": 3.5, "elinewidth": 1}
    for axes, value, low, high, name in columns:
        ends = [rows[value] - rows[low], rows[high] - rows[value]]
        axes.errorbar(rows[value], at, xerr=ends, **style)
        axes.axvline(0, color="0.4", linewidth=0.8, linestyle=":")
        axes.set_xlabel(name, fontsize=8, labelpad=2)
        axes.grid(alpha=0.3, axis="x", linewidth=0.5)
    reach = 1.05 * max(rows["high"].abs().max(), rows["low"].abs().max())
    left.set(xlim=(-reach, reach), ylim=(0.5 - len(rows), 0.5))
    names = [fill(score_name(row.score), 16) for row in rows.itertuples()]
    labels = [f"{name}\nVIF {vif:.0f}" for name, vif in zip(names, rows["vif"], strict=True)]
    left.set_yticks(at, labels)
    few_ticks(left.xaxis)
    right.set_xlim(-1, 1)
    right.set_xticks([-0.5, 0, 0.5], ["−0.5", "0", "0.5"])
    right.tick_params(labelleft=False)
    title = f"all scores at once: n = {count}, adj. R² = {rows['r_squared'].iloc[0]:.2f}"
    left.set_title(shared.minus(title), fontsize=7, pad=4, x=1.05)


def draw(
    table: pd.DataFrame, rows: pd.DataFrame, reason: str, settings: ConfigurationSettings
) -> plt.Figure:
    """Draw the figure. reason: why there is no regression, if there is none."""
    colors, markers = marker_styles(settings)
    count_rows = -(-len(rows) // PER_ROW)
    figure = plt.figure(figsize=(7.2, 1.85 * count_rows), layout="constrained")
    grid = figure.add_gridspec(count_rows, 5, width_ratios=[1, 1, 1, 0.75, 0.75])
    panels = []
    for place in range(len(rows)):
        sharey = panels[0] if panels else None
        axes = figure.add_subplot(grid[divmod(place, PER_ROW)], sharey=sharey)
        panels.append(axes)
        axes.tick_params(labelleft=place % PER_ROW == 0)
        draw_score(axes, table, rows.iloc[place], colors, markers)
    size = shared.count(table["size"].iloc[0])
    figure.supylabel(f"top-1 (%), {size} training images", fontsize=8)
    count = int((table["recipe"] != "real").sum())
    if reason:
        axes = figure.add_subplot(grid[:, 3:])
        axes.set_axis_off()
        text = "no regression:\n" + fill(reason, 30)
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=7)
    else:
        left = figure.add_subplot(grid[:, 3])
        right = figure.add_subplot(grid[:, 4], sharey=left)
        panels += [left, right]
        draw_regression(left, right, rows, count)
    for axes in panels:
        axes.tick_params(labelsize=7)
    handles = [Patch(color=colors[name], label=display_name(name)) for name in settings.recipes]
    for name, style in markers.items():
        handles.append(Line2D([], [], color="0.35", label=display_name(name), **style))
    if len(table) > count:
        handles.append(Line2D([], [], label="real", **REAL_LINE))
    spacing = {"handlelength": 1.2, "handletextpad": 0.5, "columnspacing": 1.4}
    shared.legend_below(figure, handles, ncols=5, fontsize=7, **spacing)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("scores", "metrics"), arguments, scores_settings)
    table = configurations(args.scores, args.metrics, settings)
    synthetic = table[table["recipe"] != "real"]
    scores = synthetic[[*SCORES, *settings.measures]]
    rows, reason = score_correlation.summarize(scores, synthetic["top1"])
    if settings.measures:
        rows = score_correlation.adjusted(rows, scores, synthetic["top1"])
    drawn = shared.part_table({"configuration": table, "regression": rows})
    plotting.write(draw(table, rows, reason, settings), drawn, args.output)


if __name__ == "__main__":
    main()
