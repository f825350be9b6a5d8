"""Few real images with synthetic ones added: cross-entropy and top-1 against the number added.

A line for each number of real images; mean and standard deviation over seeds. At 0, and dotted, the
real images only. A filled marker: the synthetic images help, that is, the 95 % interval (Student)
of the difference to the real images only, paired by seed, excludes 0; no correction for many
comparisons. A ring: the best mean of the line. It is a full ring if adding more is harmful (the
largest number is worse than the best one, interval as before) and a dashed one if that is not
shown; the best one is selected on the same runs, so this favours an end. The rules are this
project's.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from synscale.analysis import few_real_images, metrics
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.mixed_figures import limited_settings

LABELS = {"cross_entropy": "cross-entropy (nats)", "top1": "top-1 (%)"}
MARKERSIZE = 4.5


def draw(axes: plt.Axes, rows: pd.DataFrame, style: dict, scale: float, shift: float) -> None:
    """Draw one line.

    Parameters
    ----------
    axes : Axes
    rows : DataFrame
        As `few_real_images.of_mixture` returns them.
    style : dict
    scale : float
        Factor on the measure.
    shift : float
        Factor on the numbers of images, which separates the bars of several lines.
    """
    rows = rows.sort_values("added")
    line = {key: style[key] for key in ("color", "linewidth")}
    x, y = rows["added"] * shift, scale * rows["mean"]
    axes.errorbar(x, y, scale * rows["sd"], elinewidth=0.8, capsize=1.5, **line)
    axes.axhline(y.iloc[0], color=style["color"], linestyle=":", linewidth=0.8)
    marker = {key: style[key] for key in ("color", "marker")} | {"markersize": MARKERSIZE}
    ring = {"s": 130, "facecolors": "none", "edgecolors": "black", "linewidths": 0.9, "zorder": 5}
    for row, at_x, at_y in zip(rows.itertuples(), x, y, strict=True):
        filling = style["color"] if row.helps else "#FFFFFF"
        axes.plot(at_x, at_y, markerfacecolor=filling, zorder=4, **marker)
        if row.best:
            axes.scatter(at_x, at_y, linestyles="-" if row.ends else (0, (2, 1.5)), **ring)


def label_axes(axes: plt.Axes, measure: str, added: np.ndarray) -> None:
    """Scale and label the axes of a panel. added: numbers of synthetic images."""
    smallest = added[added > 0].min()
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    steps = 1 + int(np.log(added.max() / smallest) / np.log(4))
    ticks = [0, *(smallest * 4 ** np.arange(steps))]
    axes.set_xticks(ticks, map(panels.count, ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="synthetic images added", ylabel=LABELS[measure])
    if measure == "cross_entropy":
        axes.set_yscale("log")
        panels.label_measure(axes, panels.LOSS_TICKS)
        axes.yaxis.set_minor_locator(NullLocator())
    panels.draw_grid(axes)


def rule_handles() -> list[Line2D]:
    """Return the legend entries of lines and markers."""
    marker = {"color": "0.3", "linestyle": "none"}
    square = marker | {"marker": "s", "markersize": MARKERSIZE}
    ring = marker | {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
    ring_label = "best number (full ring: the largest is worse)"
    return [
        Line2D([], [], color="0.3", linestyle=":", linewidth=0.8, label="real images only"),
        Line2D([], [], label="better than real images only", **square),
        Line2D([], [], markerfacecolor="#FFFFFF", label="not shown to be better", **square),
        Line2D([], [], label=ring_label, markeredgecolor="black", **ring),
    ]


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("metrics",), arguments, limited_settings)
    table = metrics.of_files(args.metrics, settings.evaluation, settings.experiments)
    drawn = few_real_images.gains(table, settings)
    figure, both = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
    handles = []
    for place, mixture in enumerate(settings.mixtures):
        style = plotting.line_style(mixture.style)
        shift = 1.04 ** (place - (len(settings.mixtures) - 1) / 2)
        rows = drawn[drawn["source"] == mixture.source]
        for axes, measure in zip(both, LABELS, strict=True):
            scale = 100 if measure == "top1" else 1
            draw(axes, rows[rows["measure"] == measure], style, scale, shift)
        line = {key: style[key] for key in ("color", "marker", "linewidth")}
        label = display_name(mixture.label)
        handles.append(Line2D([], [], markersize=MARKERSIZE, label=label, **line))
    for axes, measure in zip(both, LABELS, strict=True):
        label_axes(axes, measure, drawn["added"].to_numpy())
    title = panels.seeds_text(drawn["seeds"].min())
    texts = {"fontsize": 7, "title": title, "title_fontsize": 7}
    panels.legend_below(figure, [*handles, *rule_handles()], ncols=4, **texts)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
