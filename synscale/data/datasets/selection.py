"""The images of a data set that a split takes: none that is skipped; trained on, or held out."""

from pathlib import Path
from typing import TYPE_CHECKING

from synscale.data.datasets import held_out
from synscale.data.datasets.registry import DataSet, first_few
from synscale.runtime.file_names import nfc

if TYPE_CHECKING:
    import pandas as pd


def select(
    data: DataSet, table: "pd.DataFrame", training_index: str | Path | None = None
) -> tuple["pd.DataFrame", list[str]]:
    """Return the rows of the images that a split takes, and problems.

    Images are held out before any is skipped, so that a skipped image moves no other one.

    Parameters
    ----------
    data : DataSet
    table : DataFrame
        Every image of the data set, with columns `class_id` and `origin`.
    training_index : str or Path, optional
        Index of the training set that the images are held out of; no image may be in both.
    """
    origins = table["origin"].map(nfc)
    problems = []
    if unknown := sorted(data.skipped - set(origins)):
        problem = f"{data.skip}: no image {first_few(unknown)} in the data set"
        problems.append(f"{problem}; correct or remove the line")
    is_selected = ~origins.isin(data.skipped)
    if data.held_out:
        is_held_out = held_out.mask(table["class_id"], origins, data.held_out)
        is_selected &= ~is_held_out if data.training else is_held_out
    table = table[is_selected]
    if training_index and (trained := _origins(training_index) & set(table["origin"])):
        problem = f"{len(trained)} held-out images are trained on: {first_few(sorted(trained))}"
        cause = f"the data set has changed since {training_index} was written"
        problems.append(f"{problem} ({cause}); remove that file and start again")
    return table, problems


def _origins(index: str | Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(index, columns=["origin"])["origin"].to_pylist())
