"""Recognizability against diversity: a line for each prompt recipe through its guidance scales.

A panel for each generator. Images that were generated elsewhere are a point in every panel.
"""

import matplotlib.pyplot as plt
import pandas as pd

from synscale.analysis import metrics, result_files
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.curves import ELSEWHERE
from synscale.workflow.settings.figures import plane_settings

PLANE = ["recognizability", "diversity"]


def name_scales(axes: plt.Axes, line: pd.DataFrame) -> None:
    """Write its guidance scale next to each point that is not too close to an earlier one.

    The figure must have its layout.
    """
    written = []
    for guidance, *point in line[["guidance", *PLANE]].itertuples(index=False):
        place = axes.transData.transform(point)
        if all(abs(place - other).max() > 12 for other in written):
            written.append(place)
            offset = {"textcoords": "offset points", "fontsize": 7}
            axes.annotate(f"{guidance:g}", point, (4, 4), **offset)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("scores",), arguments, plane_settings)
    labels = metrics.label_table(settings.labels)
    table = result_files.scores(args.scores).merge(labels, on=result_files.CONFIGURATION)
    styles = plotting.recipe_styles(settings.labels)
    generators = settings.generators or [ELSEWHERE]
    count = len(generators)
    figsize = min(3.2, 7.2 / count) * count, 3.6
    figure, grid = panels.subplots(1, count, figsize, sharex=True, sharey=True)
    real = table.loc[table["generator"] == "real", PLANE].to_numpy().T
    star = {"color": plotting.REAL, "markersize": 11, "label": "real, held out"}
    elsewhere = table[table["generator"] == ELSEWHERE]
    by_generator = {
        generator: table[table["generator"] == generator].sort_values("guidance")
        for generator in generators
    }
    for axes, (generator, rows) in zip(grid[0], by_generator.items(), strict=True):
        for recipe in settings.recipes:
            line = rows.loc[rows["recipe"] == recipe, PLANE]
            if not line.empty:
                axes.plot(*line.to_numpy().T, label=display_name(recipe), **styles[recipe])
        axes.plot(*real, "*", **star)
        for row in elsewhere.itertuples():
            axes.plot(row.recognizability, row.diversity, label=row.recipe, **styles[row.recipe])
        axes.set(title=display_name(generator), xlabel="recognizability (mean F1)")
        axes.grid(alpha=0.3)
    grid[0][0].set_ylabel("diversity (within-class s.d. of features)")
    panels.legend_below(figure, panels.entries(grid[0]), ncols=4, fontsize=8)
    figure.draw_without_rendering()
    for axes, rows in zip(grid[0], by_generator.values(), strict=True):
        name_scales(axes, rows[rows["recipe"].isin(settings.recipes[:1])])
    plotting.write(figure, table, args.output)


if __name__ == "__main__":
    main()
