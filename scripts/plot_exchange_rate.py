"""How many synthetic images give what the next real image gives, at each number of real images,
with 95 % intervals.

Read off the law that each curve follows over all its sizes (table of laws). Dotted if the matching
number of synthetic images is outside those sizes, grey if no number matches. A panel for each
synthetic source; the numbers are the rates at its first, middle and last mark.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from synscale.analysis import metrics
from synscale.analysis.laws.exchange import exchange_rate
from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings


def rate_text(rate: float) -> str:
    """Return a rate with two digits: `0.54`, `66`, `3,800`, `280k`."""
    rounded = float(f"{rate:.2g}")
    return f"{rounded:g}" if rounded < 1000 else plotting.count(rounded)


def draw(axes: plt.Axes, rates: pd.DataFrame, look: dict, label: str) -> None:
    axes.axhline(1, color=plotting.REAL, linestyle="--", linewidth=1)
    axes.grid(alpha=0.3, which="both", linewidth=0.4)
    axes.set_title(plotting.title(label, 36), fontsize=8)
    matched = np.isfinite(rates["rate"]) & (rates["rate"] > 0)
    if not matched.any():
        axes.text(
            0.5,
            0.7,
            "none: no loss matches, or one does not fall",
            transform=axes.transAxes,
            ha="center",
            fontsize=7,
        )
        return
    if not matched.all():
        first, last = rates.loc[~matched, "real_images"].agg(["min", "max"])
        axes.axvspan(first, last, color="0.9", linewidth=0)
        axes.text(
            np.sqrt(first * last),
            0.5,
            "no match",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="center",
            fontsize=7,
            rotation=90,
        )
    rates = rates[matched]
    axes.plot(rates["real_images"], rates["rate"], color=look["color"], linestyle=":", linewidth=1)
    axes.plot(
        rates["real_images"],
        rates["rate"].where(rates["inside"]),
        color=look["color"],
        linewidth=1.6,
    )
    axes.fill_between(
        rates["real_images"],
        rates["rate_low"],
        rates["rate_high"].clip(upper=1e15),
        color=look["color"],
        alpha=0.2,
        linewidth=0,
    )
    ends = rates.iloc[[0, len(rates) // 2, -1]]
    axes.plot(ends["real_images"], ends["rate"], **look | {"linestyle": "none"})
    for row, side in zip(ends.itertuples(), ("left", "center", "right"), strict=True):
        axes.annotate(
            rate_text(row.rate),
            (row.real_images, row.rate),
            (0, 6),
            textcoords="offset points",
            ha=side,
            fontsize=7,
        )


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "metrics"), arguments, figure_settings.exchange_settings
    )
    plotting.style()
    table = metrics.of_files(args.metrics, settings["evaluation"], settings["experiments"])
    architecture = settings["architecture"]

    def rows(source, guidance):
        curve = metrics.of_curve(table, source, guidance, architecture)
        return curve["size"].to_numpy(float), curve["cross_entropy"].to_numpy()

    real = rows(settings["real"], None)
    at = np.geomspace(real[0].min(), real[0].max(), 60)
    curves, drawn = settings["curves"], []
    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(2.3 * columns + 0.6, 2.1 * lines + 0.4),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    for axes in grid.flat[len(curves) - columns : len(curves)]:  # those with none below
        axes.tick_params(labelbottom=True)
    for axes, curve in zip(grid.flat, curves, strict=False):
        rates = exchange_rate(real, rows(curve["source"], curve["guidance"]), at)
        drawn.append(
            rates.assign(
                source=curve["source"], guidance=curve["guidance"], architecture=architecture
            )
        )
        draw(axes, rates, plotting.look(curve["look"]), plotting.words(curve["label"]))
    drawn = pd.concat(drawn)
    visible = np.append(drawn.loc[np.isfinite(drawn["rate"]) & (drawn["rate"] > 0), "rate"], 1)
    first = grid[0, 0]
    first.set(
        xscale="log",
        yscale="log",
        xlim=(at[0] / 1.2, at[-1] * 1.2),
        ylim=(visible.min() / 3, visible.max() * 6),
    )
    plotting.tick_sizes(first.xaxis, np.unique(real[0]))
    first.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if value < 1 else plotting.count(value))
    )
    first.yaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("real training images", fontsize=9)
    figure.supylabel("synthetic images worth the next real one", fontsize=9)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
