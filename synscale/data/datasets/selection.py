"""The images of a data set that a split takes: trained on, or held out; a part; none skipped."""

from pathlib import Path
from typing import TYPE_CHECKING

from synscale.data.datasets import held_out
from synscale.data.datasets.registry import DataSet, first_few
from synscale.runtime.file_names import nfc

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def balanced_order(class_ids, seed: int = 0) -> "np.ndarray":
    """Return indices that go round the classes, class 0 first; classes without images are left out.

    Any prefix is as balanced as the data allow. Within a class the order is shuffled.

    Parameters
    ----------
    class_ids : array-like of int, shape (N,)
    seed : int

    Returns
    -------
    ndarray of int, shape (N,)
    """
    import numpy as np

    labels, random = np.asarray(class_ids), np.random.default_rng(seed)
    rank = np.empty_like(labels, int)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        rank[members] = np.arange(len(members))
    return np.lexsort((labels, rank))


def part_mask(class_ids, part: tuple[int, int | None]) -> "np.ndarray":
    """Return which images are in a part, by their positions in a stratified order of all of them.

    Any range of that order has images of every class in proportion to their numbers, so that small
    classes are in every part. It goes round the classes if they have equally many images.

    Parameters
    ----------
    class_ids : array-like of int, shape (N,)
    part : tuple of int and (int or None)
        Half-open range of positions; None is the end.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    import numpy as np

    labels = np.asarray(class_ids)
    order = balanced_order(labels)
    place: np.ndarray = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    selected: np.ndarray = np.zeros(len(labels), bool)
    selected[np.lexsort((labels, place))[slice(*part)]] = True
    return selected


def select(
    data: DataSet, table: "pd.DataFrame", training_index: str | Path | None = None
) -> tuple["pd.DataFrame", list[str]]:
    """Return the rows of the images that a split takes, and problems.

    Images are held out, and parts are taken, before any is skipped: a skipped image moves no other
    one.

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
    if data.held_out:
        is_held_out = held_out.mask(table["class_id"], origins, data.held_out)
        table = table[~is_held_out if data.training else is_held_out]
    if data.part:
        table = table[part_mask(table["class_id"], data.part)]
    table = table[~table["origin"].map(nfc).isin(data.skipped)]
    if training_index and (trained := _origins(training_index) & set(table["origin"])):
        problem = f"{len(trained)} held-out images are trained on: {first_few(sorted(trained))}"
        cause = f"the data set has changed since {training_index} was written"
        problems.append(f"{problem} ({cause}); remove that file and start again")
    return table, problems


def _origins(index: str | Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(index, columns=["origin"])["origin"].to_pylist())
