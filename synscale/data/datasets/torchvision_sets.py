"""Data sets that torchvision reads, as data/datasets.csv names them: torchvision:GTSRB(split=test).
Nothing is downloaded.
"""

import ast
import difflib
import inspect
import operator
import re
from collections import Counter

from synscale.data.datasets.registry import DataSet, DataSetError, Found, shown
from synscale.runtime.file_names import nfc

LABELS = (
    "targets",
    "labels",
    "y",
)  # where a set keeps its class ids; one that has none of them is read item by item
CLASSES = ("classes", "categories")
# Arguments that a layout may not set.
OTHER = (
    "root",
    "download",
    "transform",
    "target_transform",
    "transforms",
    "loader",
    "is_valid_file",
)
UNREADABLE = (RuntimeError, OSError, ValueError, KeyError, EOFError, AttributeError, IndexError)


def called(layout: str) -> tuple[str, dict]:
    """Name and arguments of torchvision:Name(argument=value, ...). Raises DataSetError."""
    where = f"data/datasets.csv: layout {layout!r}"
    match = re.fullmatch(r"torchvision:(\w+)\((.*)\)", layout)
    if not match:
        raise DataSetError(f"{where}: must be torchvision:Name(argument=value, ...)")
    arguments = {}
    for pair in filter(str.strip, match[2].split(",")):
        name, _, value = map(str.strip, pair.partition("="))
        if not value or not name.isidentifier():
            raise DataSetError(f"{where}: {pair.strip()!r} is not argument=value")
        if name in OTHER:
            raise DataSetError(f"{where}: {name} is not for a layout; remove it")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return match[1], arguments


def opened(data: DataSet):
    """Open the torchvision data set. Raises DataSetError if it is absent or takes other arguments."""
    import synscale.runtime.torch_setup  # noqa: F401

    from torchvision import datasets

    name, arguments = called(
        next(layout for layout in data.layouts if layout.startswith("torchvision:"))
    )
    kind = getattr(datasets, name, None)
    if not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset)):
        close = difflib.get_close_matches(name, datasets.__all__, n=1)
        raise data.error(
            [
                f"torchvision.datasets has no data set {name}"
                + "".join(f"; did you mean {near}?" for near in close)
            ]
        )
    parameters = inspect.signature(kind).parameters
    if "root" not in parameters:
        raise data.error([f"torchvision.datasets.{name} is not read from a folder"])
    if "download" in parameters:
        arguments["download"] = False
    place = str(data.place)
    try:
        inspect.signature(kind).bind(place, **arguments)
        return kind(place, **arguments)
    except TypeError as error:
        taken = ", ".join(key for key in parameters if key not in (*OTHER, "kwargs"))
        told = f": {error}; it takes {taken or 'no argument'}"
    except UNREADABLE as error:
        told = f" does not find it or cannot read it: {error}"
    raise data.error([" ".join(f"torchvision.datasets.{name}{told}".split())])


def _plain(label: str) -> str:
    return "".join(filter(str.isalnum, nfc(label).lower()))


def _names(data: DataSet, dataset) -> list[str] | None:
    """What the data set calls its classes, in the order of its labels, if it has names."""
    attributes = ("wnids", *CLASSES) if "wnid" in data.classes[0] else CLASSES
    names = next(
        (list(getattr(dataset, name)) for name in attributes if getattr(dataset, name, None)), None
    )
    if names is None and isinstance(index := getattr(dataset, "class_to_idx", None), dict):
        names = sorted(index, key=index.get)
    if names and isinstance(names[0], tuple):  # ImageNet has several names for a class
        names = [name[0] for name in names]
    return names if names and isinstance(names[0], str) else None


