"""Which score of a set of synthetic images tells how useful it is to train on: top-1 against each
score, and all scores at once.

A point is a configuration: generator, prompt recipe, guidance scale. Top-1: mean over seeds at the
largest size of the experiment. Above each panel Spearman's rho with its 95 % interval (Fisher z,
Bonett and Wright's variance). Right: coefficients of a regression of top-1 on all scores, each
standardised (95 % HC3 intervals), beside the correlation of each score with top-1 given the others.
Real images are drawn, a dashed line, and are in no statistic.
"""

import json
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from synscale.analysis import metrics, score_correlation
from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings

SCORES = {
    "recognizability": "recognizability",
    "diversity": "diversity",
    "fid": "FID",
    "lpips": "LPIPS",
    "precision": "precision",
    "recall": "recall",
}
KEYS = ["source", "guidance"]


def configurations(score_files: list[str], metric_files: list[str], settings: dict) -> pd.DataFrame:
    """A row for each configuration: its names, every score, top1 (mean over seeds at the largest
    size) and top1_std.
    """
    table = metrics.of_files(metric_files, settings["evaluation"], settings["experiments"])
    table = table[
        (table["architecture"] == settings["architecture"]) & (table["size"] == table["size"].max())
    ]
    top1 = (
        table.groupby([*KEYS, "size"], dropna=False)["top1"]
        .agg(top1="mean", top1_std="std", seeds="count")
        .reset_index()
    )
    entries = [
        entry
        for path in score_files
        for entry in json.loads(Path(path).read_text(encoding="utf-8"))
    ]
    scores = pd.DataFrame(entries)[[*KEYS, *SCORES]].astype({"guidance": "Float64"})
    labels = (
        pd.DataFrame(settings["labels"])
        .drop(columns=["images", "look"])
        .astype({"guidance": "Float64"})
    )
    return labels.merge(scores, on=KEYS, validate="one_to_one").merge(
        top1, on=KEYS, validate="one_to_one"
    )


