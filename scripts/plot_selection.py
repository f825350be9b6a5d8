"""Loss against the numbers of selected and of generated images, and what a selected image is worth.

Left: numbers of images trained on. Centre: numbers of images that were generated for them. Right:
images of the complete source that are worth the next selected one; above the dotted line, they are
more than are generated for it, so selection pays. Shown for each selected curve of the figure.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from scripts.plot_exchange_rate import matches, tick_text
from scripts.plot_scaling import label_of
from synscale.analysis import metrics, result_files
from synscale.analysis.laws import power
from synscale.analysis.laws.exchange import exchange_rate
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.curves import Curve
from synscale.workflow.settings.selection_figure import (
    ComparedCurves,
    SelectionFigureSettings,
    selection_figure_settings,
)

AT = 60  # numbers of images at which the worth of the next one is drawn


def draw_curve(
    axes: plt.Axes, runs: pd.DataFrame, fitted: dict, style: dict, factor: float
) -> None:
    """Draw mean and range of the loss at each size, and the law.

    Parameters
    ----------
    axes : Axes
    runs : DataFrame
        Runs of the curve; their column `size` is drawn.
    fitted : dict
        Law of the curve by number of images trained on.
    style : dict
    factor : float
        Images of the axis for each image trained on.
    """
    panels.draw_seeds(axes, runs, "cross_entropy", **style | {"linestyle": "none"})
    x = np.geomspace(fitted["sizes"][0], fitted["sizes"][-1], 50)
    losses = np.exp(power.log_loss(np.log(x), fitted["k"], fitted["log_scale"]))
    line = {"color": style["color"], "linewidth": style["linewidth"]}
    axes.plot(factor * x, losses, linestyle=style["linestyle"], **line)


def draw_worth(axes: plt.Axes, worth: pd.DataFrame, factor: float, style: dict) -> None:
    """Draw how many images of the source are worth the next selected one, with the interval."""
    axes.axhline(factor, color=style["color"], linestyle=":", linewidth=1)
    worth = worth[matches(worth.rename(columns={"worth": "rate"}))]
    x = worth["images"]
    axes.plot(x, worth["worth"], color=style["color"], linewidth=1.6)
    high = worth["worth_high"].clip(upper=1e15)
    band = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
    axes.fill_between(x, worth["worth_low"], high, **band)


def worth_of(runs: pd.DataFrame, everything: pd.DataFrame, pair: ComparedCurves) -> pd.DataFrame:
    """Return how many images of the source are worth the next selected one, at each number."""
    points = [
        (rows["size"].to_numpy(float), rows["cross_entropy"].to_numpy())
        for rows in (runs, everything)
    ]
    at = np.geomspace(points[0][0].min(), points[0][0].max(), AT)
    names = {"real_images": "images", "real_law": "law", "synthetic_law": "law_of_all_images"}
    names |= {f"rate{end}": f"worth{end}" for end in ("", "_low", "_high")}
    rates = exchange_rate(*points, at).rename(columns=names)
    generated = pair.windows.images / pair.windows.per_window
    return rates.assign(source=pair.selected.source, generated_for_one=generated)


def rows_of(curve: Curve, runs: pd.DataFrame, fitted: dict) -> pd.DataFrame:
    """Return the rows of a curve in the csv: its runs, images generated for them, and its law."""
    sizes = runs["size"]
    generated = curve.windows.generated(sizes) if curve.windows else sizes
    exponents = dict(
        zip(("k", "k_low", "k_high"), [fitted["k"], *fitted["k_interval"]], strict=True)
    )
    return runs.assign(images_generated=generated, label=curve.label, **exponents)


def begin(settings: SelectionFigureSettings, args) -> tuple[pd.DataFrame, dict]:
    """Return the metrics of the runs of the figure's law, and the law of each curve."""
    law = settings.law
    table = metrics.of_files(args.metrics, law.evaluation, law.experiments)
    return table, result_files.fitted_curves(args.laws)[settings.law_name]


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    inputs = "metrics", "laws"
    args, settings = plotting.begin(__doc__, inputs, arguments, selection_figure_settings)
    table, fits = begin(settings, args)
    curves = [curve for pair in settings.compared for curve in (pair.everything, pair.selected)]
    runs = {curve: metrics.of_curve(table, *curve.key) for curve in dict.fromkeys(curves)}
    figure, ((selected, generated, worth),) = panels.subplots(1, 3, (8.6, 3.4))
    for curve, points in runs.items():
        style = plotting.line_style(curve.style)
        label = label_of(fits[curve.key], display_name(curve.label))
        factor = curve.windows.images / curve.windows.per_window if curve.windows else 1.0
        draw_curve(selected, points, fits[curve.key], style | {"label": label}, 1.0)
        rows = rows_of(curve, points, fits[curve.key])
        sizes = rows["images_generated"]
        draw_curve(generated, points.assign(size=sizes), fits[curve.key], style, factor)
    worths = []
    for pair in settings.compared:
        worths.append(worth_of(runs[pair.selected], runs[pair.everything], pair))
        factor = pair.windows.images / pair.windows.per_window
        draw_worth(worth, worths[-1], factor, plotting.line_style(pair.selected.style))
    worth.axhline(1, color="0.5", linestyle="--", linewidth=1)
    names = ("images trained on", "images generated", "images trained on")
    for axes, name in zip((selected, generated, worth), names, strict=True):
        axes.set(xscale="log", yscale="log", xlabel=name)
        panels.label_counts(axes.xaxis)
        panels.draw_grid(axes, which="both")
    for axes in (selected, generated):
        panels.label_measure(axes, panels.LOSS_TICKS)
    selected.set_ylabel("cross-entropy (nats)")
    worth.set_ylabel("images worth the next selected one")
    every_worth = pd.concat(worths)
    visible = every_worth["worth"][np.isfinite(every_worth["worth"]) & (every_worth["worth"] > 0)]
    worth.set_xlim(every_worth["images"].min() / 1.2, every_worth["images"].max() * 1.2)
    if visible.empty:
        text = "none: no loss matches, or one does not fall"
        worth.text(0.5, 0.7, text, transform=worth.transAxes, ha="center", fontsize=7)
    worth.set_ylim(min([0.5, *visible / 2]), max([4.0, *2 * visible]))
    worth.yaxis.set_major_locator(LogLocator(base=2))
    worth.yaxis.set_major_formatter(lambda value, _: tick_text(value))
    worth.yaxis.set_minor_locator(NullLocator())
    panels.legend_below(figure, panels.entries([selected]), ncols=2)
    rows = [rows_of(curve, points, fits[curve.key]) for curve, points in runs.items()]
    parts = {"runs": pd.concat(rows), "worth": every_worth}
    plotting.write(figure, panels.part_table(parts), args.output)


if __name__ == "__main__":
    main()
