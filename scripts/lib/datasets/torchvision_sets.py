"""Data sets that torchvision reads, as data/datasets.csv names them: torchvision:GTSRB(split=test). Nothing is downloaded."""

import inspect
import re
from collections import Counter

from scripts.lib.datasets.registry import DataSet, DataSetError, Found, shown

LABELS = ("targets", "labels", "y")  # where a set keeps its class ids; one that has none of them is read item by item
CLASSES = ("classes", "categories")


def called(layout: str) -> tuple[str, dict]:
    """Name and arguments of torchvision:Name(argument=value, ...)."""
    match = re.fullmatch(r"torchvision:(\w+)\((.*)\)", layout)
    if not match:
        raise DataSetError(f"data/datasets.csv: layout {layout!r}: must be torchvision:Name(argument=value, ...)")
    arguments = dict(pair.strip().split("=", 1) for pair in match[2].split(",") if pair.strip())
    known = {"True": True, "False": False}
    return match[1], {name: known.get(value, int(value) if value.isdigit() else value) for name, value in arguments.items()}


def opened(data: DataSet):
    """The torchvision data set. Raises DataSetError where torchvision does not find it, or finds other classes."""
    import scripts.lib.torch_setup  # noqa: F401

    from torchvision import datasets

    name, arguments = called(next(layout for layout in data.layouts if layout.startswith("torchvision:")))
    kind = getattr(datasets, name, None)
    if kind is None:
        raise data.error([f"torchvision.datasets has no {name}"])
    if "download" in inspect.signature(kind).parameters:
        arguments["download"] = False
    try:
        found = kind(str(data.place), **arguments)
    except (RuntimeError, OSError, ValueError, KeyError, EOFError) as error:
        raise data.error([f"torchvision.datasets.{name} does not find it: {' '.join(str(error).split())}"]) from None
    own = next((list(getattr(found, attribute)) for attribute in CLASSES if hasattr(found, attribute)), None)
    if own is not None:
        _same_order(data, own)
    return found


def _plain(label: str) -> str:
    return "".join(filter(str.isalnum, str(label).lower()))


def _same_order(data: DataSet, own: list) -> None:
    """Its classes must be the table's, in its order: else a class id would name another class. Another spelling of a few says nothing."""
    if len(own) != len(data.classes):
        raise data.error([f"torchvision finds {len(own)} classes"])
    if "label" not in data.classes[0] or not isinstance(own[0], str):
        return
    place = {_plain(row["label"]): i for i, row in enumerate(data.classes)}
    found = [place.get(_plain(label)) for label in own]
    moved = [f"{i} is {own[i]!r}, which is {at} there" for i, at in enumerate(found) if at not in (None, i)]
    if moved or found.count(None) > len(own) / 2:
        raise data.error([f"its classes are not those of {data.table} in their order: {shown(moved or own)}"])


def class_ids_of(dataset) -> list[int]:
    for name in LABELS:
        labels = getattr(dataset, name, None)
        if labels is not None and len(labels) == len(dataset):
            return [int(label) for label in labels]
    found = []
    for i in range(len(dataset)):
        try:
            found.append(int(dataset[i][1]))
        except (OSError, SyntaxError) as error:
            raise DataSetError(f"item {i} of torchvision.datasets.{type(dataset).__name__} cannot be read: {' '.join(str(error).split())}") from None
    return found


def survey(data: DataSet) -> Found:
    found = Found(next(layout for layout in data.layouts if layout.startswith("torchvision:")))
    try:
        found.notes.append(f"{len(opened(data))} images")
    except ImportError:  # Snakemake may run where torch is not installed; the job that makes the index will tell
        found.notes.append("not looked into, for torchvision is not installed here")
    return found


def index(data: DataSet, threads: int):
    """Rows of every item, in order, and what is there. See datasets.index."""
    import pandas as pd

    ids = class_ids_of(opened(data))
    rows = [(class_id, f"item {i}", None, i, None) for i, class_id in enumerate(ids)]
    table = pd.DataFrame(rows, columns=["class_id", "origin", "tar", "offset", "size"])
    return table, Found("torchvision", Counter(ids))


def reader(data: DataSet):
    """A function from a row of the index to a PIL image."""
    dataset = opened(data)
    return lambda row: dataset[row["offset"]][0]
