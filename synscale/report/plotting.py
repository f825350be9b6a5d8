"""One style for every figure, and one way to write it: pdf, svg, png, and a csv of the content."""

import argparse
from collections.abc import Callable
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import CurveStyle, Label

FORMATS = ("pdf", "svg", "png", "csv")
REAL = "#000000"
# Okabe and Ito's palette without its black (for real images) and its yellow (too faint on white),
# and two of Tol's: colour-blind readers can distinguish them.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933")
MIXTURE = "#882255"
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">")  # for grey prints; "o" is for real images
SAVING: dict[str, dict] = {
    ".pdf": {"metadata": {"CreationDate": None}},
    ".svg": {"metadata": {"Date": None}},
    ".png": {"dpi": 200},
}
DASHES = ("-", "--", "-.", ":")
# seaborn's style "ticks" in its context "paper" with fonts of 90 %. Its import takes two seconds.
TEXT, DARK, PALE = 8.64, ".15", ".8"  # points, and shades of grey
CYCLE = ("#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3")
CYCLE += ("#937860", "#DA8BC3", "#8C8C8C", "#CCB974", "#64B5CD")
THEME = {
    "axes.axisbelow": True,
    "axes.edgecolor": DARK,
    "axes.labelcolor": DARK,
    "axes.labelsize": TEXT,
    "axes.linewidth": 1.0,
    "axes.prop_cycle": plt.cycler(color=CYCLE),
    "axes.titlesize": TEXT,
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "sans-serif"],
    "font.size": TEXT,
    "grid.color": PALE,
    "legend.fontsize": 7.92,
    "legend.title_fontsize": TEXT,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.8,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 0.8,
    "text.color": DARK,
    **{f"{axis}tick.color": DARK for axis in "xy"},
    **{f"{axis}tick.labelsize": 7.92 for axis in "xy"},
    **{f"{axis}tick.major.size": 4.8 for axis in "xy"},
    **{f"{axis}tick.major.width": 1.0 for axis in "xy"},
    **{f"{axis}tick.minor.size": 3.2 for axis in "xy"},
    **{f"{axis}tick.minor.width": 0.8 for axis in "xy"},
}


def begin(
    description: str,
    inputs: tuple[str, ...],
    arguments: list[str] | None,
    settings_of: Callable[..., Settings],
    of: tuple[str, ...] = (),
) -> tuple[argparse.Namespace, Settings]:
    """Parse the command line of a figure and set the style of all figures.

    Parameters
    ----------
    description : str
    inputs : tuple of str
        Options that take lists of files.
    arguments : list of str or None
        None is the command line of the process.
    settings_of : callable
        Returns the settings of the figure, given the study and the wildcards.
    of : tuple of str
        Wildcards of the rule.

    Returns
    -------
    args : Namespace
    settings : Settings
    """
    parser = cli.files_parser(description, FORMATS, *inputs, of=of)
    args, settings = cli.parse(parser, arguments, settings_of)
    set_theme()
    return args, settings


def set_theme() -> None:
    """Set the style of all figures."""
    mpl.rcParams.update(THEME)
    mpl.rcParams.update(
        {
            "svg.hashsalt": "fixed",
            "pdf.fonttype": 42,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "text.parse_math": False,  # a dollar sign in a label is a dollar sign
        }
    )


def line_style(style: CurveStyle | None) -> dict:
    """Return the colour, marker and line of a curve: a source looks the same in every figure.

    Recipes have a hue each, real images are black; a larger guidance scale is darker; generators
    differ in dash and filling; a larger architecture has a wider line and marker.
    """
    assert style is not None  # tables have labels without one
    if style.kind == "real":
        color, marker = REAL, "o"
    else:
        base = MIXTURE if style.hue is None else PALETTE[style.hue % len(PALETTE)]
        place = style.rank / (style.ranks - 1) if style.ranks > 1 else 0.5
        other = "#FFFFFF" if place < 0.5 else "#000000"
        blend = mpl.colors.LinearSegmentedColormap.from_list("blend", [base, other])
        color = mpl.colors.to_hex(blend(abs(place - 0.5) * 0.9))
        marker = MARKERS[((style.hue or 0) + style.rank) % len(MARKERS)]
    weight = 1 + 0.6 * style.weight
    return {
        "color": color,
        "marker": marker,
        "markerfacecolor": color if style.dash == 0 else "#FFFFFF",
        "markersize": 4 * weight,
        "linewidth": weight,
        "linestyle": DASHES[style.dash % len(DASHES)],
    }


def recipe_styles(labels: list[Label]) -> dict[str, dict]:
    """Return the line style of each recipe, whatever its generator and guidance scale."""
    synthetic = {label.recipe: label.style for label in labels if label.recipe != "real"}
    return {
        recipe: line_style(style and replace(style, rank=0, ranks=1, dash=0))
        for recipe, style in synthetic.items()
    }


def settle(figure: plt.Figure) -> None:
    """Lay the figure out, and round its layout.

    The last digits of the solver's boxes differ from run to run, and the names of the clip paths of
    an SVG depend on them.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        is_in_layout = axes.get_in_layout()
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))
        axes.set_in_layout(is_in_layout)  # a position takes it out of the layout


def write(figure: plt.Figure, drawn: pd.DataFrame, outputs: list[str]) -> None:
    """Write the figure in every format. The same figure gives the same bytes: files have no dates.

    Parameters
    ----------
    figure : Figure
    drawn : DataFrame
        Content of the csv.
    outputs : list of str
    """
    settle(figure)
    with atomic_write(*outputs) as parts:
        for part in parts:
            if part.suffix == ".csv":
                drawn.to_csv(part, index=False)
            else:
                figure.savefig(part, bbox_inches="tight", **SAVING[part.suffix])
    plt.close(figure)