def statistics(synthetic: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A row for each score: Spearman's rho, and what the regression on all of them says; and, where
    there can be none, why.
    """
    rows = pd.DataFrame({"score": list(SCORES), "spearman": float("nan")})
    for place, score in enumerate(SCORES):
        try:
            rows.loc[place, ["spearman", "spearman_low", "spearman_high"]] = (
                score_correlation.spearman(synthetic[score], synthetic["top1"])
            )
        except score_correlation.UsefulnessError:
            continue
    try:
        return rows.merge(
            score_correlation.regression(synthetic[list(SCORES)], synthetic["top1"]), on="score"
        ), ""
    except score_correlation.UsefulnessError as error:
        return rows, str(error)


def draw_score(
    axes: plt.Axes,
    table: pd.DataFrame,
    score: str,
    row: pd.Series,
    signs: dict[str, dict[str, dict]],
) -> None:
    """Top-1 against one score. signs: colour of each recipe, marker and filling of each generator."""
    for (generator, recipe), points in table[table["recipe"] != "real"].groupby(
        ["generator", "recipe"], sort=False
    ):
        color = signs["recipe"][recipe]
        axes.plot(
            points[score],
            100 * points["top1"],
            **{"color": color, "markerfacecolor": color} | signs["generator"][generator],
        )
    for level in table.loc[table["recipe"] == "real", "top1"]:
        axes.axhline(100 * level, color=plotting.REAL, linestyle="--", linewidth=0.8)
    told = (
        "no rank correlation"
        if pd.isna(row["spearman"])
        else f"Spearman ρ = {row['spearman']:.2f}\n[{row['spearman_low']:.2f}, {row['spearman_high']:.2f}]"
    )
    axes.set_title(told.replace("-", "−"), fontsize=7, pad=4)
    axes.set_xlabel(SCORES[score], fontsize=8, labelpad=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.3, linewidth=0.5)


def draw_regression(left: plt.Axes, right: plt.Axes, rows: pd.DataFrame, count: int) -> None:
    """Coefficient and partial correlation of each score, with intervals, and its variance inflation
    factor.
    """
    columns = (
        (left, "coefficient", "low", "high", "coefficient\n(s.d. per s.d.)"),
        (right, "partial", "partial_low", "partial_high", "partial\ncorrelation"),
    )
    at = [-place for place in range(len(rows))]
    for axes, value, low, high, name in columns:
        ends = [rows[value] - rows[low], rows[high] - rows[value]]
        axes.errorbar(
            rows[value], at, xerr=ends, fmt="o", color=plotting.REAL, markersize=3.5, elinewidth=1
        )
        axes.axvline(0, color="0.4", linewidth=0.8, linestyle=":")
        axes.set_xlabel(name, fontsize=8, labelpad=2)
        axes.grid(alpha=0.3, axis="x", linewidth=0.5)
    reach = 1.05 * max(rows["high"].abs().max(), rows["low"].abs().max())
    left.set(xlim=(-reach, reach), ylim=(0.5 - len(rows), 0.5))
    left.set_yticks(at, [f"{SCORES[row.score]}\nVIF {row.vif:.0f}" for row in rows.itertuples()])
    left.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    right.set_xlim(-1, 1)
    right.set_xticks([-0.5, 0, 0.5], ["−0.5", "0", "0.5"])
    left.set_title(
        f"all scores at once: n = {count}, adj. R² = {rows['r_squared'].iloc[0]:.2f}".replace(
            "-", "−"
        ),
        fontsize=7,
        pad=4,
        x=1.05,
    )


def draw(table: pd.DataFrame, rows: pd.DataFrame, reason: str, settings: dict) -> plt.Figure:
    signs = {
        "recipe": {
            recipe: look["color"]
            for recipe, look in plotting.recipe_looks(settings["labels"]).items()
        },
        "generator": {},
    }
    for place, generator in enumerate(
        settings["generators"]
    ):  # as in the other figures, only the first generator's markers are filled
        signs["generator"][generator] = {
            "linestyle": "",
            "marker": plotting.MARKERS[place],
            "markersize": 3.5,
            "markeredgewidth": 0.9,
        }
        signs["generator"][generator] |= {"markerfacecolor": "#FFFFFF"} if place else {}
    figure = plt.figure(figsize=(7.2, 3.7), layout="constrained")
    grid = figure.add_gridspec(2, 5, width_ratios=[1, 1, 1, 0.75, 0.75])
    panels = []
    for place, score in enumerate(SCORES):
        panels.append(
            figure.add_subplot(grid[divmod(place, 3)], sharey=panels[0] if panels else None)
        )
        panels[-1].tick_params(labelleft=place % 3 == 0)
        draw_score(panels[-1], table, score, rows.iloc[place], signs)
    figure.supylabel(
        f"top-1 (%), {plotting.count(table['size'].iloc[0])} training images", fontsize=8
    )
    synthetic = int((table["recipe"] != "real").sum())
    if reason:
        axes = figure.add_subplot(grid[:, 3:])
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, "no regression:\n" + fill(reason, 30), ha="center", va="center", fontsize=7
        )
    else:
        left = figure.add_subplot(grid[:, 3])
        panels += [left, figure.add_subplot(grid[:, 4], sharey=left)]
        panels[-1].tick_params(labelleft=False)
        draw_regression(*panels[-2:], rows, synthetic)
    for axes in panels:
        axes.tick_params(labelsize=7)
    handles = [
        Patch(color=signs["recipe"][recipe], label=plotting.words(recipe))
        for recipe in settings["recipes"]
    ]
    handles += [
        Line2D([], [], color="0.35", label=plotting.words(name), **look)
        for name, look in signs["generator"].items()
    ]
    if len(table) > synthetic:
        handles.append(
            Line2D([], [], linestyle="--", color=plotting.REAL, linewidth=0.8, label="real")
        )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=5,
        fontsize=7,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.4,
    )
    return figure


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "scores", "metrics"), arguments, figure_settings.scores_settings
    )
    plotting.style()
    table = configurations(args.scores, args.metrics, settings)
    rows, reason = statistics(table[table["recipe"] != "real"])
    drawn = pd.concat([table.assign(part="configuration"), rows.assign(part="regression")])
    drawn.insert(0, "part", drawn.pop("part"))
    plotting.write(draw(table, rows, reason, settings), drawn, args.output)


if __name__ == "__main__":
    main()
