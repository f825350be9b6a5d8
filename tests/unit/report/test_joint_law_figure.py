"""Figure `joint_law` of simulated digits: what the csv has."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scripts import plot_joint_law
from synscale.report import joint_panels, plotting
from synscale.study.load import load_study
from synscale.workflow.settings.joint_law import joint_law_settings
from tests.support import joint_runs
from tests.support.captions import rendered
from tests.support.workflow import ROOT, SMOKE

STUDY = ROOT / "studies/digits.yaml"
LAPTOP = ROOT / "profiles/hardware/laptop.yaml"


def metrics_of(law, folder: Path, study: Path = STUDY) -> Path:
    """Write metrics of every run of the figure's experiments, with losses of a known law."""
    settings = joint_law_settings(load_study(study))
    sets = {(row.source, row.guidance, row.size): row for row in settings.sets}
    random = np.random.default_rng(0)
    rows = []
    for experiment in settings.experiments:
        for source, guidance in experiment.curves:
            for size in experiment.sizes:
                images = sets.get((source, guidance, size))
                numbers = (images.real, images.synthetic) if images else (0, size)
                for seed in experiment.seeds:
                    loss = float(law(*map(float, numbers))) * np.exp(random.normal(0, 0.01))
                    for architecture in experiment.architectures:
                        rows.append((source, guidance, architecture, size, seed, loss))
    columns = ["source", "guidance", "architecture", "size", "seed", "cross_entropy"]
    table = pd.DataFrame(rows, columns=columns).drop_duplicates(columns[:-1])
    table = table.assign(top1=0.5, evaluation=settings.evaluation, class_id=pd.NA)
    path = folder / "metrics.parquet"
    table.astype({"guidance": "Float64", "class_id": "Int64"}).to_parquet(path)
    return path


def drawn(folder: Path, law, hardware: Path = LAPTOP, study: Path = STUDY):
    outputs = [str(folder / f"joint_law.{suffix}") for suffix in plotting.FORMATS]
    files = ["--metrics", str(metrics_of(law, folder, study)), "--hardware", str(hardware)]
    plot_joint_law.main(["--study", str(study), *files, "--output", *outputs])
    table = pd.read_csv(outputs[-1], low_memory=False)
    return {part: rows.dropna(axis=1, how="all") for part, rows in table.groupby("part")}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("joint"), joint_runs.constant)


def test_csv_has_the_law_and_its_value_of_an_image(parts):
    forms = parts["forms"]
    best = forms[forms["chosen"]].set_index("parameter")
    assert set(best["form"]) == {"constant weight"}
    assert best.loc["w", "low"] < 0.2 < best.loc["w", "high"]
    worth = parts["grid"]["worth"]
    assert worth.min() == pytest.approx(worth.max())
    assert worth.iloc[0] == pytest.approx(best.loc["w", "value"])


def test_csv_has_every_pair_and_the_predicted_mixtures(parts):
    assert len(parts["measured"]) == 26
    predicted = parts["held_out"]
    assert len(predicted) == 13
    assert (predicted["without_curve"] / predicted["loss"]).between(0.9, 1.1).all()


def test_csv_has_costs_with_the_prices_of_the_study_and_the_plan(parts):
    costs = parts["costs"]
    assert (costs["price_real"] == 0.05).all()
    assert costs["price_synthetic"].between(1e-9, 1e-3).all()
    reached = costs[np.isfinite(costs["cost"])]
    assert len(reached) > 15
    ends = reached["cost_high"] / reached["cost_low"]
    assert (ends >= 1).all()
    bill = reached["real_images"] * 0.05 + reached["synthetic_images"] * reached["price_synthetic"]
    assert reached["cost"].to_numpy() == pytest.approx(bill.to_numpy(), rel=1e-3, abs=1e-12)


def test_figure_of_a_loss_that_never_falls_is_drawn(tmp_path):
    assert "grid" in drawn(tmp_path, lambda n, m: 1.0)


def test_figure_of_few_pairs_is_drawn(tmp_path):
    """The smoke study has 8 pairs, too few for the held-out errors of most forms."""
    parts = drawn(tmp_path, joint_runs.constant, study=SMOKE)
    assert len(parts["measured"]) == 8 and len(parts["held_out"]) == 2


def test_machine_without_speed_is_an_error(tmp_path):
    text = (ROOT / "profiles/hardware/laptop.yaml").read_text()
    machine = tmp_path / "slow.yaml"
    machine.write_text(text[: text.index("rates:")] + "rates: []\n")
    message = re.escape("figures.joint_law.prices.synthetic = 'auto': no price (")
    with pytest.raises(SystemExit, match=message):
        drawn(tmp_path, joint_runs.constant, machine)


def test_caption_gives_the_sizes_of_each_curve(tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered("joint_law", "digits", load_study(STUDY)))
    assert "5 sizes, 30 to 480 images (real)" in text
    assert "8 sizes, 30 to 3,840 images" in text


@pytest.mark.parametrize("worth", [1.0, 1e-320, 1e-4, 1e300, -1.0])
def test_panel_of_a_constant_worth_is_drawn(worth):
    numbers = [0, 10, 100, 1000]
    grid = pd.DataFrame(
        [(real, synthetic) for real in numbers for synthetic in numbers],
        columns=joint_panels.NUMBERS,
    ).assign(worth=worth, worth_low=worth, worth_high=worth)
    figure, axes = plt.subplots()
    joint_panels.draw_worth(axes, grid, grid)
    figure.canvas.draw()
    plt.close(figure)
