"""Panels of the figure of classes: the law of each class, and exponents against scores."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from synscale.analysis import metrics, per_class
from synscale.analysis.laws import power
from synscale.report import axes as panels
from synscale.report.label_places import spread_out
from synscale.report.plotting import line_style
from synscale.workflow.settings.curves import Curve

# Tol's high-contrast colours: they differ in grey too, and none of them is a source's.
STYLES = {"easy": ("#DDAA33", "o"), "scaling": ("#004488", "^"), "poor": ("#BB5566", "v")}
OTHER = ("#888888", "x")  # neither easy nor with a law
SCORES = {"recognizability": "recognizability (F1)", "diversity": "diversity (s.d. of features)"}
NAMED = 20  # more classes than this are drawn faintly, without names and bars


def draw_laws(
    axes: plt.Axes, points: pd.DataFrame, laws: pd.DataFrame, names: dict[int, str]
) -> None:
    """Draw loss against size of every class of one curve.

    Parameters
    ----------
    axes : Axes
    points : DataFrame
        class_id, size, loss.
    laws : DataFrame
        As `per_class.class_laws` returns them.
    names : dict
        By class_id.
    """
    few = len(laws) <= NAMED
    marks = {"linestyle": "none", "markersize": 3.5, "alpha": 1}
    lines = {"linewidth": 0.9, "alpha": 1}
    if not few:
        marks |= {"markersize": 1.5, "alpha": 0.4}
        lines = {"linewidth": 0.3, "alpha": 0.2}
    for row in laws.itertuples():
        rows = points[points["class_id"] == row.class_id]
        color, marker = STYLES.get(row.group, OTHER)
        axes.plot(rows["size"], rows["loss"], color=color, marker=marker, **marks)
        if np.isfinite(row.k):
            sizes = np.geomspace(rows["size"].min(), rows["size"].max(), 30)
            losses = np.exp(power.log_loss(np.log(sizes), row.k, row.log_scale))
            axes.plot(sizes, losses, color=color, **lines)
    axes.set(xscale="log", yscale="log", xlabel="training images")
    axes.set_ylabel("cross-entropy of the class (nats)")
    sizes = np.unique(points["size"])
    panels.label_sizes(axes.xaxis, sizes)
    axes.xaxis.minorticks_off()
    panels.label_measure(axes, panels.LOSS_TICKS)
    panels.draw_grid(axes)
    if few:
        last = points[points["size"] == sizes[-1]]
        name_ends(axes, last.merge(laws[["class_id", "k", "group"]], on="class_id"), names)


def name_ends(axes: plt.Axes, ends: pd.DataFrame, names: dict[int, str]) -> None:
    """Write the name and k of each class next to its last point.

    Parameters
    ----------
    axes : Axes
    ends : DataFrame
        Columns class_id, size, loss, k, group.
    names : dict of int to str
        Class id to name.
    """
    low, high = np.log(axes.get_ylim())
    gap = 0.062 * (high - low)
    edge = np.exp(low)  # a loss of 0 has its name at the lower edge
    log_losses = np.log(ends["loss"].clip(lower=edge))
    places = np.exp(spread_out(log_losses, gap, low + gap / 2, high))
    line = {"color": "0.6", "linewidth": 0.5, "clip_on": False}
    for row, place in zip(ends.itertuples(), places, strict=True):
        exponent = "no law" if np.isnan(row.k) else panels.minus(f"{row.k:z.2f}")
        axes.plot([row.size * 1.08, row.size * 1.3], [max(row.loss, edge), place], **line)
        text = f"{names[row.class_id]} {exponent}"
        axes.text(row.size * 1.35, place, text, fontsize=7, va="center")


def draw_score(
    axes: plt.Axes, table: pd.DataFrame, score: str, letter: str, curves: list[Curve]
) -> dict:
    """Draw k against a score; return their rank correlation.

    Parameters
    ----------
    axes : Axes
    table : DataFrame
        Laws of classes with scores.
    score, letter : str
        Column, and letter of the panel.
    curves : list of Curve
    """
    for place, curve in enumerate(curves):
        rows = metrics.of_curve(table, *curve.key).dropna(subset=["k", score])
        few = len(rows) <= NAMED
        size = {"markersize": 3.5, "alpha": 1} if few else {"markersize": 1.5, "alpha": 0.4}
        style = line_style(curve.style) | {"linestyle": "none"} | size
        spread = [rows["k"] - rows["k_low"], rows["k_high"] - rows["k"]] if few else None
        order = {"elinewidth": 0.35, "zorder": len(curves) - place + 2}
        axes.errorbar(rows[score], rows["k"], spread, **order, **style)
    result = per_class.rank_correlation(table, score, within=per_class.CURVE)
    rho = "none"
    if not np.isnan(result["rho"]):
        rho = f"{result['rho']:z.2f} [{result['low']:z.2f}, {result['high']:z.2f}]"
    axes.axhline(0, color="0.4", linewidth=0.8, linestyle=":")
    axes.set(xlabel=SCORES[score])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    title = panels.minus(f"({letter}) ρ within curves = {rho}, n = {result['n']}")
    axes.set_title(title, fontsize=8, loc="left")
    panels.draw_grid(axes)
    return {"score": score} | result
