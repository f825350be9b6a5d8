"""Scaling ability k of each source, side by side: supervised and CLIP.

As the paper's Figure 1, on the set like the training images and on others. k is the exponent of the
pure law that the study fits, the bar on top its 95 % interval (Student). Higher is better; a k
below 0 is a loss that grows with more images.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from synscale.analysis import result_files
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.curves import Curve
from synscale.workflow.settings.figures import TeaserPanel, teaser_settings

COLUMNS = [
    *("panel", "law", "group", "place", "label", "source", "guidance", "architecture"),
    *("k", "k_low", "k_high", "sizes"),
]
REAL_HATCH = ""
HATCHES = ("////", "....", "\\\\\\\\", "xxxx", "oo", "++", "--")  # for grey prints
SPACE = 0.8  # share of a group's width that its bars fill


def bars(panel: TeaserPanel, fits: dict[str, dict[tuple, dict]]) -> pd.DataFrame:
    """Return a row for each law and curve of a panel: its k with the interval.

    Raises KeyError if a law has no such curve. fits: as `result_files.fitted_curves`.
    """
    rows = []
    for law, group in panel.laws.items():
        for place, curve in enumerate(panel.curves):
            fitted = fits[law][curve.key]
            exponent = fitted["k"], *fitted["k_interval"], len(fitted["sizes"])
            rows.append((panel.title, law, group, place, curve.label, *curve.key, *exponent))
    return pd.DataFrame(rows, columns=COLUMNS)


def bar_styles(settings_panels: list[TeaserPanel]) -> list[list[dict]]:
    """Return colour and hatch of each curve of each panel; real images have no hatch."""
    hatches = {}
    for panel in settings_panels:
        for curve in panel.curves:
            if curve.style.kind != "real":
                key = curve.source, curve.guidance
                hatches.setdefault(key, HATCHES[len(hatches) % len(HATCHES)])

    def bar_style(curve: Curve) -> dict:
        color = plotting.line_style(curve.style)["color"]
        hatch = hatches.get((curve.source, curve.guidance), REAL_HATCH)
        return {"facecolor": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0}

    return [[bar_style(curve) for curve in panel.curves] for panel in settings_panels]


def draw(axes: plt.Axes, rows: pd.DataFrame, styles: list[dict]) -> None:
    """Draw one panel. styles: of each curve by its place."""
    groups = list(dict.fromkeys(rows["group"]))
    width = SPACE / len(styles)
    halo = {"ecolor": "white", "elinewidth": 2.6, "capsize": 2.8, "capthick": 2.6}  # seen on black
    bar = {"ecolor": "black", "elinewidth": 1, "capsize": 2}
    for place, style in enumerate(styles):
        of_curve = rows[rows["place"] == place]
        x = np.arange(len(groups)) + (place + 0.5) * width - SPACE / 2
        axes.bar(x, of_curve["k"], 0.92 * width, **style)
        spread = [of_curve["k"] - of_curve["k_low"], of_curve["k_high"] - of_curve["k"]]
        axes.errorbar(x, of_curve["k"], spread, fmt="none", zorder=3, **halo)
        axes.errorbar(x, of_curve["k"], spread, fmt="none", zorder=4, **bar)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(groups)), groups, fontsize=8)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.set_title(rows["panel"].iloc[0])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    panels.draw_grid(axes, axis="y")
    axes.set_axisbelow(True)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("laws",), arguments, teaser_settings)
    fits = result_files.fitted_curves(args.laws)
    drawn = [bars(panel, fits) for panel in settings.panels]
    widths = [len(rows) + rows["law"].nunique() for rows in drawn]
    figure, grid = panels.subplots(1, len(drawn), (7.2, 3.4), width_ratios=widths, sharey=True)
    styles = bar_styles(settings.panels)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.1), "fontsize": 7}
    parts = zip(grid[0], drawn, settings.panels, styles, strict=True)
    for axes, rows, panel, panel_styles in parts:
        draw(axes, rows, panel_styles)
        pairs = zip(panel.curves, panel_styles, strict=True)
        handles = [Patch(label=display_name(curve.label), **style) for curve, style in pairs]
        axes.legend(handles=handles, ncols=2 if len(handles) > 3 else 1, **below)
    grid[0, 0].set_ylabel("scaling ability k\n(95 % interval; higher is better →)")
    plotting.write(figure, pd.concat(drawn), args.output)


if __name__ == "__main__":
    main()
