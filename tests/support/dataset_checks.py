"""Helpers of the tests of data sets."""

import pandas as pd
import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError, registry

COLUMNS = [
    "id",
    "title",
    "split",
    "images",
    "classes",
    "class_table",
    "subset",
    "layout",
    "how_to_get",
    "licence",
]
ROW = {"id": "things", "title": "Things", "layout": "folders|webdataset"}
ROW |= {"how_to_get": "unpack things.zip"}


def set_row(monkeypatch, tmp_path, **cells) -> None:
    """Replace data/datasets.csv by a table with one row, that of the data set `things`."""
    pd.DataFrame([ROW | cells], columns=COLUMNS).to_csv(tmp_path / "datasets.csv", index=False)
    monkeypatch.setattr(registry, "TABLE", tmp_path / "datasets.csv")


def index_of(data, tmp_path) -> pd.DataFrame:
    """Write and read the index of a data set."""
    datasets.write_index(data, tmp_path / "index.parquet", threads=2)
    return pd.read_parquet(tmp_path / "index.parquet")


def error_of(data) -> str:
    """Return the message of the check of a data set."""
    with pytest.raises(DataSetError) as error:
        datasets.check(data)
    return str(error.value)


def index_error_of(data, tmp_path) -> str:
    """Return the message of the index of a data set."""
    with pytest.raises(DataSetError) as error:
        index_of(data, tmp_path)
    return str(error.value)
