"""Names of classes in a file next to the data, which its integers stand for."""

from pathlib import Path

from synscale.data.datasets.registry import DataSet, shown
from synscale.study import class_table

FILES = ("classes.txt", "classnames.txt", "class_names.txt")


def class_ids(data: DataSet, *folders: Path) -> list[int]:
    """Return the class id of each integer that the data set uses for a class.

    The first file of `FILES` in the first of `folders` that has one gives a name a line. They are
    looked up in the class table, because their order may differ from it. Without such a file the
    integers are class ids.

    Raises
    ------
    DataSetError
        If a name is not in the class table, or twice.
    """
    path = next(
        (folder / name for folder in folders for name in FILES if (folder / name).is_file()), None
    )
    if path is None:
        return list(range(len(data.classes)))
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise data.error([f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8"]) from None
    column, ids = class_table.match(names, data.classes)
    if unknown := [
        f"{name!r} (class {number})" for number, name in enumerate(names) if ids[number] is None
    ]:
        fix = f"rename it, or move {path.name} away if the integers are class ids of the table"
        problem = f"{shown(unknown)} is no {column} of {data.table}, or of several classes"
        raise data.error([f"{path}: {problem}: {fix}"])
    return ids
