"""Cross-entropy and top-1 of real images against the number of training images, with the fitted
laws and their exponents k.

Each panel has a law of the study: its curves, its evaluation sets (of several, their mean), its
range of sizes.
"""

import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from synscale.analysis import metrics
from synscale.analysis.laws import power
from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings

MEASURES = (("cross_entropy", "cross-entropy (nats)"), ("top1", "top-1 (%)"))
TICKS = {"cross_entropy": plotting.LOSS_TICKS, "top1": plotting.TOP1_TICKS}


def draw_curve(
    axes, points: pd.DataFrame, fitted: dict, measure: str, label: str | None, look: dict
) -> None:
    """Mean and range over seeds at each size; the fitted line on the loss alone, dotted past the
    sizes that it is fitted to.

    label: None leaves the curve's name to a legend of the whole figure.
    """
    by_size = points.groupby("size")[measure].agg(["mean", "min", "max"]) * (
        100 if measure == "top1" else 1
    )
    spread = np.maximum(
        [by_size["mean"] - by_size["min"], by_size["max"] - by_size["mean"]], 0
    )  # not -1e-17
    low, high = fitted["k_interval"]
    label = (
        f"{label + ': ' if label else ''}"
        + f"k = {fitted['k']:z.2f} [{low:z.2f}, {high:z.2f}]".replace("-", "−")
    )
    axes.errorbar(
        by_size.index,
        by_size["mean"],
        spread,
        elinewidth=0.6,
        label=label,
        **look | ({"linestyle": "none"} if measure == "cross_entropy" else {}),
    )
    if measure == "cross_entropy":
        first, last = fitted["sizes"][0], fitted["sizes"][-1]
        for sizes, dash in (
            (np.geomspace(first, last, 50), look["linestyle"]),
            (np.geomspace(last, max(by_size.index.max(), last), 50), ":"),
        ):
            losses = np.exp(power.log_loss(np.log(sizes), fitted["k"], fitted["log_scale"]))
            axes.plot(
                sizes, losses, color=look["color"], linewidth=look["linewidth"], linestyle=dash
            )


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "metrics", "laws", of=("scaling",)),
        arguments,
        figure_settings.panels_settings,
    )
    plotting.style()
    panels, table = settings["panels"], metrics.read(args.metrics)
    fits, points_of = {}, {}
    for path in args.laws:
        law = json.loads(Path(path).read_text(encoding="utf-8"))
        fits[Path(path).stem] = {
            (c["source"], c["guidance"], c["architecture"]): c for c in law["curves"]
        }
    for name, law in settings["laws"].items():
        points_of[name] = metrics.of_experiments(
            metrics.overall(table, law["evaluation"]), law["experiments"]
        )
    shared = "row" if len(settings["laws"]) == 1 else False
    figure, grid = plt.subplots(
        2,
        len(panels),
        figsize=(2.75 * len(panels) + 0.4, 5.6),
        sharex=True,
        sharey=shared,
        squeeze=False,
        layout="constrained",
    )
    names = [[curve["label"] for curve in panel["curves"]] for panel in panels]
    same = len(panels) > 2 and all(
        own == names[0] for own in names
    )  # then they are named once, under the panels
    drawn = []
    for column, panel in zip(grid.T, panels, strict=True):
        for curve in panel["curves"]:
            key = curve["source"], curve["guidance"], curve["architecture"]
            points, fitted = (
                metrics.of_curve(points_of[panel["law"]], *key),
                fits[panel["law"]][key],
            )
            for axes, (measure, _) in zip(column, MEASURES, strict=True):
                draw_curve(
                    axes,
                    points,
                    fitted,
                    measure,
                    None if same else plotting.words(curve["label"]),
                    plotting.look(curve["look"]),
                )
            own = {"panel": panel["title"], "law": panel["law"], "label": curve["label"]}
            drawn.append(
                points.assign(
                    **own,
                    k=fitted["k"],
                    k_low=fitted["k_interval"][0],
                    k_high=fitted["k_interval"][1],
                )
            )
        title = column[0].set_title(plotting.title(panel["title"], 42)).get_text()
        column[1].set_xlabel(
            "image-text pairs" if args.scaling == "clip_scaling" else "training images"
        )
        column[0].legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.12 + 0.07 * title.count("\n")), fontsize=6.5
        )
    for row, (measure, label) in zip(grid, MEASURES, strict=True):
        row[0].set_ylabel(label)
        for axes in row:
            axes.set(xscale="log", yscale="log")
            plotting.round_ticks(axes, TICKS[measure])
            plotting.count_images(axes.xaxis)
            axes.grid(alpha=0.3, which="both", linewidth=0.4)
    if same:
        handles = [
            mpl.lines.Line2D(
                [], [], label=plotting.words(curve["label"]), **plotting.look(curve["look"])
            )
            for curve in panels[0]["curves"]
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    plotting.write(figure, pd.concat(drawn), args.output)


if __name__ == "__main__":
    main()
