"""A stranger's table, fitted from the command line."""

import json

import numpy as np
import pandas as pd
import pytest

from scripts import fit_csv
from tests.support.workflow import in_fork

SIZES = 30 * 2.0 ** np.arange(6)
LONG = 30 * 2.0 ** np.arange(10)


def fitted(tmp_path, table: pd.DataFrame, *options: str, name="data.csv", fails=False):
    """Run the command; return its JSON and what it printed, or what it said on failing."""
    path = tmp_path / name
    table.to_csv(path, index=False) if name.endswith("csv") else table.to_parquet(path)
    arguments = [str(path), "--x", "images", "--y", "loss", "--json", str(tmp_path / "out.json")]
    status, printed = in_fork(fit_csv.main, [*arguments, *options])
    assert "Traceback" not in printed
    if fails:
        assert status != 0
        return printed
    assert status == 0, printed
    return json.loads((tmp_path / "out.json").read_text()), printed


def test_table_is_fitted_from_the_command_line(tmp_path):
    table = pd.DataFrame(
        {
            "images": LONG,
            "loss": (0.5 + (200 / LONG) ** 0.4)
            * np.exp(np.random.default_rng(0).normal(0, 0.01, 10)),
        }
    )
    result, printed = fitted(tmp_path, table)
    assert result["law"] == "floor"
    assert {
        "law",
        "objective",
        "n",
        "k",
        "k_interval",
        "scale",
        "floor",
        "floor_interval",
        "reason",
    } <= set(result)
    assert result["k_interval"][0] < 0.4 < result["k_interval"][1]
    assert "floor" in printed and "chosen" in printed
    pure, _ = fitted(tmp_path, table, "--law", "power", "--bootstrap", "200", name="data.parquet")
    assert pure["law"] == "power" and pure["n"] == 10 and "floor" not in pure
    assert pure["k_bootstrap"][0] < pure["k"] < pure["k_bootstrap"][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.head(2), "2 different sizes (expected 3 or more)"),
        (
            lambda t: t.assign(loss=[0.5, 0.4, None, 0.3, 0.2, 0.1]),
            "loss in row 3 is '', not a number",
        ),
        (lambda t: t.assign(loss=["a", *[0.1] * 5]), "loss in row 1 is 'a', not a number"),
        (lambda t: t.assign(loss=-1.0), "must be positive"),
        (lambda t: t.assign(loss=0.7), "the same at every size"),
        (lambda t: t.rename(columns={"loss": "cost"}), "no column 'loss'; it has images, cost"),
    ],
)
def test_unfit_table_is_refused_in_one_line(tmp_path, change, message):
    table = pd.DataFrame({"images": SIZES, "loss": (200 / SIZES) ** 0.3})
    said = fitted(tmp_path, change(table), fails=True)
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_second_size_selects_the_law_of_two_variables(tmp_path):
    n, d = (
        axis.ravel() for axis in np.meshgrid(1e6 * 4.0 ** np.arange(4), 1e8 * 4.0 ** np.arange(4))
    )
    table = pd.DataFrame({"images": d, "weights": n, "loss": 1.7 + 400 / n**0.34 + 2000 / d**0.37})
    result, _ = fitted(tmp_path, table, "--x2", "weights", "--bootstrap", "5")
    assert result["law"] == "two_variable" and "delta" in result["objective"]
    assert result["floor"] == pytest.approx(1.7, rel=0.05)
    problem = "only one of them is given; give both or neither"
    assert problem in fitted(tmp_path, table, "--law", "two_variable", fails=True)
    assert problem in fitted(tmp_path, table, "--law", "power", "--x2", "weights", fails=True)
