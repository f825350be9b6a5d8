"""Beyond the fit range of the pure law: three laws fitted to every size of each curve.

The law is chosen by AICc and by predicting the largest sizes from the smaller ones
(synscale.analysis.laws.choose). Few sizes do not distinguish the laws, so each title has k under
every law that is not ruled out, and one interval over all of them. The thin line is the pure law
over the fit range of the study, extrapolated.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from synscale.analysis import laws, metrics
from synscale.report import axes as panels
from synscale.report import plotting, tables
from synscale.report.names import display_name
from synscale.workflow.settings.curves import Curve
from synscale.workflow.settings.figures import Panel, beyond_settings

NAMES = {"power": "pure law", "floor": "law with a floor", "broken": "broken law"}
SHORT = {"power": "pure", "floor": "with floor", "broken": "bent"}
STYLES = dict(zip(NAMES, zip(plotting.PALETTE, ("--", "-.", ":"), strict=False), strict=True))


def describe(choice: laws.Choice) -> str:
    """Return the finding, and k under the laws that are not ruled out, in two lines."""
    more = choice.fit.more
    finding = f"no bend can be detected with {choice.fit.sizes} sizes"
    if choice.fit.law == "floor":
        finding = f"floor {tables.interval(more['floor'], *more['floor_interval'])}"
    elif choice.fit.law == "broken":
        finding = f"bends at {more['break']:,.0f}"
    exponents = ", ".join(
        f"{tables.number(choice.fits[law].k)} {SHORT[law]}" for law in choice.not_ruled_out
    )
    low, high = choice.k_interval
    return f"{finding}\nk {exponents} [{tables.number(low)}, {tables.number(high)}]"


def rows_of(choice: laws.Choice) -> list[dict]:
    """Return a row of the csv for each law."""
    return [
        {
            "law": law,
            "chosen": law == choice.fit.law,
            **{"n": fitted.n, "k": fitted.k},
            **dict(zip(("k_low", "k_high"), fitted.k_interval, strict=True)),
            **{"aicc": fitted.aicc, "held_out_error": choice.held_out[law]},
            "not_ruled_out": law in choice.not_ruled_out,
            "warnings": "; ".join(choice.warnings),
            **dict(zip(("any_law_k_low", "any_law_k_high"), choice.k_interval, strict=True)),
            **{name: fitted.more.get(name) for name in ("floor", "k_after", "break")},
        }
        for law, fitted in choice.fits.items()
    ]


def draw(
    axes: plt.Axes, points: pd.DataFrame, fit_range: tuple[int, int], label: str
) -> list[dict]:
    """Draw one curve with its laws; return a row for each law."""
    style = {"color": "0.3", "fmt": "o", "markersize": 3.5}
    sizes = panels.draw_seeds(axes, points, "cross_entropy", **style)
    sizes = np.geomspace(sizes.min(), sizes.max(), 100)
    inside = points[points["size"].between(*fit_range)]
    pure = laws.fit("power", inside["size"], inside["cross_entropy"]).loss(sizes)
    text = "pure law, fit range extrapolated"
    axes.plot(sizes, pure, color="0.6", linewidth=0.8, label=text)
    choice = laws.choose(points["size"], points["cross_entropy"])
    for law, fitted in choice.fits.items():
        color, dash = STYLES[law]
        dash, width = ("-", 2) if law == choice.fit.law else (dash, 1)
        style = {"color": color, "linestyle": dash, "linewidth": width}
        axes.plot(sizes, fitted.loss(sizes), label=NAMES[law], **style)
    axes.set_title(f"{label}\n{describe(choice)}", fontsize=8)
    axes.set(xscale="log", yscale="log")
    panels.draw_grid(axes, which="both")
    return rows_of(choice)


def label_of(panel: Panel, curve: Curve) -> str:
    """Return the label of a curve, with the title of its panel."""
    return f"{panel.title}, {curve.label}" if len(panel.curves) > 1 else panel.title


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("metrics",), arguments, beyond_settings)
    table = metrics.read(args.metrics)
    curves = [(panel, curve) for panel in settings.panels for curve in panel.curves]
    figure, grid = panels.panel_grid(len(curves), 2.6, 2.5, margins=(0.4, 0.5))
    drawn = []
    for axes, (panel, curve) in zip(grid.flat, curves, strict=False):
        law = settings.laws[panel.law]
        overall = metrics.overall(table, law.evaluation)
        points = metrics.of_curve(metrics.of_experiments(overall, law.experiments), *curve.key)
        label = label_of(panel, curve)
        columns = dict(zip(("source", "guidance", "architecture"), curve.key, strict=True))
        columns["label"] = label
        drawn += [columns | row for row in draw(axes, points, law.sizes, display_name(label))]
    panels.label_measure(grid[0, 0], panels.LOSS_TICKS)
    panels.label_counts(grid[0, 0].xaxis)
    for axes in grid[:, 0]:
        axes.set_ylabel("cross-entropy (nats)")
    for axes in panels.lowest(grid, len(curves)):
        axes.set_xlabel("training images")
    # A curve of few sizes does not have every law.
    panels.legend_below(figure, panels.entries(grid.flat[: len(curves)]), ncols=2)
    plotting.write(figure, pd.DataFrame(drawn), args.output)


if __name__ == "__main__":
    main()
