"""Names of classes: in a file next to the data, or of the folders of a data set."""

from pathlib import Path

from synscale.data.datasets.registry import DataSet, first_few
from synscale.data.datasets.subset import named_classes
from synscale.runtime.file_names import is_clutter, is_utf8, nfc, split_of
from synscale.study import class_table

FILES = ("classes.txt", "classnames.txt", "class_names.txt")


def class_ids(data: DataSet, *folders: Path) -> list[int]:
    """Return the place in `named_classes` of each integer that the data set uses for a class.

    The first file of `FILES` in the first of `folders` that has one gives a name a line. They are
    looked up in the class table, because their order may differ from it. Without such a file the
    integers are class ids of the table.

    Parameters
    ----------
    data : DataSet
    *folders : Path
        Where the file of class names may be.

    Raises
    ------
    DataSetError
        If a name is not in the class table, or twice.
    """
    named = named_classes(data)
    files = [folder / name for folder in folders for name in FILES]
    path = next(filter(Path.is_file, files), None)
    if path is None:
        return list(range(len(named.rows)))
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise data.error([f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    column, ids = class_table.match(names, named.rows)
    unknown = [f"{names[i]!r} (class {i})" for i, class_id in enumerate(ids) if class_id is None]
    if unknown:
        fix = f"rename it, or move {path.name} away if the integers are class ids of the table"
        problem = f"{first_few(unknown)} is no {column} of {named.table}, or of several classes"
        raise data.error([f"{path}: {problem}; {fix}"])
    return [class_id for class_id in ids if class_id is not None]


def class_folders(folder: Path) -> list[str]:
    """Return the names of the folders of classes in the order of their class ids.

    Raises
    ------
    ValueError
        If there are none, if they are splits, or if a name is not UTF-8.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give the folder that has one folder per class")
    names = [path.name for path in folder.iterdir() if path.is_dir() and not is_clutter(path.name)]
    if not names:
        raise ValueError(f"{folder}: no folder in it (expected one per class); give another folder")
    if all(map(split_of, names)):
        splits = ", ".join(sorted(names))
        raise ValueError(f"{folder}: its folders are splits ({splits}); give the path of one")
    if odd := [ascii(name) for name in names if not is_utf8(name)]:
        raise ValueError(f"{folder}: names that are not UTF-8 ({first_few(odd)}); rename them")
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, nfc(name)))


def class_rows(labels: list[str]) -> list[tuple[int, str, str]]:
    """Return class id, name and label of each class."""
    rows = []
    for class_id, label in enumerate(labels):
        name = nfc(" ".join(label.replace("_", " ").split())) or label
        rows.append((class_id, name, nfc(label)))
    return rows
