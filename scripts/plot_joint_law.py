"""Loss against the numbers of real and of synthetic images, by one law of both.

Top left: contours of the law's loss; the points are measured. Top right: how many real images the
next synthetic image is worth. Bottom left: mixtures, each predicted from the runs on all other
curves; large open markers, the largest mixture of each curve, predicted without these. Bottom
right: the cheapest mixture for a loss, with numbers of real + synthetic images. The definitions are
this project's.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from synscale.analysis import metrics, mixture_prices
from synscale.analysis.laws import joint
from synscale.analysis.laws.fit import LawError
from synscale.analysis.laws.joint import JointFit
from synscale.analysis.laws.joint_points import Points, points
from synscale.planning import hardware
from synscale.planning.cost_model import PlanError
from synscale.planning.image_price import price_of_image
from synscale.report import axes as panels
from synscale.report import joint_panels, plotting
from synscale.study.load import load_study
from synscale.workflow.settings.joint_law import JointLawSettings, joint_law_settings

CELLS = 40  # numbers of each kind of images in a grid, besides none
TARGETS = 25
LEVELS = [0.025, 0.975]


def points_of(table: pd.DataFrame, settings: JointLawSettings) -> Points:
    """Return the points of the law from the metrics of all runs."""
    numbers = {(row.source, row.guidance, row.size): row for row in settings.sets}
    table = table[table["architecture"] == settings.architecture]
    rows = []
    for run in table.itertuples():
        guidance = None if pd.isna(run.guidance) else float(run.guidance)
        images = numbers.get((run.source, guidance, run.size))
        if images:
            rows.append((images.real, images.synthetic, run.cross_entropy, run.source))
    return points(*zip(*rows, strict=True))


def forms_table(fits: dict[str, JointFit], selected: JointFit, possible: list[str]) -> pd.DataFrame:
    """Return a row for each parameter of each form, with the criteria of the form."""
    tables = []
    for name, fitted in fits.items():
        largest = joint.error(joint.held_out(fitted.form, fitted.points), "largest")
        tables.append(
            joint.parameters(fitted).assign(
                form=name,
                formula=fitted.form.formula,
                reference_images=fitted.points.reference,
                aicc=fitted.aicc,
                residual_sd=fitted.residual_sd,
                held_out_error=fitted.held_out,
                largest_error=largest,
                chosen=fitted is selected,
                not_ruled_out=name in possible,
            )
        )
    return pd.concat(tables)


def grid_of(fitted: JointFit, theta: np.ndarray) -> pd.DataFrame:
    """Return the law's loss, and the value of the next synthetic image, on a grid of numbers."""
    data = fitted.points
    axes = []
    for numbers in (data.real * data.reference, data.synthetic * data.reference):
        positive = numbers[numbers > 0]
        axes.append(np.append(0.0, np.geomspace(positive.min(), positive.max(), CELLS)))
    n, m = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    is_some = n + m > 0
    n, m = n[is_some], m[is_some]
    next_one = np.maximum(m, 1.0)  # a power of m has no slope at none
    drawn = fitted.marginal_value(n, next_one, theta)
    low, high = np.nanquantile(drawn, LEVELS, axis=0)
    worth = fitted.marginal_value(n, next_one)[0]
    columns = {"real_images": n, "synthetic_images": m, "loss": np.exp(fitted.log_loss(n, m)[0])}
    return pd.DataFrame(columns | {"worth": worth, "worth_low": low, "worth_high": high})


def image_prices(
    settings: JointLawSettings, study_file: str, machine: hardware.Hardware
) -> tuple[float, float]:
    """Return the price of a real and of a synthetic image.

    Raises
    ------
    SystemExit
        If the price is to be that of the plan, and the plan has none.
    """
    price = settings.prices.synthetic
    if price == "auto":
        study = load_study(study_file)
        try:
            price = price_of_image(study, settings.synthetic, settings.guidance, machine)
        except PlanError as error:
            fix = "write a number, or choose other hardware in config.yaml"
            raise SystemExit(
                f"figures.joint_law.prices.synthetic = 'auto': no price ({error}); {fix}"
            ) from None
    return settings.prices.real, price


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure."""
    inputs = "metrics", "hardware"
    args, settings = plotting.begin(__doc__, inputs, arguments, joint_law_settings)
    hardware_file = Path(args.hardware[0])
    machine = hardware.load(hardware_file.stem, hardware_file.parent)
    prices = image_prices(settings, args.study, machine)
    table = metrics.of_files(args.metrics, settings.evaluation, settings.experiments)
    try:
        data = points_of(table, settings)
    except LawError as error:
        raise SystemExit(f"figures.joint_law: {error}") from None
    fitted, fits, possible = joint.choose(data)
    theta = joint.draws(fitted)
    forms = forms_table(fits, fitted, possible)
    measured = pd.DataFrame(
        {
            "real_images": data.real * data.reference,
            "synthetic_images": data.synthetic * data.reference,
            "loss": np.exp(data.y),
            "curve": data.curve,
        }
    )
    predicted = joint.held_out(fitted.form, data)
    largest = joint.error(predicted, "largest")
    grid = grid_of(fitted, theta)
    targets = np.geomspace(measured["loss"].min(), measured["loss"].max(), TARGETS)
    costs = mixture_prices.cheapest(fitted, theta, prices, targets)
    figure, ((losses, worth), (held_out, money)) = panels.subplots(2, 2, (7.2, 6.0))
    joint_panels.draw_losses(losses, grid, measured)
    joint_panels.draw_worth(worth, grid, measured)
    joint_panels.draw_held_out(held_out, predicted, settings.labels)
    joint_panels.draw_costs(money, costs, machine.currency)
    titles = {
        losses: f"cross-entropy (nats), law: {fitted.form.name}",
        worth: "real images that the next synthetic one is worth",
        held_out: f"mixtures held out: {fitted.held_out:.0%} error, largest: {largest:.0%}",
        money: f"cost: {prices[0]:g} a real image, {prices[1]:.2g} a synthetic one",
    }
    for axes, title in titles.items():
        axes.set_title(title, fontsize=8)
    costs = costs.assign(price_real=prices[0], price_synthetic=prices[1])
    parts = {"measured": measured, "grid": grid, "held_out": predicted, "costs": costs}
    plotting.write(figure, panels.part_table(parts | {"forms": forms}), args.output)


if __name__ == "__main__":
    main()
