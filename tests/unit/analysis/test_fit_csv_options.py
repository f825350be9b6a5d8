"""Options and file types of `python -m scripts.fit_csv`, in process."""

import json

import numpy as np
import pandas as pd
import pytest

from scripts import fit_csv

SIZES = 30 * 2.0 ** np.arange(6)
TABLE = pd.DataFrame(
    {"images": SIZES, "loss": (200 / SIZES) ** 0.3 * [1.01, 0.99, 1, 1.01, 0.99, 1]}
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "data.csv"
    TABLE.assign(weights=SIZES[::-1] ** 2).to_csv(path, index=False)
    return path


def run(path, *arguments: str) -> dict:
    """Fit and return the JSON."""
    output = path.parent / "out.json"
    fit_csv.main([str(path), "--x", "images", "--y", "loss", "--json", str(output), *arguments])
    return json.loads(output.read_text(encoding="utf-8"))


def refused(capsys, path, *arguments: str) -> str:
    """Return the message of a command that exits with an error."""
    with pytest.raises(SystemExit) as error:
        fit_csv.main([str(path), "--x", "images", "--y", "loss", *arguments])
    assert error.value.code != 0
    message = capsys.readouterr().err or str(error.value.code)
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--x2", "images"], "--x and --x2 are the same column ('images')"),
        (["--x2", "loss"], "--y and --x2 are the same column ('loss')"),
        (["--y", "images"], "--x and --y are the same column ('images')"),
        (["--bootstrap", "-1"], "argument --bootstrap: -1 (expected 0 or more)"),
        (["--seed", "-1"], "argument --seed: -1 (expected 0 or more)"),
        (["--seed", "x"], "argument --seed: invalid integer value: 'x'"),
        (["--json", "."], "--json .: is a folder; name a file"),
        (["--law", "broken", "--bootstrap", "9"], "not available for law 'broken'"),
    ],
)
def test_contradicting_option_is_refused(capsys, table, arguments, expected):
    assert expected in refused(capsys, table, *arguments)


def test_json_in_unwritable_place_is_refused(capsys, table):
    assert "cannot be written" in refused(capsys, table, "--json", f"{table}/out.json")


@pytest.mark.parametrize(
    "name", ["d.tsv", "d.csv.gz", "d.CSV", "d.tsv.gz", "d.csv.bz2", "d.Parquet"]
)
def test_file_types_are_read_alike(tmp_path, table, name):
    path = tmp_path / name
    if name.endswith("Parquet"):
        TABLE.to_parquet(path)
    else:
        separator = "\t" if "tsv" in name else ","
        compression = {"gz": "gzip", "z2": "bz2"}.get(name[-2:])
        TABLE.to_csv(path, index=False, sep=separator, compression=compression)
    assert run(path)["k"] == run(table)["k"]


def test_unknown_file_type_is_refused(capsys, tmp_path):
    (tmp_path / "d.xlsx").touch()
    assert "unknown kind of file (expected .csv, .tsv" in refused(capsys, tmp_path / "d.xlsx")


def test_broken_archive_is_refused(capsys, tmp_path):
    (tmp_path / "d.csv.gz").write_bytes(b"no gzip")
    assert "cannot be read" in refused(capsys, tmp_path / "d.csv.gz")


def test_two_variables_without_resamples_have_no_interval(tmp_path, monkeypatch):
    starts = fit_csv.two_variable._starts
    monkeypatch.setattr(fit_csv.two_variable, "_starts", lambda y: starts(y)[::27])
    n, d = (axis.ravel() for axis in np.meshgrid(4.0 ** np.arange(4), 9.0 ** np.arange(4)))
    path = tmp_path / "two.csv"
    frame = pd.DataFrame({"images": d, "weights": n, "loss": 1.7 + 4 / n**0.34 + 2 / d**0.37})
    frame.to_csv(path, index=False)
    assert "floor_interval" not in run(path, "--x2", "weights", "--bootstrap", "0")
    assert "floor_interval" in run(path, "--x2", "weights", "--bootstrap", "3")


def test_accuracy_that_rises_has_a_warning(tmp_path, capsys):
    path = tmp_path / "accuracy.csv"
    TABLE.assign(loss=1 / TABLE["loss"]).to_csv(path, index=False)
    for arguments in ([], ["--law", "power"]):
        result = run(path, *arguments)
        assert any("if the column is an accuracy" in note for note in result["warnings"])
        assert "warning    the loss rises with size" in capsys.readouterr().out


def test_summary_has_k_under_each_law(table, capsys):
    result = run(table)
    printed = capsys.readouterr().out
    assert "k, power" in printed and "k, floor" in printed
    assert set(result["not_ruled_out"]) == {"power", "floor"}
    assert "no bend can be detected with 6 sizes" in printed


def test_end_without_bound_is_printed(tmp_path, capsys):
    path = tmp_path / "cut.csv"
    losses = [2.514, 1.788, 1.580, 1.423, 1.594]
    pd.DataFrame({"images": 10.0 ** np.arange(4, 9), "loss": losses}).to_csv(path, index=False)
    assert run(path)["k_interval"][1] is None
    assert "unbounded]" in capsys.readouterr().out
