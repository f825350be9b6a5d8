"""Data sets that torchvision reads. Nothing is downloaded.

data/datasets.csv names them like this: torchvision:GTSRB(split=test).
"""

import ast
import difflib
import inspect
import operator
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from synscale.data.datasets.index_table import Index, image_table
from synscale.data.datasets.registry import DataSet, DataSetError, Survey, first_few
from synscale.runtime.file_names import nfc

# Where a set has its class ids; one that has none of them is read item by item.
LABELS = ("targets", "labels", "y")
CLASSES = ("classes", "categories")
# Arguments that a layout may not set.
TRANSFORMS = ("transform", "target_transform", "transforms")
OTHER = ("root", "download", *TRANSFORMS, "loader", "is_valid_file")
UNREADABLE = (RuntimeError, OSError, ValueError, KeyError, EOFError, AttributeError, IndexError)


def parse_layout(layout: str) -> tuple[str, dict]:
    """Return name and arguments of torchvision:Name(argument=value, ...). Raises DataSetError."""
    where = f"data/datasets.csv: layout {layout!r}"
    match = re.fullmatch(r"torchvision:(\w+)\((.*)\)", layout)
    if not match:
        raise DataSetError(f"{where}: no layout (expected torchvision:Name(argument=value, ...))")
    arguments = {}
    for pair in filter(str.strip, match[2].split(",")):
        name, _, value = map(str.strip, pair.partition("="))
        if not value or not name.isidentifier():
            raise DataSetError(f"{where}: no argument ({pair.strip()!r}, expected argument=value)")
        if name in OTHER:
            raise DataSetError(f"{where}: {name} is not allowed in a layout; remove it")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return match[1], arguments


def _layout(data: DataSet) -> str:
    return next(layout for layout in data.layouts if layout.startswith("torchvision:"))


def open_set(data: DataSet) -> Any:
    """Open the torchvision data set.

    Raises DataSetError if it is absent or takes other arguments.
    """
    import synscale.runtime.torch_setup  # noqa: F401

    from torchvision import datasets

    name, arguments = parse_layout(_layout(data))
    kind = getattr(datasets, name, None)
    if not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset)):
        close = difflib.get_close_matches(name, datasets.__all__, n=1)
        fix = f"; did you mean {close[0]}?" if close else ""
        raise data.error([f"torchvision.datasets has no data set {name}{fix}"])
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
        names = [key for key in parameters if key not in (*OTHER, "kwargs")]
        problem = f": {error}; it takes {', '.join(names) or 'no argument'}"
    except UNREADABLE as error:
        problem = f" does not find it or cannot read it: {error}"
    raise data.error([" ".join(f"torchvision.datasets.{name}{problem}".split())])


def _plain(label: str) -> str:
    return "".join(filter(str.isalnum, nfc(label).lower()))


def _names(data: DataSet, dataset) -> list[str] | None:
    """Return the names of the classes, in the order of the labels, if there are names."""
    attributes = ("wnids", *CLASSES) if "wnid" in data.classes[0] else CLASSES
    lists = [list(getattr(dataset, name, None) or []) for name in attributes]
    names = next(filter(None, lists), None)
    if names is None and isinstance(index := getattr(dataset, "class_to_idx", None), dict):
        names = sorted(index, key=index.__getitem__)
    if names and isinstance(names[0], tuple):  # ImageNet has several names for a class
        names = [name[0] for name in names]
    return names if names and isinstance(names[0], str) else None


