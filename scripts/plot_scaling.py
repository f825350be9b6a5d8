"""Cross-entropy and top-1 of real images against the number of training images, with laws.

Each panel has a law of the study: its curves, its evaluation sets (of several, their mean), its
range of sizes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from synscale.analysis import metrics, result_files
from synscale.analysis.laws import power
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.report.names import display_name
from synscale.workflow.settings.figures import panels_settings

MEASURES = {"cross_entropy": "cross-entropy (nats)", "top1": "top-1 (%)"}
TICKS = {"cross_entropy": panels.LOSS_TICKS, "top1": panels.TOP1_TICKS}


def label_of(fitted: dict, name: str | None) -> str:
    """Return the exponent of a curve with its interval, after the name of the curve if given."""
    low, high = fitted["k_interval"]
    exponent = panels.minus(f"k = {fitted['k']:z.2f} [{low:z.2f}, {high:z.2f}]")
    return f"{name}: {exponent}" if name else exponent


def draw_top1(axes: plt.Axes, points: pd.DataFrame, label: str, style: dict) -> None:
    """Draw mean and range of top-1 over seeds at each size."""
    panels.draw_seeds(axes, points, "top1", 100, label=label, **style)


def draw_loss(axes: plt.Axes, points: pd.DataFrame, fitted: dict, label: str, style: dict) -> None:
    """Draw mean and range of the loss over seeds, and the law, dotted past the fitted sizes."""
    options = style | {"linestyle": "none"}
    sizes = panels.draw_seeds(axes, points, "cross_entropy", label=label, **options)
    first, last = fitted["sizes"][0], fitted["sizes"][-1]
    line = {"color": style["color"], "linewidth": style["linewidth"]}
    ranges = (first, last, style["linestyle"]), (last, max(sizes.max(), last), ":")
    for start, end, dash in ranges:
        x = np.geomspace(start, end, 50)
        losses = np.exp(power.log_loss(np.log(x), fitted["k"], fitted["log_scale"]))
        axes.plot(x, losses, linestyle=dash, **line)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    inputs, wildcards = ("metrics", "laws"), ("scaling",)
    args, settings = plotting.begin(__doc__, inputs, arguments, panels_settings, wildcards)
    table = metrics.read(args.metrics)
    fits = result_files.fitted_curves(args.laws)
    points_of = {
        name: metrics.of_experiments(metrics.overall(table, law.evaluation), law.experiments)
        for name, law in settings.laws.items()
    }
    count = len(settings.panels)
    sharing = {"sharex": True, "sharey": "row" if len(settings.laws) == 1 else False}
    figure, grid = panels.subplots(2, count, (2.75 * count + 0.4, 5.6), **sharing)
    names = [[curve.label for curve in panel.curves] for panel in settings.panels]
    # Many panels with the same curves name them once, below the panels.
    same = len(names) > 2 and all(labels == names[0] for labels in names)
    drawn = []
    is_spent = any(curve.real_images_spent for panel in settings.panels for curve in panel.curves)
    for (upper, lower), panel in zip(grid.T, settings.panels, strict=True):
        for curve in panel.curves:
            points = metrics.of_curve(points_of[panel.law], *curve.key)
            fitted = fits[panel.law][curve.key]
            label = label_of(fitted, None if same else display_name(curve.label))
            style = plotting.line_style(curve.style)
            draw_loss(upper, points, fitted, label, style)
            draw_top1(lower, points, label, style)
            columns = {"panel": panel.title, "law": panel.law, "label": curve.label}
            if curve.windows:
                columns["images_generated"] = curve.windows.generated(points["size"])
            exponents = [fitted["k"], *fitted["k_interval"]]
            columns |= dict(zip(("k", "k_low", "k_high"), exponents, strict=True))
            columns |= {"real_images_spent": curve.real_images_spent} if is_spent else {}
            drawn.append(points.assign(**columns))
        title = upper.set_title(panels.wrap_title(panel.title, 42)).get_text()
        is_clip = args.scaling == "clip_scaling"
        lower.set_xlabel("image-text pairs" if is_clip else "training images")
        top = 1.12 + 0.07 * title.count("\n")
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, top), fontsize=6.5)
    for row, (measure, label) in zip(grid, MEASURES.items(), strict=True):
        row[0].set_ylabel(label)
        for axes in row:
            axes.set(xscale="log", yscale="log")
            panels.label_measure(axes, TICKS[measure])
            panels.label_counts(axes.xaxis)
            panels.draw_grid(axes, which="both")
    if same:
        handles = [panels.curve_handle(curve) for curve in settings.panels[0].curves]
        panels.legend_below(figure, handles, ncols=3)
    plotting.write(figure, pd.concat(drawn), args.output)


if __name__ == "__main__":
    main()
