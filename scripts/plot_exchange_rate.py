"""How many synthetic images give what the next real image gives, at each number of real images.

Read off the law that each curve follows over all its sizes (table of laws), with 95 % intervals.
Dotted if the matching number of synthetic images is outside those sizes, grey if no number matches.
A panel for each synthetic source; the numbers are the rates at its first, middle and last mark. A
vertical line: the number of real images that fine-tuned the generator of the source.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from synscale.analysis import metrics
from synscale.analysis.laws.exchange import exchange_rate
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.figures import exchange_settings

CENTRED = {"ha": "center", "fontsize": 7}


def rate_text(rate: float) -> str:
    """Return a rate with two digits: `0.54`, `66`, `3,800`, `280k`."""
    rounded = float(f"{rate:.2g}")
    return f"{rounded:g}" if rounded < 1000 else panels.count(rounded)


def tick_text(rate: float) -> str:
    """Return the label of a tick."""
    return f"{rate:g}" if rate < 1 else panels.count(rate)


def matches(rates: pd.DataFrame) -> pd.Series:
    """Return whether some number of synthetic images has the loss of the real ones."""
    return np.isfinite(rates["rate"]) & (rates["rate"] > 0)


def draw(axes: plt.Axes, rates: pd.DataFrame, style: dict, label: str, spent: int = 0) -> None:
    """Draw the rates of one curve, and a line at the real images that its generator has spent."""
    axes.axhline(1, color=plotting.REAL, linestyle="--", linewidth=1)
    panels.draw_grid(axes, which="both")
    axes.set_title(panels.wrap_title(label, 36), fontsize=8)
    if spent:
        text = f"{spent:,} spent"
        place = {"transform": axes.get_xaxis_transform(), "va": "top", "rotation": 90}
        axes.axvline(spent, color="0.4", linestyle="-.", linewidth=0.8)
        axes.text(spent, 0.97, text, **place, **CENTRED | {"ha": "right", "fontsize": 6})
    matched = matches(rates)
    if not matched.any():
        text = "none: no loss matches, or one does not fall"
        axes.text(0.5, 0.7, text, transform=axes.transAxes, **CENTRED)
        return
    if not matched.all():
        first, last = rates.loc[~matched, "real_images"].agg(["min", "max"])
        axes.axvspan(first, last, color="0.9", linewidth=0)
        place = {"transform": axes.get_xaxis_transform(), "va": "center", "rotation": 90}
        axes.text(np.sqrt(first * last), 0.5, "no match", **place, **CENTRED)
    rates = rates[matched]
    x, color = rates["real_images"], style["color"]
    axes.plot(x, rates["rate"], color=color, linestyle=":", linewidth=1)
    axes.plot(x, rates["rate"].where(rates["inside"]), color=color, linewidth=1.6)
    high = rates["rate_high"].clip(upper=1e15)
    axes.fill_between(x, rates["rate_low"], high, color=color, alpha=0.2, linewidth=0)
    ends = rates.iloc[[0, len(rates) // 2, -1]]
    axes.plot(ends["real_images"], ends["rate"], **style | {"linestyle": "none"})
    for row, side in zip(ends.itertuples(), ("left", "center", "right"), strict=True):
        text = rate_text(row.rate)
        place = {"textcoords": "offset points", "ha": side, "fontsize": 7}
        axes.annotate(text, (row.real_images, row.rate), (0, 6), **place)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("metrics",), arguments, exchange_settings)
    table = metrics.of_files(args.metrics, settings.law.evaluation, settings.law.experiments)

    def points(source: str, guidance: float | None) -> tuple[np.ndarray, np.ndarray]:
        runs = metrics.of_curve(table, source, guidance, settings.architecture)
        return runs["size"].to_numpy(float), runs["cross_entropy"].to_numpy()

    real = points(settings.real, None)
    at = np.geomspace(real[0].min(), real[0].max(), 60)
    figure, grid = panels.panel_grid(len(settings.curves), 2.3, 2.1, margins=(0.6, 0.4))
    drawn = []
    is_spent = any(curve.real_images_spent for curve in settings.curves)
    for axes, curve in zip(grid.flat, settings.curves, strict=False):
        rates = exchange_rate(real, points(curve.source, curve.guidance), at)
        columns = dict(zip(("source", "guidance", "architecture"), curve.key, strict=True))
        if curve.windows:
            share = curve.windows.per_window / curve.windows.images
            columns["rate_generated"] = rates["rate"] / share
        columns |= {"real_images_spent": curve.real_images_spent} if is_spent else {}
        drawn.append(rates.assign(**columns))
        style, label = plotting.line_style(curve.style), display_name(curve.label)
        draw(axes, rates, style, label, curve.real_images_spent)
    drawn = pd.concat(drawn)
    visible = np.append(drawn.loc[matches(drawn), "rate"], 1)
    first = grid[0, 0]
    limits = {"xlim": (at[0] / 1.2, at[-1] * 1.2), "ylim": (visible.min() / 3, visible.max() * 6)}
    first.set(xscale="log", yscale="log", **limits)
    panels.label_sizes(first.xaxis, np.unique(real[0]))
    first.yaxis.set_major_formatter(lambda value, _: tick_text(value))
    first.yaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("real training images", fontsize=9)
    figure.supylabel("synthetic images worth the next real one", fontsize=9)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
