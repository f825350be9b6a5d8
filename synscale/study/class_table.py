"""The table of a data set's classes: a CSV of class_id, which counts 0, 1, 2, ..., name, and what
prompt recipes use of a class.
"""

from pathlib import Path

from synscale.runtime.file_names import nfc
from synscale.study import csv_tables
from synscale.study.csv_tables import TableError

NEEDED = ["class_id", "name"]  # of any data set
NAMES = ("wnid", "label", "name", "class_id")  # columns that a data set may name its classes by
TEXTS = ["description", "hypernyms"]  # of the study's own classes, for recipes


def rows(path: str | Path) -> list[dict[str, str]]:
    """Read its rows, as `csv_tables.rows`. Raises TableError and OSError."""
    return csv_tables.rows(path)


def match(names: list[str], classes: list[dict[str, str]]) -> tuple[str, list[int | None]]:
    """Find the classes that a data set names.

    Parameters
    ----------
    names : list of str
        Names that the data set gives its classes, in its order.
    classes : list of dict
        Rows of the class table.

    Returns
    -------
    column : str
        Column of the table that holds most of the names.
    ids : list of int or None
        Class id of each name; None if no class or more than one has it.
    """
    names = [nfc(str(name).strip()) for name in names]
    cells = {
        column: [nfc(row[column]) for row in classes]
        for column in NAMES
        if classes and column in classes[0]
    }
    column = max(cells, key=lambda column: len(set(cells[column]) & set(names)))
    if names == cells[column]:  # names that two classes share are told apart by their order
        return column, list(range(len(names)))
    ids: dict[str, int | None] = {}
    for class_id, name in enumerate(cells[column]):
        ids[name] = None if name in ids else class_id
    return column, [ids.get(name) for name in names]


def faults(key: str, path: str, columns: list[str] = NEEDED) -> list[str]:
    """A line for each kind of fault of the table that the study names at `key`."""
    told = f"{key} = {str(path)!r}"
    if not Path(path).is_file():
        return [f"{told}: no such file; give a CSV with {', '.join(columns)}"]
    try:
        found = rows(path)
    except TableError as error:
        return [f"{key}: {error}"]
    if not found or not set(columns) <= set(found[0]):
        return [
            f"{told}: columns are {sorted(map(str, found[0])) if found else 'none'}; {', '.join(columns)} must be among them"
        ]
    if [row["class_id"] for row in found] != [str(i) for i in range(len(found))]:
        return [f"{told}: class_id must count 0, 1, 2, ... in the order of the rows"]
    ragged = [row["class_id"] for row in found if None in row or None in row.values()]
    if ragged:
        return [
            f"{told}: class {', '.join(ragged[:5])}: more or fewer cells than columns: a text with a comma in it stands in double quotes"
        ]
    nameless = [row["class_id"] for row in found if not row["name"]]
    return [f"{told}: class {', '.join(nameless[:5])} has no name: add it"] if nameless else []


def count(path: str | Path) -> int:
    """Number of classes, for checks of a study; 1 of a table that cannot be read, which another
    check tells. Jobs `read`.
    """
    try:
        return max(1, len(rows(path)))
    except (OSError, TableError):
        return 1


def read(path: str | Path):
    """The table, a data frame: class_id is an int, every other cell the text that stands there, for
    a class may be called 7 or None.
    """
    return csv_tables.frame(path).astype({"class_id": int})
