"""One look for every figure, and one way to write it: pdf, svg, png, and a csv of what is drawn."""

import argparse
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from synscale.report.captions import words
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write

__all__ = [
    "arguments",
    "count",
    "count_images",
    "look",
    "recipe_looks",
    "round_ticks",
    "seeds",
    "style",
    "tick_sizes",
    "title",
    "words",
    "write",
]

FORMATS = ("pdf", "svg", "png", "csv")
REAL = "#000000"
# Okabe and Ito's palette without its black (for real images) and its yellow (too faint on white),
# and two of Tol's: told apart by colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933")
MIXTURE = "#882255"
LOSS_TICKS = [
    digit * 10.0**power for power in (-2, -1, 0) for digit in (1, 1.5, 2, 3, 4, 6, 8)
]  # of a logarithmic axis
TOP1_TICKS = [1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]  # %, of the same
MARKERS = (
    "s",
    "^",
    "D",
    "v",
    "P",
    "X",
    "<",
    ">",
)  # a second sign beside the colour, for grey prints; "o" is for real images
DASHES = ("-", "--", "-.", ":")


def style() -> None:
    sns.set_theme(context="paper", style="ticks", font_scale=0.9)
    mpl.rcParams.update(
        {
            "svg.hashsalt": "fixed",
            "pdf.fonttype": 42,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    )
    mpl.rcParams["text.parse_math"] = (
        False  # a dollar sign in a title, a class name or a label is a dollar sign
    )


def count(number: float) -> str:
    """A number of images as an axis has room for it: 1,000, 125k, 1.28M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= max(unit, 100_000):
            return f"{number / unit:g}{letter}"
    return f"{number:,.0f}"


def with_room(ticks, low: float, high: float, room: float) -> list[float]:
    """Those of `ticks`, which grow, that lie from low to high and are not nearer to the one before
    than that share of the logarithmic axis.
    """
    shown = []
    for tick in ticks:
        if low <= tick <= high and (
            not shown or np.log(tick / shown[-1]) > room * np.log(high / low)
        ):
            shown.append(tick)
    return shown


def tick_sizes(axis: Axis, sizes) -> None:
    """Label a logarithmic axis, which has its limits, at those of the sizes that have room."""
    shown = with_room(sizes, *axis.get_view_interval(), 0.12)
    axis.set_ticks(shown, [count(size) for size in shown])
    axis.set_minor_formatter(NullFormatter())


def count_images(axis: Axis) -> None:
    """Label a logarithmic axis of numbers of images, which has its limits."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axis.set_minor_formatter(NullFormatter())


def round_ticks(axes: plt.Axes, ticks: list[float]) -> None:
    """Label a logarithmic y axis at those of `ticks` that have room on it, or where fewer than two
    lie on it at others; its limits are fixed.
    """
    low, high = axes.get_ylim()
    shown = with_room(ticks, low, high, 0.06)
    if len(shown) < 2:
        shown = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(low, high)


def seeds(number: int) -> str:
    """What points and bars of several runs are."""
    return f"mean ± s.d. of {number} seeds" if number > 1 else "one seed"


def title(text: str, letters: int) -> str:
    """In lines of much the same length where one of so many letters does not hold it."""
    return text if len(text) <= letters else fill(text, len(text) // 2 + 6)


def look(spec: dict) -> dict:
    """Colour, marker and line of a curve from `shown.look`: a source looks the same in every
    figure.

    Recipes have a hue each, real images are black; a larger guidance scale is darker; generators
    differ in dash and filling; a larger architecture has a wider line and marker.
    """
    if spec["kind"] == "real":
        color, marker = REAL, "o"
    else:
        base = MIXTURE if spec["hue"] is None else PALETTE[spec["hue"] % len(PALETTE)]
        place = spec["rank"] / (spec["ranks"] - 1) if spec["ranks"] > 1 else 0.5
        other = "#FFFFFF" if place < 0.5 else "#000000"
        color = sns.blend_palette([base, other], as_cmap=True)(abs(place - 0.5) * 0.9)
        color, marker = (
            mpl.colors.to_hex(color),
            MARKERS[((spec["hue"] or 0) + spec["rank"]) % len(MARKERS)],
        )
    filling = color if spec["dash"] == 0 else "#FFFFFF"
    weight = 1 + 0.6 * spec["weight"]
    return {
        "color": color,
        "marker": marker,
        "markerfacecolor": filling,
        "markersize": 4 * weight,
        "linewidth": weight,
        "linestyle": DASHES[spec["dash"] % len(DASHES)],
    }


def recipe_looks(labels: list[dict]) -> dict[str, dict]:
    """The look of each recipe, whatever its generator and guidance scale."""
    return {
        row["recipe"]: look(row["look"] | {"rank": 0, "ranks": 1, "dash": 0})
        for row in labels
        if row["recipe"] != "real"
    }


def arguments(description: str, *inputs: str, of: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    return cli.files_parser(description, FORMATS, *inputs, of=of)


def settle(figure: plt.Figure) -> None:
    """Lay the figure out, and keep that: from run to run the solver's boxes differ in their last
    digits, which the clip paths of an SVG are named after.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        inside = axes.get_in_layout()
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))
        axes.set_in_layout(inside)  # which a position takes it out of


def write(figure: plt.Figure, drawn: pd.DataFrame, outputs: list[str]) -> None:
    """Write the figure in every format; the same figure gives the same bytes (no dates in the
    files).
    """
    settle(figure)
    with atomic_write(*outputs) as parts:
        for part in parts:
            match Path(part).suffix:
                case ".csv":
                    drawn.to_csv(part, index=False)
                case ".pdf":
                    figure.savefig(part, bbox_inches="tight", metadata={"CreationDate": None})
                case ".svg":
                    figure.savefig(part, bbox_inches="tight", metadata={"Date": None})
                case ".png":
                    figure.savefig(part, bbox_inches="tight", dpi=200)
    plt.close(figure)
