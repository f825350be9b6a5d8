"""Held-out loss over the steps of each training, a panel for each curve and a colour for each size.

An open marker at the end: the loss still fell by more than 2 % in the last fifth of the steps, so
the training had not reached a plateau (our choice of both numbers). The csv has every recorded
step, with training loss, learning rate and gradient norm.
"""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D

from synscale.analysis import training_history
from synscale.analysis.training_history import SERIES, TIMES
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.mixed_figures import training_curves_settings

COLUMNS = 4
MARKER = {"marker": "o", "markersize": 3.5, "linestyle": "none"}


def title(source: str, guidance: float, architecture: str) -> str:
    """Return the title of a panel."""
    scale = "" if pd.isna(guidance) else f", guidance {guidance:g}"
    return f"{display_name(source)}{scale}\n{display_name(architecture)}"


def draw(axes: plt.Axes, rows: pd.DataFrame, ended: pd.DataFrame, colors: dict[int, tuple]) -> None:
    """Draw the runs of one curve.

    Parameters
    ----------
    axes : Axes
    rows : DataFrame
        Recorded steps with a held-out loss.
    ended : DataFrame
        As of `training_history.ends`.
    colors : dict
        Size -> colour.
    """
    for (size, _), run in rows.groupby(["size", "seed"]):
        axes.plot(run["iteration"], run["held_out_loss"], color=colors[size], linewidth=0.7)
    for end in ended.itertuples():
        filling = colors[end.size] if end.is_plateau else "#FFFFFF"
        place = end.iteration, end.held_out_loss
        axes.plot(*place, color=colors[end.size], markerfacecolor=filling, **MARKER)
    axes.set(xscale="log", yscale="log")
    panels.label_counts(axes.xaxis)
    panels.label_measure(axes, panels.LOSS_TICKS)
    axes.tick_params(labelsize=7)
    panels.draw_grid(axes)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("histories",), arguments, training_curves_settings)
    table = training_history.read(args.histories, settings.runs)
    points = table.dropna(subset="held_out_loss")
    if points.empty:
        raise SystemExit("figures.training_curves: no run has a held-out loss; remove the figure")
    ended = training_history.ends(table)
    sizes = sorted(points["size"].unique())
    colors = dict(zip(sizes, sns.color_palette("viridis_r", len(sizes)), strict=True))
    curves = list(points.groupby(SERIES, dropna=False, sort=False))
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure, grid = panels.subplots(rows, columns, (2.0 * columns + 0.2, 1.7 * rows + 0.7))
    for axes, (key, steps) in zip(grid.flat, curves, strict=False):
        same = ended.merge(steps[SERIES].drop_duplicates(), on=SERIES)
        draw(axes, steps, same, colors)
        axes.set_title(title(*key), fontsize=7)
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("held-out loss (nats)")
    for axes in panels.lowest(grid, len(curves)):
        axes.set_xlabel("iterations")
    handles = [Line2D([], [], color=colors[size], label=panels.count(size)) for size in sizes]
    grey = MARKER | {"color": "0.3"}
    handles.append(Line2D([], [], label="plateau", **grey))
    handles.append(Line2D([], [], label="still falling", markerfacecolor="#FFFFFF", **grey))
    texts = {"fontsize": 7, "title": "training images", "title_fontsize": 7}
    panels.legend_below(figure, handles, ncols=6, **texts)
    plotting.write(figure, table.drop(columns=list(TIMES), errors="ignore"), args.output)


if __name__ == "__main__":
    main()
