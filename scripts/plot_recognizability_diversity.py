"""Recognizability against diversity: a line for each prompt recipe through its guidance scales, a
panel for each generator.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings


def name_scales(axes: plt.Axes, line: pd.DataFrame) -> None:
    """Write its guidance scale beside each point, but where it would lie on one that is written
    already. The figure must have its layout.
    """
    written = []
    for _, point in line.iterrows():
        place = axes.transData.transform((point["recognizability"], point["diversity"]))
        if all(abs(place - other).max() > 12 for other in written):
            written.append(place)
            axes.annotate(
                f"{point['guidance']:g}",
                (point["recognizability"], point["diversity"]),
                (4, 4),
                textcoords="offset points",
                fontsize=7,
            )


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "scores"), arguments, figure_settings.plane_settings
    )
    plotting.style()
    entries = [
        entry
        for path in args.scores
        for entry in json.loads(Path(path).read_text(encoding="utf-8"))
    ]
    table = (
        pd.DataFrame(entries)
        .drop(columns="per_class")
        .merge(
            pd.DataFrame(settings["labels"]).drop(columns=["images", "look"]),
            on=["source", "guidance"],
        )
    )
    looks = plotting.recipe_looks(settings["labels"])
    count = len(settings["generators"])
    size = min(3.2, 7.2 / count) * count, 3.6
    figure, panels = plt.subplots(
        1, count, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    real = table[table["generator"] == "real"]
    for axes, generator in zip(panels[0], settings["generators"], strict=True):
        for recipe in settings["recipes"]:
            line = table[
                (table["generator"] == generator) & (table["recipe"] == recipe)
            ].sort_values("guidance")
            if line.empty:
                continue
            axes.plot(
                line["recognizability"],
                line["diversity"],
                label=plotting.words(recipe),
                **looks[recipe],
            )
        axes.plot(
            real["recognizability"],
            real["diversity"],
            "*",
            color=plotting.REAL,
            markersize=11,
            label="real, held out",
        )
        axes.set(title=plotting.words(generator), xlabel="recognizability (mean F1)")
        axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("diversity (within-class s.d. of features)")
    handles = {
        label: handle
        for axes in panels[0]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8)
    figure.draw_without_rendering()
    for axes, generator in zip(panels[0], settings["generators"], strict=True):
        first = table[
            (table["generator"] == generator) & (table["recipe"] == settings["recipes"][0])
        ]
        name_scales(axes, first.sort_values("guidance"))
    plotting.write(figure, table, args.output)


if __name__ == "__main__":
    main()