def class_map(data: DataSet, names: list[str]) -> list[int | None]:
    """Return the class id of each label of a data set whose classes have these names.

    They are looked up in the columns wnid, label and name of the class table, exactly or by their
    letters and digits. A class that is not in the table is None. Labels are class ids if the names
    are in the table's order, apart from at most half that are spelt in another way.

    Parameters
    ----------
    data : DataSet
    names : list of str
        Names of the classes, in the order of the labels.

    Raises
    ------
    DataSetError
        If the names are not those of the table.
    """
    count = len(data.classes)
    best: list[int | None] = [None] * len(names)
    for key in (nfc, _plain):
        for column in ("wnid", "label", "name"):
            cells = [key(row[column]) for row in data.classes if column in row]
            times = Counter(cells)
            by_cell = {cell: class_id for class_id, cell in enumerate(cells) if times[cell] == 1}
            ids = [by_cell.get(key(name)) for name in names]
            known = [class_id for class_id in ids if class_id is not None]
            if len(set(known)) == len(known) > len(best) - best.count(None):
                best = ids
    if None not in best or set(range(count)) <= set(best):
        return best
    in_order = all(class_id in (None, place) for place, class_id in enumerate(best))
    if len(names) == count and in_order and best.count(None) <= count / 2:
        return list(range(count))
    unknown = [name for name, class_id in zip(names, best, strict=True) if class_id is None]
    problem = f"{len(unknown)} of torchvision's {len(names)} classes are not in {data.table}"
    fix = "add a column label with torchvision's names to it"
    raise data.error([f"{problem} ({first_few(unknown)}); {fix}"])


def class_ids_of(dataset) -> list[int]:
    """Return the labels of a torchvision data set, item by item."""
    for name in LABELS:
        labels = getattr(dataset, name, None)
        if labels is not None and len(labels) == len(dataset):
            return [_label(dataset, i, label) for i, label in enumerate(labels)]
    ids = []
    for i in range(len(dataset)):
        try:
            item = dataset[i]
        except (OSError, SyntaxError) as error:
            message = " ".join(str(error).split())
            raise DataSetError(f"{_item(dataset, i)} cannot be read: {message}") from None
        ids.append(_label(dataset, i, item[1]))
    return ids


def _item(dataset, i: int) -> str:
    return f"item {i} of torchvision.datasets.{type(dataset).__name__}"


def _label(dataset, i: int, label) -> int:
    try:
        return operator.index(label)
    except (TypeError, ValueError, RuntimeError):
        value = " ".join(repr(label).split())[:60]
        problem = f"the label of {_item(dataset, i)} is no integer"
        raise DataSetError(f"{problem} ({value}, expected a class id)") from None


def labels_of(data: DataSet) -> list[int]:
    """Return class ids of the items, in the order of the class table. Raises DataSetError."""
    dataset = open_set(data)
    labels, names = class_ids_of(dataset), _names(data, dataset)
    if names is None:
        return labels
    ids, class_ids = class_map(data, names), []
    for i, label in enumerate(labels):
        if not 0 <= label < len(ids):
            detail = f"label {label}, torchvision names {len(ids)} classes"
            raise data.error([f"item {i} has no class ({detail})"])
        if (class_id := ids[label]) is None:
            problem = f"item {i} is of class {names[label]!r}, which is not in {data.table}"
            raise data.error([f"{problem}; add it"])
        class_ids.append(class_id)
    return class_ids


def survey(data: DataSet) -> Survey:
    """Open the data set, if torchvision is installed, and compare the names of its classes."""
    result = Survey(_layout(data))
    try:
        dataset = open_set(data)
    except ImportError:  # Snakemake may run without torch; index_data reports errors
        result.notes.append("not checked here, because torchvision is not installed")
        return result
    if names := _names(data, dataset):
        class_map(data, names)
    result.notes.append(f"{len(dataset)} images")
    return result


def index(data: DataSet, threads: int) -> Index:
    """Return a row for every item, in order, and a survey. See `datasets`.

    Parameters
    ----------
    data : DataSet
    threads : int
        Threads that read images.
    """
    ids = labels_of(data)
    rows = [(class_id, f"item {i}", None, i, None) for i, class_id in enumerate(ids)]
    return image_table(rows), Survey("torchvision", Counter(ids))


def reader(data: DataSet) -> Callable[[dict], object]:
    """Return a function from a row of the index to a PIL image."""
    dataset = open_set(data)
    return lambda row: dataset[row["offset"]][0]
