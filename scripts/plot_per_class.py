"""Which classes get better with more synthetic images, and which of their scores tells: a scaling
law for each class.

(a) Cross-entropy of each class against size, for the first curve of the study's list: mean over
seeds, and the class's own pure law over the sizes of the study's law. Groups (names are the
paper's, thresholds the study's): easy, top-1 at the smallest size is `easy_top1` at least; poor, k
below `poor_k`; scaling, all others. (b) The first images of one class of each group, the one with
the median k: nothing is picked. (c, d) k against recognizability and diversity, a point for each
class and curve, bars (of 20 classes at most) the 95 % t-intervals of k. Spearman's rho of ranks
within each curve, so that what curves differ in as a whole is no difference of classes, with a 95 %
interval from 2,000 resamples of whole classes, as every class stands there once for each curve.
Classes that have no law (a loss of 0) are counted, not drawn.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from scipy.optimize import isotonic_regression

from scripts.plot_samples import show
from synscale.analysis import metrics, per_class
from synscale.analysis.laws import power
from synscale.data import shards
from synscale.report import plotting
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings import figures as figure_settings

# Tol's high-contrast colours: apart from each other in grey too, and none of them a source's.
SIGNS = {"easy": ("#DDAA33", "o"), "scaling": ("#004488", "^"), "poor": ("#BB5566", "v")}
OTHER = ("#888888", "x")  # neither easy nor with a law
SCORES = {"recognizability": "recognizability (F1)", "diversity": "diversity (s.d. of features)"}
NAMED = 20  # more classes than this are drawn without names and bars, and faintly
COLUMNS = 10  # of example images
KEYS = ["source", "guidance", "class_id"]


def sign_of(group) -> tuple[str, str]:
    return SIGNS.get(group, OTHER)


def apart(values: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Places (N,) for labels between low and high, as near to values (N,) as a distance of `gap`
    between neighbours lets them be (least squares).
    """
    values = np.asarray(values, float)
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    places = np.empty(len(values))
    places[order] = (
        np.clip(isotonic_regression(values[order] - steps).x, low, high - steps[-1]) + steps
    )
    return places


def class_scores(paths: list[str]) -> pd.DataFrame:
    """A row for each source, guidance scale and class, from files of `score`."""
    entries = [
        entry for path in paths for entry in json.loads(Path(path).read_text(encoding="utf-8"))
    ]
    rows = [
        {"source": entry["source"], "guidance": entry["guidance"]} | row
        for entry in entries
        for row in entry["per_class"]
    ]
    return pd.DataFrame(rows).astype({"guidance": "Float64"})


def draw_laws(
    axes: plt.Axes, points: pd.DataFrame, laws: pd.DataFrame, names: dict[int, str]
) -> None:
    """Loss against size of every class of one curve. points: class_id, size, loss."""
    few = len(laws) <= NAMED
    for row in laws.itertuples():
        own = points[points["class_id"] == row.class_id]
        color, marker = sign_of(row.group)
        axes.plot(
            own["size"],
            own["loss"],
            color=color,
            marker=marker,
            markersize=3.5 if few else 1.5,
            linestyle="none",
            alpha=1 if few else 0.4,
        )
        if np.isfinite(row.k):
            sizes = np.geomspace(own["size"].min(), own["size"].max(), 30)
            axes.plot(
                sizes,
                np.exp(power.log_loss(np.log(sizes), row.k, row.log_scale)),
                color=color,
                linewidth=0.9 if few else 0.3,
                alpha=1 if few else 0.2,
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="training images",
        ylabel="cross-entropy of the class (nats)",
    )
    sizes = np.unique(points["size"])
    plotting.tick_sizes(axes.xaxis, sizes)
    axes.xaxis.minorticks_off()
    plotting.round_ticks(axes, plotting.LOSS_TICKS)
    axes.grid(alpha=0.3, linewidth=0.4)
    if few:
        name_ends(
            axes,
            points[points["size"] == sizes[-1]].merge(
                laws[["class_id", "k", "group"]], on="class_id"
            ),
            names,
        )


