"""CLIP models of real, synthetic, and real and synthetic pairs, zero-shot on every set and task:
top-1 and cross-entropy.

Equal numbers of captions: a mixture of N captions, each with its real and its synthetic image, is a
run of 2 N images, and stands next to the runs of N real and of N synthetic ones. Synthetic ones are
shown once more at their largest number. In the csv `size` counts images and `each` those of each
part. Mean and standard deviation over seeds; the last row is the mean over all sets and tasks. A
vertical tick: chance, 1 / number of classes that have images, and the logarithm of that number.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from synscale.analysis import metrics
from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings

MEASURES = {"top1": "zero-shot top-1 (%)", "cross_entropy": "cross-entropy (nats)"}
MEAN = "mean of all"


def told(model: dict) -> str:
    """Label of a model: what it is trained on, and how many of each."""
    each = " of each" if model["size"] != model["each"] else ""
    return f"{plotting.words(model['label'])}: {plotting.count(model['each'])}{each}"


def spread(table: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each model on each set, and on their mean:
    evaluation, name, model (position), measure, size, each, mean, sd, seeds. table: `metrics.read`.
    Raises ValueError where a run is missing.
    """
    rows, names = [], settings["evaluations"]
    for evaluation in [*names, list(names)]:
        runs = metrics.of_experiments(metrics.overall(table, evaluation), settings["experiments"])
        for place, model in enumerate(settings["models"]):
            own = metrics.of_curve(runs, model["source"], model["guidance"], model["architecture"])
            own = own[own["size"] == model["size"]]
            key = (
                {"evaluation": evaluation, "name": names[evaluation]}
                if isinstance(evaluation, str)
                else {"evaluation": None, "name": MEAN}
            )
            for measure in MEASURES:
                found = {
                    "measure": measure,
                    "mean": own[measure].mean(),
                    "sd": own[measure].std(ddof=1),
                    "seeds": len(own),
                }
                rows.append(
                    key
                    | {
                        "model": place,
                        "label": told(model),
                        "size": model["size"],
                        "each": model["each"],
                    }
                    | found
                )
    return pd.DataFrame(rows)


def classes_of(table: pd.DataFrame) -> pd.Series:
    """Number of classes of each evaluation set or task, by the rows of its classes; sets without
    such rows are not in it.
    """
    return table.dropna(subset="class_id").groupby("evaluation")["class_id"].nunique()


def draw(
    axes: plt.Axes, drawn: pd.DataFrame, measure: str, chance: dict[str, float], signs: list[dict]
) -> None:
    """Rows of sets, in each a point for every model. drawn: of `spread`; chance: level by name."""
    names, scale = list(dict.fromkeys(drawn["name"])), 100 if measure == "top1" else 1
    for place, sign in enumerate(signs):
        own = drawn[(drawn["model"] == place) & (drawn["measure"] == measure)]
        y = np.arange(len(names)) + 0.7 * ((place + 0.5) / len(signs) - 0.5)
        axes.errorbar(scale * own["mean"], y, xerr=scale * own["sd"], elinewidth=0.8, **sign)
    levels = [scale * chance.get(name, np.nan) for name in names]
    axes.vlines(
        levels,
        np.arange(len(names)) - 0.42,
        np.arange(len(names)) + 0.42,
        color="0.35",
        linewidth=1.2,
        linestyle=(0, (2, 1.5)),
    )
    for edge in np.arange(0.5, len(names) - 1):
        axes.axhline(edge, color="0.85" if edge < len(names) - 2 else "0.2", linewidth=0.6)
    axes.set_yticks(range(len(names)), [plotting.words(name) for name in names])
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=MEASURES[measure])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3, linewidth=0.4)
    axes.set_xlim(left=0)


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "metrics"), arguments, figure_settings.transfer_settings
    )
    plotting.style()
    table = metrics.read(args.metrics)
    drawn, names = spread(table, settings), settings["evaluations"]
    counts = {
        names[evaluation]: count
        for evaluation, count in classes_of(table).items()
        if evaluation in names
    }
    chance = {
        "top1": {name: 1 / count for name, count in counts.items()},
        "cross_entropy": {name: np.log(count) for name, count in counts.items()},
    }
    drawn["chance"] = [
        chance[measure].get(name)
        for measure, name in zip(drawn["measure"], drawn["name"], strict=True)
    ]
    signs = [
        plotting.look(model["look"]) | {"linestyle": "none", "markersize": 4}
        for model in settings["models"]
    ]
    for model, sign in zip(settings["models"], signs, strict=True):
        sign.update({"markersize": 7, "markerfacecolor": "#FFFFFF"} if model["extra"] else {})
    height = 0.9 + len(set(drawn["name"])) * max(0.3, 0.085 * len(signs))
    figure, panels = plt.subplots(
        1, len(MEASURES), figsize=(7.2, height), sharey=True, layout="constrained"
    )
    figure.get_layout_engine().set(wspace=0.06)
    for axes, measure in zip(panels, MEASURES, strict=True):
        draw(axes, drawn, measure, chance[measure], signs)
    handles = [
        Line2D([], [], label=told(model), **sign)
        for model, sign in zip(settings["models"], signs, strict=True)
    ]
    handles.append(
        Line2D([], [], color="0.35", linewidth=1.2, linestyle=(0, (2, 1.5)), label="chance")
    )
    title = f"image-text pairs; {plotting.seeds(drawn['seeds'].min())}"
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        fontsize=7,
        title=title,
        title_fontsize=7,
    )
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
