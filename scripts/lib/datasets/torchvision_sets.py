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


def _same_order(data: DataSet, own: list) -> None:
    """Its classes, in its order, must be the table's: else every class id would name another class."""
    if len(own) != len(data.classes):
        raise data.error([f"torchvision finds {len(own)} classes"])
    table = [row.get("label", row["name"]) for row in data.classes]
    other = [f"{i} is {label!r}, not {row!r}" for i, (label, row) in enumerate(zip(own, table, strict=True)) if isinstance(label, str) and label != row]
    if other and "label" in data.classes[0]:
        raise data.error([f"its classes are not in the order of {data.table}: {shown(other)}"])


def class_ids_of(dataset) -> list[int]:
    for name in LABELS:
        labels = getattr(dataset, name, None)
        if labels is not None and len(labels) == len(dataset):
            return [int(label) for label in labels]
    return [int(dataset[i][1]) for i in range(len(dataset))]


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