def name_ends(axes: plt.Axes, ends: pd.DataFrame, names: dict[int, str]) -> None:
    """The name and k of each class beside its last point. ends: class_id, size, loss, k, group."""
    low, high = np.log(axes.get_ylim())
    gap = 0.062 * (high - low)
    edge = np.exp(low)  # a loss of 0 has its name at the lower edge
    places = np.exp(apart(np.log(ends["loss"].clip(lower=edge)), gap, low + gap / 2, high))
    for row, place in zip(ends.itertuples(), places, strict=True):
        told = "no law" if np.isnan(row.k) else f"{row.k:z.2f}".replace("-", "−")
        axes.plot(
            [row.size * 1.08, row.size * 1.3],
            [max(row.loss, edge), place],
            color="0.6",
            linewidth=0.5,
            clip_on=False,
        )
        axes.text(row.size * 1.35, place, f"{names[row.class_id]} {told}", fontsize=7, va="center")


def name_points(axes: plt.Axes, points: list[tuple[float, float, str]]) -> None:
    """A name beside each point (x, y, name), at the first of six places inside the axes where it
    meets no point and no name before it; a name that finds none is left out. The figure must have
    its layout.
    """
    at = axes.transData.transform([(x, y) for x, y, _ in points])
    taken = [Bbox.from_extents(*(place - 3), *(place + 3)) for place in at]
    for x, y, name in points:
        for place in ((4, 3), (4, -8), (-4, 3), (-4, -8), (4, 9), (-4, 9)):
            text = axes.annotate(
                name,
                (x, y),
                place,
                textcoords="offset points",
                ha="left" if place[0] > 0 else "right",
                fontsize=6,
                zorder=20,
            )
            text.set_in_layout(False)
            box = text.get_window_extent().padded(1)
            if (
                axes.bbox.x0 <= box.x0
                and box.x1 <= axes.bbox.x1
                and not any(box.overlaps(other) for other in taken)
            ):
                taken.append(box)
                break
            text.remove()


def draw_score(
    axes: plt.Axes, table: pd.DataFrame, score: str, letter: str, curves: list[dict]
) -> dict:
    """k against a score; return their rank correlation."""
    for place, curve in enumerate(curves):
        own = metrics.of_curve(
            table, curve["source"], curve["guidance"], curve["architecture"]
        ).dropna(subset=["k", score])
        few = len(own) <= NAMED
        look = plotting.look(curve["look"]) | {
            "linestyle": "none",
            "markersize": 3.5 if few else 1.5,
            "alpha": 1 if few else 0.4,
        }
        spread = [own["k"] - own["k_low"], own["k_high"] - own["k"]] if few else None
        axes.errorbar(
            own[score], own["k"], spread, elinewidth=0.35, zorder=len(curves) - place + 2, **look
        )
    found = per_class.rank_correlation(table, score, within=per_class.CURVE)
    told = (
        "none"
        if np.isnan(found["rho"])
        else f"{found['rho']:z.2f} [{found['low']:z.2f}, {found['high']:z.2f}]"
    )
    axes.axhline(0, color="0.4", linewidth=0.8, linestyle=":")
    axes.set(xlabel=SCORES[score])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(
        f"({letter}) ρ within curves = {told}, n = {found['n']}".replace("-", "−"),
        fontsize=8,
        loc="left",
    )
    axes.grid(alpha=0.3, linewidth=0.4)
    return {"score": score} | found


