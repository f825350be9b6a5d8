"""Loss against unique images and epochs, by one law of both; and what a repeated image is worth.

Left: a line for each number of unique images. Right: the number of new images that an image is
worth in all its epochs, with the interval of R*. The law is that of arXiv 2305.16264.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from synscale.analysis import metrics
from synscale.analysis.laws import LawError, repetition
from synscale.report import axes as panels
from synscale.report import plotting
from synscale.workflow.settings.repetition import RepetitionSettings, repetition_settings

CELLS = 80  # epochs of a line
MISFIT = 0.05  # p value below which the law does not fit


def runs_of(table: pd.DataFrame, settings: RepetitionSettings) -> pd.DataFrame:
    """Return a row for each run: images, epochs, seed and loss."""
    seen = pd.DataFrame([vars(row) for row in settings.seen]).rename(columns={"images": "seen"})
    rows = [
        metrics.of_curve(table, settings.source, settings.guidance, architecture)
        for architecture in seen["architecture"].unique()
    ]
    runs = pd.concat(rows).merge(seen, on=["architecture", "size"])
    runs["epochs"] = runs["seen"] / runs["size"]
    columns = {"size": "images", "cross_entropy": "loss"}
    return runs.rename(columns=columns)[["images", "epochs", "seed", "loss"]]


def lines_of(fitted: repetition.RepetitionFit, measured: pd.DataFrame) -> pd.DataFrame:
    """Return the law's loss over epochs, for each number of images."""
    lines = []
    for images, rows in measured.groupby("images"):
        epochs = np.geomspace(rows["epochs"].min(), rows["epochs"].max(), CELLS)
        loss = np.exp(fitted.log_loss(np.full(CELLS, images), epochs))
        lines.append(pd.DataFrame({"images": images, "epochs": epochs, "loss": loss}))
    return pd.concat(lines)


def worth_of(parameters: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return what an image is worth in all its epochs, with the interval of R*."""
    row = parameters.set_index("parameter").loc["r_star"]
    epochs = np.geomspace(measured["epochs"].min(), measured["epochs"].max(), CELLS)
    ends = {"worth": row["value"], "worth_low": row["low"], "worth_high": row["high"]}
    shares = {
        name: repetition.effective_share(epochs, np.clip(end, 1e-9, 1e9))
        for name, end in ends.items()
    }
    return pd.DataFrame({"epochs": epochs} | shares)


def r_star_text(parameters: pd.DataFrame) -> str:
    """Return R* with its interval, or why it is not identified, and whether the law misfits."""
    row = parameters.set_index("parameter").loc["r_star"]
    text = f"R* = {row['value']:.2g} [{row['low']:.2g}, {row['high']:.2g}]"
    if not row["identified"]:
        is_open = {"below": row["low"] == 0, "above": np.isinf(row["high"])}
        sides = " or ".join(side for side, value in is_open.items() if value)
        text = f"R* is not identified: not bounded from {sides}"
    if row["lack_of_fit_p"] < MISFIT:
        text += f"\nthe law does not fit (p = {row['lack_of_fit_p']:.1g})"
    return text


def draw(measured: pd.DataFrame, lines: pd.DataFrame, worth: pd.DataFrame, text: str) -> Figure:
    """Draw both panels."""
    figure, ((left, right),) = panels.subplots(1, 2, (7.2, 3.0))
    for place, (images, rows) in enumerate(measured.groupby("images")):
        color = plotting.PALETTE[place % len(plotting.PALETTE)]
        points = rows.groupby("epochs")["loss"].agg(["mean", "std"])
        style = {"color": color, "marker": plotting.MARKERS[place % len(plotting.MARKERS)]}
        left.errorbar(
            points.index, points["mean"], points["std"], linestyle="none", markersize=4, **style
        )
        line = lines[lines["images"] == images]
        left.plot(line["epochs"], line["loss"], color=color, label=f"{images:,} images")
    left.set(xscale="log", yscale="log", xlabel="epochs", ylabel="cross-entropy (nats)")
    panels.label_measure(left, panels.LOSS_TICKS)
    panels.label_counts(left.xaxis)
    panels.legend_below(figure, panels.entries([left]), 5)
    left.set_title(text, fontsize=8)
    right.plot(worth["epochs"], worth["epochs"], color="0.4", linestyle="--")
    right.plot(worth["epochs"], worth["worth"], color=plotting.MIXTURE)
    ends = worth["worth_low"], worth["worth_high"]
    right.fill_between(worth["epochs"], *ends, color=plotting.MIXTURE, alpha=0.2, linewidth=0)
    right.set(xscale="log", yscale="log", xlabel="epochs", ylabel="new images")
    panels.label_counts(right.xaxis)
    panels.label_counts(right.yaxis)
    right.set_title("worth of an image in all its epochs", fontsize=8)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    args, settings = plotting.begin(__doc__, ("metrics",), arguments, repetition_settings)
    table = metrics.of_files(args.metrics, settings.evaluation, settings.experiments)
    measured = runs_of(table, settings)
    try:
        data = repetition.points(measured["images"], measured["epochs"], measured["loss"])
    except LawError as error:
        raise SystemExit(f"figures.repetition: {error}") from None
    fitted = repetition.fit(data)
    parameters = repetition.parameters(fitted).assign(
        residual_sd=np.sqrt(fitted.residual_sum / (len(data.y) - len(fitted.theta))),
        held_out_error=repetition.held_out_error(data),
        lack_of_fit_p=repetition.lack_of_fit(
            fitted, measured["images"], measured["epochs"], measured["loss"]
        ),
    )
    lines, worth = lines_of(fitted, measured), worth_of(parameters, measured)
    figure = draw(measured, lines, worth, r_star_text(parameters))
    parts = {"measured": measured, "law": lines, "worth": worth, "parameters": parameters}
    plotting.write(figure, panels.part_table(parts), args.output)


if __name__ == "__main__":
    main()
