"""Scaling ability k of each source, side by side: supervised and CLIP, on the set like the training
images and on others.

As the paper's Figure 1. k is the exponent of the pure law that the study fits, the bar on top its
95 % interval (Student). Higher is better; a k below 0 is a loss that grows with more images.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings

HATCHES = (
    "",
    "////",
    "....",
    "\\\\\\\\",
    "xxxx",
    "oo",
    "++",
    "--",
)  # beside the colour, for grey prints; the first is for real images
SPACE = 0.8  # share of a group's width that its bars fill


def bars(panel: dict, fits: dict[str, dict]) -> pd.DataFrame:
    """A row for each law and curve of a panel: its k with the interval. fits: law -> (source,
    guidance, architecture) -> entry of the law.

    Raises KeyError where a law has no such curve.
    """
    rows = []
    for law, group in panel["laws"].items():
        for place, curve in enumerate(panel["curves"]):
            key = curve["source"], curve["guidance"], curve["architecture"]
            fitted = fits[law][key]
            own = {
                "panel": panel["title"],
                "law": law,
                "group": group,
                "place": place,
                "label": curve["label"],
            }
            named = dict(zip(("source", "guidance", "architecture"), key, strict=True))
            rows.append(
                own
                | named
                | {
                    "k": fitted["k"],
                    "k_low": fitted["k_interval"][0],
                    "k_high": fitted["k_interval"][1],
                    "sizes": len(fitted["sizes"]),
                }
            )
    return pd.DataFrame(rows)


def draw(axes: plt.Axes, rows: pd.DataFrame, looks: list[dict]) -> None:
    """looks: of each curve by its place, colour and hatch."""
    groups = list(dict.fromkeys(rows["group"]))
    width = SPACE / len(looks)
    for place, look in enumerate(looks):
        own = rows[rows["place"] == place]
        x = np.arange(len(groups)) + (place + 0.5) * width - SPACE / 2
        axes.bar(x, own["k"], 0.92 * width, **look)
        spread = [own["k"] - own["k_low"], own["k_high"] - own["k"]]
        axes.errorbar(
            x,
            own["k"],
            spread,
            fmt="none",
            ecolor="white",
            elinewidth=2.6,
            capsize=2.8,
            capthick=2.6,
            zorder=3,
        )  # seen on black
        axes.errorbar(
            x, own["k"], spread, fmt="none", ecolor="black", elinewidth=1, capsize=2, zorder=4
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(groups)), groups, fontsize=8)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.set_title(rows["panel"].iloc[0])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.grid(axis="y", alpha=0.3, linewidth=0.4)
    axes.set_axisbelow(True)


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "laws"), arguments, figure_settings.teaser_settings
    )
    plotting.style()
    fits = {}
    for path in args.laws:
        law = json.loads(Path(path).read_text(encoding="utf-8"))
        fits[Path(path).stem] = {
            (curve["source"], curve["guidance"], curve["architecture"]): curve
            for curve in law["curves"]
        }
    panels = settings["panels"]
    drawn = [bars(panel, fits) for panel in panels]
    widths = [len(rows) + len(panel["laws"]) for rows, panel in zip(drawn, panels, strict=True)]
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(7.2, 3.4),
        width_ratios=widths,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    hatches = dict.fromkeys(
        (curve["source"], curve["guidance"])
        for panel in panels
        for curve in panel["curves"]
        if curve["look"]["kind"] != "real"
    )
    hatches = {pair: HATCHES[1 + place % (len(HATCHES) - 1)] for place, pair in enumerate(hatches)}
    for own, rows, panel in zip(axes[0], drawn, panels, strict=True):
        looks = []
        for curve in panel["curves"]:
            hatch = hatches.get((curve["source"], curve["guidance"]), HATCHES[0])
            looks.append(
                {
                    "facecolor": plotting.look(curve["look"])["color"],
                    "hatch": hatch,
                    "edgecolor": "white",
                    "linewidth": 0,
                }
            )
        draw(own, rows, looks)
        handles = [
            Patch(label=plotting.words(curve["label"]), **look)
            for curve, look in zip(panel["curves"], looks, strict=True)
        ]
        own.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.1),
            fontsize=7,
            ncols=2 if len(handles) > 3 else 1,
        )
    axes[0, 0].set_ylabel("scaling ability k\n(95 % interval; higher is better →)")
    plotting.write(figure, pd.concat(drawn), args.output)


if __name__ == "__main__":
    main()
