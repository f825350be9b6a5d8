"""Beyond the fit range of the pure law: three laws fitted to every size, and those that the data do
not rule out.

The law is chosen by AICc and by predicting the largest sizes from the smaller ones
(synscale.analysis.laws.choose). Few sizes do not distinguish the laws, so each title has k under every
law that is not ruled out, and one interval over all of them. The thin line is the pure law over the
fit range of the study, extrapolated.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from synscale.analysis import laws, metrics
from synscale.report import plotting, tables
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings

NAMES = {"power": "pure law", "floor": "law with a floor", "broken": "broken law"}
SHORT = {"power": "pure", "floor": "with floor", "broken": "bent"}
LINES = dict(
    zip(NAMES, zip(plotting.PALETTE, ("--", "-.", ":"), strict=False), strict=True)
)  # colour and dashes


def describe(choice: laws.Choice) -> str:
    """Return the finding, and k under the laws that are not ruled out with one interval, in two
    lines as wide as a panel.
    """
    more = choice.fit.more
    finding = f"no bend can be detected with {choice.fit.sizes} sizes"
    if choice.fit.law == "floor":
        low, high = more["floor_interval"]
        finding = f"floor {tables.interval(more['floor'], low, high)}"
    elif choice.fit.law == "broken":
        finding = f"bends at {more['break']:,.0f}"
    exponents = [
        f"{tables.number(choice.fits[law].k)} {SHORT[law]}" for law in choice.not_ruled_out
    ]
    low, high = choice.k_interval
    ends = f"[{tables.number(low)}, {tables.number(high)}]"
    return f"{finding}\nk {', '.join(exponents)} {ends}"


def draw(
    axes: plt.Axes, points: pd.DataFrame, fit_range: tuple[int, int], label: str
) -> list[dict]:
    """Draw one curve with its laws; return a row for each law."""
    by_size = points.groupby("size")["cross_entropy"].agg(["mean", "min", "max"])
    spread = np.maximum(
        [by_size["mean"] - by_size["min"], by_size["max"] - by_size["mean"]], 0
    )  # not -1e-17
    axes.errorbar(
        by_size.index, by_size["mean"], spread, color="0.3", fmt="o", markersize=3.5, elinewidth=0.6
    )
    sizes = np.geomspace(by_size.index.min(), by_size.index.max(), 100)
    inside = points[points["size"].between(*fit_range)]
    pure = laws.fit("power", inside["size"], inside["cross_entropy"])
    axes.plot(
        sizes,
        pure.loss(sizes),
        color="0.6",
        linewidth=0.8,
        label="pure law, fit range extrapolated",
    )
    choice, rows = laws.choose(points["size"], points["cross_entropy"]), []
    for law, fitted in choice.fits.items():
        color, dash = LINES[law]
        best = law == choice.fit.law
        axes.plot(
            sizes,
            fitted.loss(sizes),
            color=color,
            linestyle="-" if best else dash,
            linewidth=2 if best else 1,
            label=NAMES[law],
        )
        own = {
            "law": law,
            "chosen": best,
            "n": fitted.n,
            "k": fitted.k,
            "k_low": fitted.k_interval[0],
            "k_high": fitted.k_interval[1],
        }
        own |= {"aicc": fitted.aicc, "held_out_error": choice.held_out[law]}
        own |= {
            "not_ruled_out": law in choice.not_ruled_out,
            "warnings": "; ".join(choice.warnings),
        }
        own |= {"any_law_k_low": choice.k_interval[0], "any_law_k_high": choice.k_interval[1]}
        rows.append(own | {name: fitted.more.get(name) for name in ("floor", "k_after", "break")})
    axes.set_title(f"{label}\n{describe(choice)}", fontsize=8)
    axes.set(xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both", linewidth=0.4)
    return rows


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "metrics"), arguments, figure_settings.beyond_settings
    )
    plotting.style()
    table, drawn, curves = metrics.read(args.metrics), [], []
    for panel in settings["panels"]:
        several = len(panel["curves"]) > 1
        curves += [
            curve
            | {
                "law": panel["law"],
                "label": f"{panel['title']}, {curve['label']}" if several else panel["title"],
            }
            for curve in panel["curves"]
        ]
    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    size = (2.6 * columns + 0.4, 2.5 * lines + 0.5)
    figure, grid = plt.subplots(
        lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    for axes, curve in zip(grid.flat, curves, strict=False):
        law = settings["laws"][curve.pop("law")]
        points = metrics.of_experiments(
            metrics.overall(table, law["evaluation"]), law["experiments"]
        )
        points = metrics.of_curve(points, curve["source"], curve["guidance"], curve["architecture"])
        curve.pop("look")
        drawn += [
            curve | row for row in draw(axes, points, law["sizes"], plotting.words(curve["label"]))
        ]
    first = grid[0, 0]
    plotting.round_ticks(first, plotting.LOSS_TICKS)
    plotting.count_images(first.xaxis)
    for axes in grid[:, 0]:
        axes.set_ylabel("cross-entropy (nats)")
    for axes in grid.flat[len(curves) - columns : len(curves)]:  # those with none below
        axes.set_xlabel("training images")
        axes.tick_params(labelbottom=True)
    entries = {}  # a curve of few sizes does not have every law
    for axes in grid.flat[: len(curves)]:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2)
    plotting.write(figure, pd.DataFrame(drawn), args.output)


if __name__ == "__main__":
    main()
