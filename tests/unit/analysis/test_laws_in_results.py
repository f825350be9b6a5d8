"""k under every law that the data do not rule out, in files, tables and figures."""

import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scripts import fit_laws, plot_beyond_the_law
from synscale.analysis import laws
from synscale.report import laws_table

SIZES = (1e5 * 2.0 ** np.arange(8)).astype(int)


def table(floor: float, count: int = 8, noise: float = 0.01) -> pd.DataFrame:
    """Overall metrics of one curve with three seeds."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"size": np.repeat(SIZES[:count], 3), "seed": np.tile([0, 1, 2], count)})
    losses = floor + 2 * (rows["size"] / SIZES[0]) ** -0.4
    rows["cross_entropy"] = losses * np.exp(random.normal(0, noise, len(rows)))
    names = {
        "source": "real",
        "architecture": "vit",
        "guidance": pd.array([None] * len(rows), "Float64"),
    }
    return rows.assign(**names)


@pytest.fixture(scope="module")
def few() -> dict:
    """Entry of a curve with a floor of 1, fitted to five of its eight sizes."""
    (entry,) = fit_laws.fit(table(1.0), (SIZES[0], SIZES[4]))
    return json.loads(json.dumps(entry, allow_nan=False))


def test_fit_range_has_k_under_both_laws(few):
    assert few["law"] == "power" and few["sizes"] == SIZES[:5].tolist()
    assert few["k"] == few["k_by_law"]["power"]["k"]
    assert few["k_interval"] == few["k_by_law"]["power"]["k_interval"]
    assert few["not_ruled_out"] == ["power", "floor"]
    low, high = few["k_interval_any_law"]
    assert few["k_interval"][1] < 0.4
    assert low < 0.4 < (math.inf if high is None else high)


def test_all_sizes_have_an_interval_over_the_laws(few):
    everywhere = few["all_sizes"]
    assert everywhere["k_interval"] == everywhere["k_interval_any_law"]
    assert set(everywhere["k_by_law"]) == {"power", "floor", "broken"}
    assert everywhere["k_interval"][0] < 0.4 < everywhere["k_interval"][1]


def test_laws_table_shows_k_under_both_laws(few):
    labels = {"generator": "", "recipe": "", "guidance": None, "still_falling": ""}
    curves = pd.DataFrame([laws_table.row("supervised", ["unseen"], few) | labels])
    texts = laws_table.readable(curves).iloc[0]
    pure, floor = few["k_by_law"]["power"]["k"], few["k_by_law"]["floor"]["k"]
    assert texts["k, pure law [95 %]"].startswith(f"{pure:.2f} [")
    assert texts["k with a floor [95 %]"].startswith(f"{floor:.2f} [")
    assert texts["over all sizes"].startswith("floor: k = ")


def test_laws_table_shows_an_end_without_bound(few):
    unbounded = few | {
        "k_by_law": few["k_by_law"] | {"floor": {"k": 0.5, "k_interval": [0.1, None]}}
    }
    labels = {"generator": "", "recipe": "", "guidance": None, "still_falling": ""}
    curves = pd.DataFrame([laws_table.row("supervised", ["unseen"], unbounded) | labels])
    assert laws_table.readable(curves)["k with a floor [95 %]"][0] == "0.50 [0.10, ∞]"


def test_loss_that_rises_has_no_floor_column(few):
    rising = table(1.0)
    rising["cross_entropy"] = 1 / rising["cross_entropy"]
    (entry,) = fit_laws.fit(rising, (SIZES[0], SIZES[4]))
    assert set(entry["k_by_law"]) == {"power"}
    assert any("the loss rises" in note for note in entry["warnings"])
    row = laws_table.row("supervised", ["unseen"], entry)
    assert row["floor_k"] is None and "the loss rises" in row["warnings"]


def test_figure_says_what_few_sizes_cannot_show():
    curve = table(1.0, count=5)
    text = plot_beyond_the_law.describe(laws.choose(curve["size"], curve["cross_entropy"]))
    finding, exponents = text.splitlines()
    assert finding == "no bend can be detected with 5 sizes"
    assert (
        exponents.startswith("k 0.") and " pure, 0." in exponents and " with floor [0." in exponents
    )
    assert len(exponents) <= 45, "a panel is not wider"


def test_law_keeps_its_colour_if_another_has_no_fit():
    rising = table(1.0)
    rising["cross_entropy"] = 1 / rising["cross_entropy"]
    for curve, fitted in (
        (table(1.0), {"power", "floor", "broken"}),
        (rising, {"power", "broken"}),
    ):
        figure, axes = plt.subplots()
        rows = plot_beyond_the_law.draw(axes, curve, (SIZES[0], SIZES[4]), "a curve")
        assert {row["law"] for row in rows} == fitted
        colors = {line.get_label(): line.get_color() for line in axes.get_lines()}
        assert colors["broken law"] == plot_beyond_the_law.STYLES["broken"][0]
        plt.close(figure)
