"""Panels of figure `joint_law`: contours over both numbers of images, predictions, and costs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator, NullLocator

from synscale.report import axes as panels
from synscale.report import plotting

NUMBERS = ["real_images", "synthetic_images"]
WORTHS = 10.0 ** np.arange(-5, 3)  # contours of the value of an image
TEXT = {"fontsize": 7}


def _label_numbers(axis: Axis, set_scale, numbers: np.ndarray) -> None:
    """Scale an axis of numbers of images, from none on, and label it."""
    positive = numbers[numbers > 0]
    set_scale("symlog", linthresh=positive.min(), linscale=0.5)
    steps = 1 + int(np.log(positive.max() / positive.min()) / np.log(4) + 1e-9)
    ticks = [0, *(positive.min() * 4 ** np.arange(steps))]
    axis.set_ticks(ticks, map(panels.count, ticks))
    axis.set_minor_locator(NullLocator())


def _number_axes(axes: plt.Axes, points: pd.DataFrame) -> None:
    _label_numbers(axes.xaxis, axes.set_xscale, points["synthetic_images"].to_numpy())
    _label_numbers(axes.yaxis, axes.set_yscale, points["real_images"].to_numpy())
    axes.set(xlabel="synthetic images", ylabel="real images")


def _cells(grid: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray, np.ma.MaskedArray]:
    """Return synthetic and real numbers, and a column on their grid without missing values."""
    wide = grid.pivot(index="real_images", columns="synthetic_images", values=column)
    values = np.ma.masked_invalid(wide.to_numpy(float))
    return wide.columns.to_numpy(float), wide.index.to_numpy(float), values


def draw_losses(axes: plt.Axes, grid: pd.DataFrame, points: pd.DataFrame) -> None:
    """Draw contours of the law's loss, and the measured losses in the same colours.

    Parameters
    ----------
    axes : Axes
    grid : DataFrame
        synthetic_images, real_images and loss of a rectangular grid.
    points : DataFrame
        The same columns of the measured losses.
    """
    x, y, losses = _cells(grid, "loss")
    low, high = points["loss"].min(), points["loss"].max()
    levels = np.geomspace(low, max(high, low * 1.001), 13)
    colours = {"cmap": "viridis_r", "norm": LogNorm(levels[0], levels[-1])}
    axes.contourf(x, y, losses, levels, extend="both", alpha=0.75, **colours)
    lines = axes.contour(x, y, losses, levels[::3], colors="0.25", linewidths=0.6)
    axes.clabel(lines, fmt="%.3g", fontsize=6)
    axes.scatter(
        points["synthetic_images"],
        points["real_images"],
        c=points["loss"],
        s=18,
        edgecolors="black",
        linewidths=0.5,
        clip_on=False,
        zorder=4,
        **colours,
    )
    _number_axes(axes, points)


def draw_worth(axes: plt.Axes, grid: pd.DataFrame, points: pd.DataFrame) -> None:
    """Draw contours of the value of the next synthetic image, in real images.

    Grey: it does harm. Hatched: the interval has both signs.

    Parameters
    ----------
    axes : Axes
    grid : DataFrame
        synthetic_images, real_images, worth and its interval on a rectangular grid.
    points : DataFrame
        Measured losses, which are marked.
    """
    x, y, worth = _cells(grid, "worth")
    inside = np.ma.masked_less_equal(worth, 0)
    axes.contourf(x, y, worth, [-np.inf, 0], colors=["0.8"])
    if inside.count():
        top = np.clip(np.ceil(np.log10(inside.max())), -12, 12)
        bottom = np.clip(np.floor(np.log10(inside.min())), top - 6, top - 1)
        shades = 10.0 ** np.linspace(bottom, top, 13)
        axes.contourf(x, y, inside, shades, cmap="Purples", norm=LogNorm(), extend="min")
        labels = sorted({*WORTHS, *(3 * WORTHS)})
        lines = axes.contour(x, y, inside, labels, colors="0.25", linewidths=0.6)
        axes.clabel(lines, fmt=lambda value: f"{value:.2g}", fontsize=6)
    _, _, low = _cells(grid, "worth_low")
    _, _, high = _cells(grid, "worth_high")
    is_unknown = np.ma.filled((low <= 0) & (high >= 0), fill_value=False).astype(float)
    if is_unknown.any():
        shown = axes.contourf(x, y, is_unknown, [0.5, 1.5], colors="none", hatches=["////"])
        shown.set_edgecolor("0.45")
        shown.set_linewidth(0)
    _number_axes(axes, points)


def draw_held_out(axes: plt.Axes, table: pd.DataFrame, labels: dict[str, str]) -> None:
    """Draw predicted against measured losses of mixtures that the fit has not seen.

    Parameters
    ----------
    axes : Axes
    table : DataFrame
        As `joint.held_out` returns it.
    labels : dict of str to str
        Curve -> label.
    """
    shown = table[["loss", "without_curve", "largest"]].to_numpy(float)
    ends = np.nanmin(shown) / 1.05, np.nanmax(shown) * 1.05
    axes.plot(ends, ends, color="0.5", linewidth=0.8)
    for place, (curve, rows) in enumerate(table.groupby("curve", sort=False)):
        colour = plotting.PALETTE[place % len(plotting.PALETTE)]
        marker = {"color": colour, "marker": plotting.MARKERS[place], "linestyle": "none"}
        label = labels.get(str(curve), str(curve))
        axes.plot(rows["loss"], rows["without_curve"], markersize=4, label=label, **marker)
        axes.plot(rows["loss"], rows["largest"], markersize=7, markerfacecolor="none", **marker)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    axes.set(xlabel="measured cross-entropy (nats)", ylabel="predicted")
    panels.label_measure(axes, panels.LOSS_TICKS)
    ticks = axes.get_yticks()
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.legend(**TEXT)


def draw_costs(axes: plt.Axes, table: pd.DataFrame, currency: str) -> None:
    """Draw the cost of the cheapest mixture, and of images of one kind, against the loss.

    Parameters
    ----------
    axes : Axes
    table : DataFrame
        loss, cost, cost_low, cost_high, and the costs of real_only and synthetic_only.
    currency : str
    """
    x = table["loss"]

    def positive(column: str) -> pd.Series:
        values = table[column]
        return values.where(np.isfinite(values) & (values > 0))

    band = positive("cost_low"), positive("cost_high").fillna(table["cost_high"].clip(upper=1e15))
    axes.fill_between(x, *band, color=plotting.MIXTURE, alpha=0.2, linewidth=0)
    axes.plot(x, positive("cost"), color=plotting.MIXTURE, label="cheapest mixture")
    real = {"color": plotting.REAL, "linestyle": "--", "linewidth": 1}
    axes.plot(x, positive("real_only"), label="real images only", **real)
    synthetic = {"color": plotting.PALETTE[0], "linestyle": ":", "linewidth": 1.2}
    axes.plot(x, positive("synthetic_only"), label="synthetic images only", **synthetic)
    reached = table[positive("cost").notna()]
    for row in reached.iloc[np.linspace(0, len(reached) - 1, 4).astype(int)].itertuples():
        text = f"{panels.count(row.real_images)} + {panels.count(row.synthetic_images)}"
        side = {reached.index[0]: "left", reached.index[-1]: "right"}.get(row.Index, "center")
        place = {"textcoords": "offset points", "ha": side, "fontsize": 6}
        axes.plot(row.loss, row.cost, marker="o", markersize=3, color=plotting.MIXTURE)
        axes.annotate(text, (row.loss, row.cost), (0, 5), **place)
    costs = np.concatenate([positive(name) for name in ("cost", "real_only", "synthetic_only")])
    if np.isfinite(costs).any():
        axes.set(yscale="log", ylim=(np.nanmin(costs) / 2, np.nanmax(costs) * 8))
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xscale="log", xlabel="target cross-entropy (nats)", ylabel=f"cost ({currency})")
    low, high = axes.get_xlim()
    ticks = panels.with_room(panels.LOSS_TICKS, low, high, 0.08)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    panels.draw_grid(axes)
    axes.legend(**TEXT)
