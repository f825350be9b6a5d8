"""What tests of data sets ask of one."""

import pandas as pd
import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError, registry


def known_as(monkeypatch, tmp_path, **row):
    """Let the data set have a row of its own in data/datasets.csv."""
    names = [
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
    row = {
        "id": "things",
        "title": "Things",
        "layout": "folders|webdataset",
        "how_to_get": "unpack things.zip",
    } | row
    pd.DataFrame([{name: row.get(name, "") for name in names}]).to_csv(
        tmp_path / "datasets.csv", index=False
    )
    monkeypatch.setattr(registry, "TABLE", tmp_path / "datasets.csv")


def index_of(data, tmp_path) -> pd.DataFrame:
    datasets.write_index(data, tmp_path / "index.parquet", threads=2)
    return pd.read_parquet(tmp_path / "index.parquet")


def told(data) -> str:
    with pytest.raises(DataSetError) as error:
        datasets.checked(data)
    return str(error.value)
