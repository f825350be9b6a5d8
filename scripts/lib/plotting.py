"""One look for every figure, and one way to write it: pdf, svg, png, and a csv of what is drawn."""

import argparse
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from scripts.lib import command
from scripts.lib.files import whole

FORMATS = ("pdf", "svg", "png", "csv")
REAL = "#000000"
# Okabe and Ito's palette without its black (for real images) and its yellow (too faint on white): told apart by colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LOSS_TICKS = [digit * 10.0**power for power in (-2, -1, 0) for digit in (1, 1.5, 2, 3, 4, 6, 8)]  # of a logarithmic axis
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # a second sign beside the colour, for grey prints


def style() -> None:
    sns.set_theme(context="paper", style="ticks", font_scale=0.9)
    mpl.rcParams.update({"svg.hashsalt": "fixed", "pdf.fonttype": 42, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


def looks(names: list[str]) -> dict[str, dict]:
    """Colour and marker of each name, in order; `real` is black in every figure."""
    rest = zip((name for name in names if name != "real"), cycle(zip(PALETTE, MARKERS[1:], strict=True)))
    return {"real": {"color": REAL, "marker": MARKERS[0]}} | {name: {"color": color, "marker": marker} for name, (color, marker) in rest}


def words(name: str) -> str:
    """A name of the study as a reader's words."""
    return name.replace("_", " ").replace("clip ", "CLIP ")


def arguments(description: str, *inputs: str) -> argparse.ArgumentParser:
    parser = command.parser(description)
    for name in inputs:
        parser.add_argument(f"--{name}", required=True, nargs="+")
    parser.add_argument("--output", required=True, nargs=len(FORMATS), metavar=FORMATS)
    return parser


def write(figure: plt.Figure, drawn: pd.DataFrame, outputs: list[str]) -> None:
    """Write the figure in every format; the same figure gives the same bytes (no dates in the files)."""
    with whole(*outputs) as parts:
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