def draw_examples(
    figure: plt.Figure, place, laws: pd.DataFrame, tar: str, settings: dict, names: dict[int, str]
) -> pd.DataFrame:
    """The first images of the median class of each group, a row each; return their manifest rows."""
    guidance, shown_rows = settings["curves"][0]["guidance"], []
    for letter, row, group in zip(
        ("(b) ", "", ""), place.subgridspec(len(SIGNS), 1, hspace=0.35), SIGNS, strict=True
    ):
        axes, class_id = figure.add_subplot(row), per_class.median_class(laws, group)
        axes.set_axis_off()
        axes.set_anchor("W")
        here = "" if class_id is None else f"; here {names[class_id]}"
        color, marker = sign_of(group)
        key = Line2D([], [], color=color, marker=marker, linewidth=0.9, markersize=3.5)
        count = (laws["group"] == group).sum()
        key.set_label(f"{letter}{group}: {count} class{'' if count == 1 else 'es'}{here}")
        axes.legend(
            handles=[key], loc="lower left", bbox_to_anchor=(-0.02, 0.95), fontsize=7.5, borderpad=0
        )
        if class_id is None:
            continue

        def first(rows: pd.DataFrame, class_id=class_id) -> pd.Series:
            own = (rows["class_id"] == class_id) & (rows["guidance"] == guidance)
            return own & (own.cumsum() <= settings["examples"])

        images, manifest = shards.read(tar, first)
        show(axes, images, min(settings["examples"], COLUMNS))
        shown_rows.append(manifest[["key", "class_id", "guidance"]].assign(group=group))
    return pd.concat(shown_rows) if shown_rows else pd.DataFrame()


def draw(
    laws: pd.DataFrame, points: pd.DataFrame, tar: str, settings: dict, names: dict[int, str]
) -> tuple[plt.Figure, pd.DataFrame]:
    """laws: class laws with scores; points: mean losses of the first curve. Return the figure and
    the table of what it shows.
    """
    curves = settings["curves"]
    first = metrics.of_curve(laws, *(curves[0][name] for name in per_class.CURVE))
    figure = plt.figure(figsize=(7.2, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1])
    top = figure.add_subplot(grid[0, 0])
    draw_laws(top, points, first, names)
    top.set_title(f"(a) {plotting.words(curves[0]['label'])}", fontsize=8, loc="left")
    others = int(first["group"].isna().sum())
    if others:
        top.text(0.02, 0.03, f"{others} without a law", transform=top.transAxes, fontsize=7)
    examples = draw_examples(figure, grid[0, 1], first, tar, settings, names)
    left = figure.add_subplot(grid[1, 0])
    panels = dict(zip(SCORES, (left, figure.add_subplot(grid[1, 1], sharey=left)), strict=True))
    correlations = pd.DataFrame(
        [
            draw_score(axes, laws, score, letter, curves)
            for letter, (score, axes) in zip("cd", panels.items(), strict=True)
        ]
    )
    left.set_ylabel("scaling ability k of a class")
    signs = [
        plotting.look(curve["look"]) | {"linestyle": "none", "markersize": 4} for curve in curves
    ]
    handles = [
        Line2D([], [], label=plotting.words(curve["label"]), **sign)
        for curve, sign in zip(curves, signs, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7)
    if len(first) <= NAMED:
        figure.draw_without_rendering()
        for score, axes in panels.items():
            own = first.dropna(subset=["k", score])
            name_points(
                axes, list(zip(own[score], own["k"], own["class_id"].map(names), strict=True))
            )
    parts = {"loss": points, "law": laws, "correlation": correlations, "example": examples}
    drawn = pd.concat([table.assign(part=part) for part, table in parts.items()])
    drawn.insert(0, "part", drawn.pop("part"))
    return figure, drawn


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "classes", "images", "scores", "metrics"),
        arguments,
        figure_settings.per_class_settings,
    )
    plotting.style()
    table = metrics.read(args.metrics)
    names = class_table.read(args.classes[0]).set_index("class_id")["name"].to_dict()
    laws = per_class.class_laws(table, settings, settings["curves"]).merge(
        class_scores(args.scores), on=KEYS, how="left", validate="many_to_one"
    )
    first = [settings["curves"][0][name] for name in per_class.CURVE]
    runs = metrics.of_curve(per_class.by_class(table, settings["evaluation"]), *first)
    runs = runs[runs["size"].between(*settings["sizes"])]
    points = (
        runs.groupby(["class_id", "size"])["cross_entropy"]
        .agg(loss="mean", loss_min="min", loss_max="max")
        .reset_index()
    )
    points = points.assign(**dict(zip(per_class.CURVE, first, strict=True)))
    figure, drawn = draw(laws, points, args.images[0], settings, names)
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