def class_map(data: DataSet, names: list[str]) -> list[int | None]:
    """Return the class id of each label of a data set whose classes have these names.

    They are looked up in the columns wnid, label and name of the class table, exactly or by their
    letters and digits. A class that is not in the table is None. Labels are class ids if the names
    are in the table's order, apart from at most half that are spelt in another way.

    Raises
    ------
    DataSetError
        If the names are not those of the table.
    """
    count, best = len(data.classes), [None] * len(names)
    for key in (nfc, _plain):
        for column in ("wnid", "label", "name"):
            cells = [key(row[column]) for row in data.classes if column in row]
            times = Counter(cells)
            ids = {cell: class_id for class_id, cell in enumerate(cells) if times[cell] == 1}
            found = [ids.get(key(name)) for name in names]
            known = [class_id for class_id in found if class_id is not None]
            if len(set(known)) == len(known) > len(best) - best.count(None):
                best = found
    if None not in best or set(range(count)) <= set(best):
        return best
    in_order = all(class_id in (None, place) for place, class_id in enumerate(best))
    if len(names) == count and in_order and best.count(None) <= count / 2:
        return list(range(count))
    unknown = [name for name, class_id in zip(names, best, strict=True) if class_id is None]
    told = f"torchvision's set has {len(names)} classes, and {len(unknown)} of them are not in"
    fix = "add a column label with torchvision's names to it"
    raise data.error([f"{told} {data.table} ({shown(unknown)}): {fix}"])


def class_ids_of(dataset) -> list[int]:
    """Labels of a torchvision data set, item by item."""
    for name in LABELS:
        labels = getattr(dataset, name, None)
        if labels is not None and len(labels) == len(dataset):
            return [_label(dataset, i, label) for i, label in enumerate(labels)]
    found = []
    for i in range(len(dataset)):
        try:
            item = dataset[i]
        except (OSError, SyntaxError) as error:
            raise DataSetError(
                f"item {i} of torchvision.datasets.{type(dataset).__name__} cannot be read: {' '.join(str(error).split())}"
            ) from None
        found.append(_label(dataset, i, item[1]))
    return found


def _label(dataset, i: int, label) -> int:
    try:
        return operator.index(label)
    except (TypeError, ValueError, RuntimeError):
        item = f"item {i} of torchvision.datasets.{type(dataset).__name__}"
        found = " ".join(repr(label).split())[:60]
        raise DataSetError(f"the label of {item} is {found}, expected a class id") from None


def labels_of(data: DataSet) -> list[int]:
    """Class ids of the items, in the order of the class table. Raises DataSetError."""
    dataset = opened(data)
    labels, names = class_ids_of(dataset), _names(data, dataset)
    if names is None:
        return labels
    ids = class_map(data, names)
    for i, label in enumerate(labels):
        if not 0 <= label < len(ids):
            raise data.error(
                [f"item {i} has label {label}, and torchvision names {len(ids)} classes"]
            )
        if ids[label] is None:
            raise data.error(
                [f"item {i} is of class {names[label]!r}, which is not in {data.table}: add it"]
            )
    return [ids[label] for label in labels]


def survey(data: DataSet) -> Found:
    found = Found(next(layout for layout in data.layouts if layout.startswith("torchvision:")))
    try:
        dataset = opened(data)
        if names := _names(data, dataset):
            class_map(data, names)
        found.notes.append(f"{len(dataset)} images")
    except (
        ImportError
    ):  # Snakemake may run where torch is not installed; the job that makes the index will tell
        found.notes.append("not looked into, for torchvision is not installed here")
    return found


def index(data: DataSet, threads: int):
    """Rows of every item, in order, and what is there. See datasets.index."""
    import pandas as pd

    ids = labels_of(data)
    rows = [(class_id, f"item {i}", None, i, None) for i, class_id in enumerate(ids)]
    table = pd.DataFrame(rows, columns=["class_id", "origin", "tar", "offset", "size"])
    return table, Found("torchvision", Counter(ids))


def reader(data: DataSet):
    """A function from a row of the index to a PIL image."""
    dataset = opened(data)
    return lambda row: dataset[row["offset"]][0]
