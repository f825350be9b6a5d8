"""Every configuration at one size, the largest of its experiment.

Top-1 against guidance scale by recipe, and where in the recognizability-diversity plane it is best.
Bars: standard deviation over seeds.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from synscale.analysis import metrics
from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "scores", "metrics"), arguments, figure_settings.sweep_settings
    )
    plotting.style()
    labels = (
        pd.DataFrame(settings["labels"])
        .drop(columns=["images", "look"])
        .astype({"guidance": "Float64"})
    )
    table = metrics.of_files(args.metrics, settings["evaluation"], settings["experiments"])
    size = table["size"].max()
    table = table[(table["architecture"] == settings["architecture"]) & (table["size"] == size)]
    top1 = table.groupby(["source", "guidance"], dropna=False)[["top1", "cross_entropy"]].agg(
        ["mean", "std", "count"]
    )
    top1.columns = ["_".join(names) for names in top1.columns]
    scores = pd.DataFrame(
        [
            entry
            for path in args.scores
            for entry in json.loads(Path(path).read_text(encoding="utf-8"))
        ]
    ).drop(columns=["per_class", "images"])
    drawn = labels.merge(
        top1.reset_index(), on=["source", "guidance"], validate="one_to_one"
    ).merge(scores.astype({"guidance": "Float64"}), on=["source", "guidance"])
    drawn["images"] = size

    generators, recipes = settings["generators"], settings["recipes"]
    looks = plotting.recipe_looks(settings["labels"])
    real = drawn[drawn["generator"] == "real"]
    columns = min(2, len(generators))
    lines = len(generators) // columns + 1
    figure = plt.figure(figsize=(7.2, 2.6 * lines + 0.5), layout="constrained")
    grid = figure.add_gridspec(lines, columns)
    panels = []
    for place, generator in enumerate(generators):
        panels.append(
            axes := figure.add_subplot(
                grid[divmod(place, columns)], sharey=panels[0] if panels else None
            )
        )
        for recipe in recipes:
            line = (
                drawn[(drawn["generator"] == generator) & (drawn["recipe"] == recipe)]
                .sort_values("guidance")
                .astype({"guidance": float})
            )
            if not line.empty:
                axes.errorbar(
                    line["guidance"],
                    100 * line["top1_mean"],
                    100 * line["top1_std"],
                    label=plotting.words(recipe),
                    elinewidth=0.6,
                    **looks[recipe],
                )
        for level in real["top1_mean"]:
            axes.axhline(
                100 * level, color=plotting.REAL, linestyle="--", linewidth=1, label="real"
            )
        ticks = sorted({float(g) for g in drawn.loc[drawn["generator"] == generator, "guidance"]})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set(title=plotting.words(generator), xlabel="guidance scale")
        axes.grid(alpha=0.3)
        axes.tick_params(labelleft=place % columns == 0)
        if place % columns == 0:
            axes.set_ylabel(f"top-1 (%), {plotting.count(size)} images")
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)

    plane = figure.add_subplot(grid[-1, len(generators) % columns :])
    for marker, generator in zip(plotting.MARKERS, generators, strict=False):
        points = drawn[drawn["generator"] == generator]
        drawing = plane.scatter(
            points["recognizability"], points["diversity"], c=100 * points["top1_mean"], cmap="cividis", marker=marker, s=26, label=plotting.words(generator),
            vmin=100 * drawn["top1_mean"].min(), vmax=100 * drawn["top1_mean"].max(),
        )  # fmt: skip
    if len(real):
        plane.scatter(
            real["recognizability"],
            real["diversity"],
            color=plotting.REAL,
            marker="*",
            s=90,
            label="real, held out",
        )
    figure.colorbar(drawing, ax=plane, label="top-1 (%)")
    plane.set(xlabel="recognizability (mean F1)", ylabel="diversity", title="all configurations")
    for handle, _ in zip(
        plane.legend(loc="best", fontsize=7).legend_handles, generators, strict=False
    ):
        handle.set(array=None, facecolor="0.35")  # not the colour of a value
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
