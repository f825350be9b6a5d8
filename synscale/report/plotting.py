"""One style for every figure, and one way to write it: pdf, svg, png, and a csv of the content."""

import argparse
from collections.abc import Callable
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

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
    sns.set_theme(context="paper", style="ticks", font_scale=0.9)
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
    differ in dash and filling; a larger architecture has a wider line and marker; one that starts
    from weights has another dash and marker.
    """
    assert style is not None  # tables have labels without one
    if style.kind == "real":
        color, marker = REAL, "o"
    else:
        base = MIXTURE if style.hue is None else PALETTE[style.hue % len(PALETTE)]
        place = style.rank / (style.ranks - 1) if style.ranks > 1 else 0.5
        other = "#FFFFFF" if place < 0.5 else "#000000"
        blend = sns.blend_palette([base, other], as_cmap=True)
        color = mpl.colors.to_hex(blend(abs(place - 0.5) * 0.9))
        marker = MARKERS[((style.hue or 0) + style.rank) % len(MARKERS)]
    weight = 1 + 0.6 * style.weight
    dash = style.dash + style.start
    if style.start:
        marker = MARKERS[(style.start - 1 + (style.hue or 0) + style.rank) % len(MARKERS)]
    return {
        "color": color,
        "marker": marker,
        "markerfacecolor": color if dash == 0 else "#FFFFFF",
        "markersize": 4 * weight,
        "linewidth": weight,
        "linestyle": DASHES[dash % len(DASHES)],
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
