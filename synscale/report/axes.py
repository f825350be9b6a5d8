"""Parts that figures share: grids of panels, logarithmic axes with readable labels, legends."""

from collections.abc import Iterable
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from synscale.report.names import display_name
from synscale.report.plotting import line_style
from synscale.workflow.settings.curves import Curve

# Labels of logarithmic axes.
LOSS_TICKS = [digit * 10.0**power for power in (-2, -1, 0) for digit in (1, 1.5, 2, 3, 4, 6, 8)]
TOP1_TICKS = [1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]  # %


def subplots(rows: int, columns: int, figsize: tuple[float, float], **options) -> tuple:
    """Create a figure with a constrained layout, and its panels, shape (rows, columns).

    Parameters
    ----------
    rows, columns : int
        Number of panels.
    figsize : tuple of (float, float)
        Width and height in inches.
    **options
        Options of `plt.subplots`.
    """
    options |= {"figsize": figsize, "squeeze": False, "layout": "constrained"}
    return plt.subplots(rows, columns, **options)


def panel_grid(
    count: int, width: float, height: float, margins: tuple[float, float]
) -> tuple[plt.Figure, np.ndarray]:
    """Create panels that share their axes, at most three in a row.

    Parameters
    ----------
    count : int
        Number of panels; further cells of the grid stay empty.
    width, height : float
        Inches of a panel.
    margins : tuple of float
        Inches added to the width and height of the figure.

    Returns
    -------
    figure : Figure
    grid : ndarray of Axes, shape (rows, columns)
    """
    columns = min(3, count)
    rows = -(-count // columns)
    figsize = width * columns + margins[0], height * rows + margins[1]
    figure, grid = subplots(rows, columns, figsize, sharex=True, sharey=True)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    for axes in lowest(grid, count):
        axes.tick_params(labelbottom=True)
    return figure, grid


def lowest(grid: np.ndarray, count: int) -> np.ndarray:
    """Return the panels of a grid of `count` that have none below.

    Parameters
    ----------
    grid : ndarray of Axes, shape (rows, columns)
    count : int
        Number of panels in use.
    """
    return grid.flat[count - grid.shape[1] : count]


def draw_grid(axes: plt.Axes, **options) -> None:
    """Draw faint grid lines.

    Parameters
    ----------
    axes : Axes
    **options
        Options of `Axes.grid`.
    """
    axes.grid(**{"alpha": 0.3, "linewidth": 0.4} | options)


def draw_seeds(
    axes: plt.Axes, points: pd.DataFrame, measure: str, factor: float = 1, **style
) -> np.ndarray:
    """Draw mean and range over seeds of a measure at each size; return the sizes.

    Parameters
    ----------
    axes : Axes
    points : DataFrame
        A row for each run.
    measure : str
        Column to draw.
    factor : float, optional
        Factor of the measure, such as 100 for percent.
    **style
        Style of the line.
    """
    by_size = points.groupby("size")[measure].agg(["mean", "min", "max"]) * factor
    spread = [by_size["mean"] - by_size["min"], by_size["max"] - by_size["mean"]]
    spread = np.maximum(spread, 0)  # not -1e-17
    axes.errorbar(by_size.index, by_size["mean"], spread, elinewidth=0.6, **style)
    return by_size.index.to_numpy()


# -- labels of axes ------------------------------------------------------------------------------


def count(number: float) -> str:
    """Return a number of images as short as an axis needs it: 1,000, 125k, 1.28M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= max(unit, 100_000):
            return f"{number / unit:g}{letter}"
    return f"{number:,.0f}"


def with_room(ticks, low: float, high: float, room: float) -> list[float]:
    """Return ascending ticks from low to high with some distance between neighbours.

    Parameters
    ----------
    ticks
        Ascending numbers.
    low, high : float
        Ends of the axis.
    room : float
        Smallest distance, as a share of the logarithmic axis.
    """
    shown: list[float] = []
    for tick in ticks:
        has_room = not shown or np.log(tick / shown[-1]) > room * np.log(high / low)
        if low <= tick <= high and has_room:
            shown.append(tick)
    return shown


def label_sizes(axis: Axis, sizes) -> None:
    """Label a logarithmic axis, which has its limits, at those of the sizes that have room.

    Parameters
    ----------
    axis : Axis
        Logarithmic axis that has its limits.
    sizes
        Numbers of images.
    """
    shown = with_room(sizes, *axis.get_view_interval(), 0.12)
    axis.set_ticks(shown, [count(size) for size in shown])
    axis.set_minor_formatter(NullFormatter())


def label_counts(axis: Axis) -> None:
    """Label a logarithmic axis of numbers of images, which has its limits."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axis.set_minor_formatter(NullFormatter())


def label_measure(axes: plt.Axes, ticks: list[float]) -> None:
    """Label a logarithmic y axis at those of `ticks` that have room, and fix its limits.

    If it has room for fewer than two, other numbers are labelled.

    Parameters
    ----------
    axes : Axes
    ticks : list of float
        Numbers to label.
    """
    low, high = axes.get_ylim()
    shown = with_room(ticks, low, high, 0.06)
    if len(shown) < 2:
        shown = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(low, high)


# -- texts and legends ---------------------------------------------------------------------------


def seeds_text(number: int) -> str:
    """Return what points and bars of several runs are."""
    return f"mean ± s.d. of {number} seeds" if number > 1 else "one seed"


def wrap_title(text: str, letters: int) -> str:
    """Break a title of more than so many letters into lines of similar length.

    Parameters
    ----------
    text : str
    letters : int
        Most letters of a line.
    """
    return text if len(text) <= letters else fill(text, len(text) // 2 + 6)


def minus(text: str) -> str:
    """Replace hyphens by typographic minus signs."""
    return text.replace("-", "−")


def part_table(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return tables as one, whose first column is the name of the part."""
    return pd.concat(parts, names=["part"]).reset_index(level="part")


def curve_handle(curve: Curve, **options) -> Line2D:
    """Return the entry of a curve in a legend.

    Parameters
    ----------
    curve : Curve
        Label and style.
    **options
        Options of `Line2D`.
    """
    style = line_style(curve.style) | options
    return Line2D([], [], label=display_name(curve.label), **style)


def entries(panels: Iterable[plt.Axes]) -> dict:
    """Return the legend entries of some panels, label -> handle, each label once."""
    handle_of: dict = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        handle_of |= dict(zip(labels, handles, strict=True))
    return handle_of


def legend_below(figure: plt.Figure, handles: list | dict, ncols: int, **options) -> None:
    """Draw a legend below all panels.

    Parameters
    ----------
    figure : Figure
    handles : list or dict
        A list, or label to handle.
    ncols : int
        Number of columns.
    **options
        Options of `Figure.legend`.
    """
    if isinstance(handles, dict):
        options |= {"labels": handles.keys()}
        handles = list(handles.values())
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, **options)
