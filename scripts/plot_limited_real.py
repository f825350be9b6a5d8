"""Few real images with synthetic ones added: cross-entropy and top-1 against how many, a line for
each number of real images.

Mean and standard deviation over seeds. At 0, and dotted on, the real images alone. A filled marker:
the synthetic images help, that is, the 95 % interval (Student) of the difference to the real images
alone, paired by seed, excludes 0; no correction for many comparisons. A ring: the best mean of the
line. It is a full ring where adding more is harmful (the largest number is worse than the best one,
interval as before) and a dashed one where that is not shown; the best one is chosen on the same
runs, so this favours an end. The rules are ours.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from synscale.analysis import few_real_images, metrics
from synscale.report import plotting
from synscale.runtime import cli
from synscale.workflow.settings import figures as figure_settings

LABELS = {"cross_entropy": "cross-entropy (nats)", "top1": "top-1 (%)"}


def draw(axes: plt.Axes, rows, look: dict, scale: float, shift: float) -> None:
    """One line: rows of `limited.of_mixture` in the order of `added`. shift: factor on x that keeps
    the bars of several lines apart.
    """
    rows = rows.sort_values("added")
    x, y, spread = rows["added"] * shift, scale * rows["mean"], scale * rows["sd"]
    axes.errorbar(
        x, y, spread, color=look["color"], linewidth=look["linewidth"], elinewidth=0.8, capsize=1.5
    )
    axes.axhline(y.iloc[0], color=look["color"], linestyle=":", linewidth=0.8)
    for place, row in enumerate(rows.itertuples()):
        filling = look["color"] if row.helps else "#FFFFFF"
        axes.plot(
            x.iloc[place],
            y.iloc[place],
            color=look["color"],
            marker=look["marker"],
            markersize=4.5,
            markerfacecolor=filling,
            zorder=4,
        )
        if row.best:
            dash = "-" if row.ends else (0, (2, 1.5))
            axes.scatter(
                x.iloc[place],
                y.iloc[place],
                s=130,
                facecolors="none",
                edgecolors="black",
                linestyles=dash,
                linewidths=0.9,
                zorder=5,
            )


def frame(axes: plt.Axes, measure: str, added: np.ndarray) -> None:
    smallest = added[added > 0].min()
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    ticks = [0, *(smallest * 4 ** np.arange(1 + int(np.log(added.max() / smallest) / np.log(4))))]
    axes.set_xticks(ticks, map(plotting.count, ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="synthetic images added", ylabel=LABELS[measure])
    if measure == "cross_entropy":
        axes.set_yscale("log")
        plotting.round_ticks(axes, plotting.LOSS_TICKS)
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3, linewidth=0.4)


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        plotting.arguments(__doc__, "metrics"), arguments, figure_settings.limited_settings
    )
    plotting.style()
    table = metrics.of_files(args.metrics, settings["evaluation"], settings["experiments"])
    drawn = few_real_images.gains(table, settings)
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
    count, handles = len(settings["mixtures"]), []
    for place, mixture in enumerate(settings["mixtures"]):
        look = plotting.look(mixture["look"])
        own = drawn[drawn["source"] == mixture["source"]]
        for axes, measure in zip(panels, LABELS, strict=True):
            draw(
                axes,
                own[own["measure"] == measure],
                look,
                100 if measure == "top1" else 1,
                1.04 ** (place - (count - 1) / 2),
            )
        handles.append(
            Line2D(
                [],
                [],
                color=look["color"],
                marker=look["marker"],
                linewidth=look["linewidth"],
                markersize=4.5,
                label=plotting.words(mixture["label"]),
            )
        )
    for axes, measure in zip(panels, LABELS, strict=True):
        frame(axes, measure, drawn["added"].to_numpy())
    sign = {"color": "0.3", "linestyle": "none"}
    ring = sign | {
        "marker": "o",
        "markersize": 9,
        "markerfacecolor": "none",
        "markeredgecolor": "black",
    }
    handles += [
        Line2D([], [], color="0.3", linestyle=":", linewidth=0.8, label="real images alone"),
        Line2D([], [], marker="s", markersize=4.5, label="better than alone", **sign),
        Line2D(
            [],
            [],
            marker="s",
            markersize=4.5,
            markerfacecolor="#FFFFFF",
            label="not shown to be better",
            **sign,
        ),
        Line2D([], [], label="best number (full ring: the largest is worse)", **ring),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=4,
        fontsize=7,
        title=plotting.seeds(drawn["seeds"].min()),
        title_fontsize=7,
    )
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
