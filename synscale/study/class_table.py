"""Table of a data set's classes.

A CSV of class_id (0, 1, 2, ...), name, and columns that prompt recipes read.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from synscale.runtime.file_names import nfc
from synscale.study import csv_tables
from synscale.study.csv_tables import TableError, rows

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ["class_id", "name"]  # columns of every table
NAMES = ("wnid", "label", "name", "class_id")  # columns that a data set may name its classes by
TEXTS = ["description", "hypernyms"]  # columns of the study's classes, for recipes


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
    if names == cells[column]:  # their order identifies classes with the same name
        return column, list(range(len(names)))
    ids: dict[str, int | None] = {}
    for class_id, name in enumerate(cells[column]):
        ids[name] = None if name in ids else class_id
    return column, [ids.get(name) for name in names]


def errors(key: str, path: str, columns: list[str] = REQUIRED) -> list[str]:
    """Return the errors of a class table, if any.

    Parameters
    ----------
    key : str
        Key of the study that names the table.
    path : str
    columns : list of str
        Columns that the table must have.
    """
    where, needed = f"{key} = {str(path)!r}", ", ".join(columns)
    if not Path(path).is_file():
        return [f"{where}: no such file; give a CSV with {needed}"]
    try:
        table = rows(path)
    except TableError as error:
        return [f"{key}: {error}"]
    if not table or not set(columns) <= set(table[0]):
        present = sorted(map(str, table[0])) if table else "none"
        return [f"{where}: columns are {present}; {needed} must be among them"]
    if [row["class_id"] for row in table] != [str(i) for i in range(len(table))]:
        return [f"{where}: class_id must count 0, 1, 2, ... in the order of the rows"]
    ragged = [row["class_id"] for row in table if None in row or None in row.values()]
    if ragged:
        problem = f"more or fewer cells than columns; {csv_tables.QUOTE}"
        return [f"{where}: class {', '.join(ragged[:5])}: {problem}"]
    nameless = [row["class_id"] for row in table if not row["name"]]
    return [f"{where}: class {', '.join(nameless[:5])} has no name; add it"] if nameless else []


def count(path: str | Path) -> int:
    """Return the number of classes; 1 if the table cannot be read, which `errors` reports."""
    try:
        return max(1, len(rows(path)))
    except (OSError, TableError):
        return 1


def read(path: str | Path) -> "pd.DataFrame":
    """Return the table as a DataFrame, with class_id as int.

    All other cells are strings, as a class may be called 7 or None.
    """
    return csv_tables.frame(path).astype({"class_id": int})
