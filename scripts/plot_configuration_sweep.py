"""Every configuration at one size, the largest of its experiment.

Top-1 against guidance scale by recipe, and where in the recognizability-diversity plane it is best.
Bars: standard deviation over seeds.
"""

import matplotlib.pyplot as plt
import pandas as pd

from synscale.analysis import metrics, result_files
from synscale.analysis.result_files import CONFIGURATION
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.configuration_figures import ConfigurationSettings, sweep_settings
from synscale.workflow.settings.curves import ELSEWHERE


def configurations(
    score_files: list[str], metric_files: list[str], settings: ConfigurationSettings
) -> pd.DataFrame:
    """Return names, metrics over seeds, scores and size (`images`) of each configuration."""
    table = metrics.of_files(metric_files, settings.evaluation, settings.experiments)
    size = table["size"].max()
    rows = metrics.at_largest_size(table, settings.architecture)
    groups = rows.groupby(CONFIGURATION, dropna=False)
    by_seed = groups[["top1", "cross_entropy"]].agg(["mean", "std", "count"])
    by_seed.columns = ["_".join(names) for names in by_seed.columns]
    scores = result_files.scores(score_files).drop(columns="images")
    labels = metrics.label_table(settings.labels)
    drawn = labels.merge(by_seed.reset_index(), on=CONFIGURATION, validate="one_to_one")
    return drawn.merge(scores, on=CONFIGURATION).assign(images=size)


def draw_top1(
    axes: plt.Axes, rows: pd.DataFrame, unguided: pd.DataFrame, styles: dict[str, dict]
) -> None:
    """Draw top-1 of one generator against guidance scale, a line for each recipe.

    Horizontal lines are real images and those that were generated elsewhere (`unguided`).
    """
    rows = rows.dropna(subset=["guidance"])
    for recipe, style in styles.items():
        line = rows[rows["recipe"] == recipe].sort_values("guidance").astype({"guidance": float})
        if not line.empty:
            top1, spread = 100 * line["top1_mean"], 100 * line["top1_std"]
            label = display_name(recipe)
            axes.errorbar(line["guidance"], top1, spread, label=label, elinewidth=0.6, **style)
    for row in unguided.itertuples():
        color = styles[row.recipe]["color"] if row.recipe in styles else plotting.REAL
        line = {"color": color, "linestyle": "--", "linewidth": 1}
        axes.axhline(100 * row.top1_mean, label=row.recipe, **line)
    ticks = sorted({float(scale) for scale in rows["guidance"]})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def draw_plane(
    axes: plt.Axes, drawn: pd.DataFrame, real: pd.DataFrame, generators: list[str]
) -> None:
    """Draw every configuration in the recognizability-diversity plane, coloured by top-1."""
    top1 = 100 * drawn["top1_mean"]
    colours = {"cmap": "cividis", "vmin": top1.min(), "vmax": top1.max()}
    for marker, generator in zip(plotting.MARKERS, generators, strict=False):
        is_shown = drawn["generator"] == generator
        points = drawn.loc[is_shown, ["recognizability", "diversity"]].to_numpy().T
        style = {"c": top1[is_shown], "marker": marker, "s": 26, "label": display_name(generator)}
        drawing = axes.scatter(*points, **style, **colours)
    if len(real):
        points = real[["recognizability", "diversity"]].to_numpy().T
        star = {"color": plotting.REAL, "marker": "*", "s": 90, "label": "real, held out"}
        axes.scatter(*points, **star)
    axes.figure.colorbar(drawing, ax=axes, label="top-1 (%)")
    axes.set(xlabel="recognizability (mean F1)", ylabel="diversity", title="all configurations")
    handles = axes.legend(loc="best", fontsize=7).legend_handles
    for handle in handles[: len(generators)]:
        handle.set(array=None, facecolor="0.35")  # not the colour of a value


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("scores", "metrics"), arguments, sweep_settings)
    drawn = configurations(args.scores, args.metrics, settings)
    generators = settings.generators
    all_styles = plotting.recipe_styles(settings.labels)
    styles = {recipe: all_styles[recipe] for recipe in settings.recipes}
    real = drawn[drawn["generator"] == "real"]
    unguided = drawn[drawn["generator"].isin(["real", ELSEWHERE])]
    # A panel for each generator; one if all images were generated elsewhere.
    names = [name for name in generators if name != ELSEWHERE] or generators
    columns = min(2, len(names))
    lines = len(names) // columns + 1
    figure = plt.figure(figsize=(7.2, 2.6 * lines + 0.5), layout="constrained")
    grid = figure.add_gridspec(lines, columns)
    shown = []
    for place, generator in enumerate(names):
        sharey = shown[0] if shown else None
        axes = figure.add_subplot(grid[divmod(place, columns)], sharey=sharey)
        shown.append(axes)
        draw_top1(axes, drawn[drawn["generator"] == generator], unguided, styles)
        axes.set(title=display_name(generator), xlabel="guidance scale")
        axes.tick_params(labelleft=place % columns == 0)
        if place % columns == 0:
            axes.set_ylabel(f"top-1 (%), {panels.count(drawn['images'].iloc[0])} images")
    panels.legend_below(figure, panels.entries(shown), ncols=4)
    plane = figure.add_subplot(grid[-1, len(names) % columns :])
    draw_plane(plane, drawn, real, generators)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
