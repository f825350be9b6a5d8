"""CLIP models of real, synthetic, and real and synthetic pairs, zero-shot on every set and task.

Top-1 and cross-entropy at equal numbers of captions: a mixture of N captions, each with its real
and its synthetic image, is a run of 2 N images, and is next to the runs of N real and of N
synthetic ones. Synthetic ones are shown once more at their largest number. In the csv `size` counts
images and `each` those of each part. Mean and standard deviation over seeds; the last row is the
mean over all sets and tasks. A vertical tick: chance, 1 / number of classes that have images, and
the logarithm of that number.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from synscale.analysis import metrics
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings import mixed_figures
from synscale.workflow.settings.mixed_figures import TransferModel, TransferSettings

MEASURES = {"top1": "zero-shot top-1 (%)", "cross_entropy": "cross-entropy (nats)"}
MEAN = "mean of all"
COLUMNS = [
    *("evaluation", "name", "model", "label", "size", "each"),
    *("measure", "mean", "sd", "seeds"),
]
CHANCE = {"color": "0.35", "linewidth": 1.2, "linestyle": (0, (2, 1.5))}


def model_label(model: TransferModel) -> str:
    """Return what a model is trained on, and how many images of each part."""
    each = " of each" if model.size != model.each else ""
    return f"{display_name(model.curve.label)}: {panels.count(model.each)}{each}"


def summarize(table: pd.DataFrame, settings: TransferSettings) -> pd.DataFrame:
    """Return mean and standard deviation over seeds of each model on each set, and on their mean.

    Parameters
    ----------
    table : DataFrame
        As `metrics.read` returns it.
    settings : TransferSettings

    Returns
    -------
    DataFrame
        evaluation, name, model (position), label, size, each, measure, mean, sd, seeds.

    Raises
    ------
    ValueError
        If a run is missing.
    """
    rows = []
    all_sets = list(settings.evaluations)
    names = [(name, name, text) for name, text in settings.evaluations.items()]
    for evaluations, evaluation, name in [*names, (all_sets, None, MEAN)]:
        overall = metrics.overall(table, evaluations)
        runs = metrics.of_experiments(overall, settings.experiments)
        for place, model in enumerate(settings.models):
            by_seed = metrics.of_curve(runs, *model.curve.key)
            by_seed = by_seed[by_seed["size"] == model.size]
            key = evaluation, name, place, model_label(model), model.size, model.each
            for measure in MEASURES:
                values = by_seed[measure]
                rows.append((*key, measure, values.mean(), values.std(ddof=1), len(values)))
    return pd.DataFrame(rows, columns=COLUMNS)


def class_counts(table: pd.DataFrame) -> pd.Series:
    """Return the number of classes of each set or task that has rows of its classes."""
    return table.dropna(subset="class_id").groupby("evaluation")["class_id"].nunique()


def draw(axes: plt.Axes, drawn: pd.DataFrame, measure: str, styles: list[dict]) -> None:
    """Draw a row for each set, with a point for every model. drawn: `summarize` with chance."""
    drawn = drawn[drawn["measure"] == measure]
    chance = drawn.drop_duplicates("name").set_index("name")["chance"]
    scale = 100 if measure == "top1" else 1
    places = np.arange(len(chance))
    for model, style in enumerate(styles):
        rows = drawn[drawn["model"] == model]
        y = places + 0.7 * ((model + 0.5) / len(styles) - 0.5)
        axes.errorbar(scale * rows["mean"], y, xerr=scale * rows["sd"], elinewidth=0.8, **style)
    levels = scale * chance.to_numpy(float)
    axes.vlines(levels, places - 0.42, places + 0.42, **CHANCE)
    for edge in places[:-1] + 0.5:
        axes.axhline(edge, color="0.85" if edge < len(places) - 2 else "0.2", linewidth=0.6)
    axes.set_yticks(places, [display_name(name) for name in chance.index])
    axes.set(ylim=(len(places) - 0.5, -0.5), xlabel=MEASURES[measure])
    axes.tick_params(axis="y", length=0)
    panels.draw_grid(axes, axis="x")
    axes.set_xlim(left=0)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(
        __doc__, ("metrics",), arguments, mixed_figures.transfer_settings
    )
    table = metrics.read(args.metrics)
    drawn = summarize(table, settings)
    counts = drawn["evaluation"].map(class_counts(table)).astype(float)
    drawn["chance"] = np.where(drawn["measure"] == "top1", 1 / counts, np.log(counts))
    styles = []
    for model in settings.models:
        style = plotting.line_style(model.curve.style) | {"linestyle": "none", "markersize": 4}
        large = {"markersize": 7, "markerfacecolor": "#FFFFFF"}
        styles.append(style | (large if model.extra else {}))
    height = 0.9 + drawn["name"].nunique() * max(0.3, 0.085 * len(styles))
    options = {"figsize": (7.2, height), "sharey": True, "layout": "constrained"}
    figure, both = plt.subplots(1, len(MEASURES), **options)
    figure.get_layout_engine().set(wspace=0.06)
    for axes, measure in zip(both, MEASURES, strict=True):
        draw(axes, drawn, measure, styles)
    pairs = zip(settings.models, styles, strict=True)
    handles = [Line2D([], [], label=model_label(model), **style) for model, style in pairs]
    handles.append(Line2D([], [], label="chance", **CHANCE))
    title = f"image-text pairs; {panels.seeds_text(drawn['seeds'].min())}"
    texts = {"fontsize": 7, "title": title, "title_fontsize": 7}
    panels.legend_below(figure, handles, ncols=3, **texts)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
