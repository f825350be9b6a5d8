"""One reader for the tables that people edit: CSV in UTF-8, as a spreadsheet saves it."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

QUOTE = "put double quotes around a text that contains a comma"


class TableError(ValueError):
    """A table that cannot be read; the message names the file and the fix."""


def rows(path: str | Path, *columns: str) -> list[dict[str, str]]:
    """Read the rows of a CSV.

    A byte order mark, spaces around cells, and empty columns and rows at the end are left out.

    Parameters
    ----------
    path : str or Path
        File to read.
    *columns : str
        Columns that it must have.

    Returns
    -------
    list of dict
        Column -> cell. In a row with too many cells, those at the end are a list under None; in a
        row with too few, the missing ones are None.

    Raises
    ------
    TableError
        If the file is not a CSV in UTF-8, lacks one of `columns`, or has a column twice.
    OSError
        If the file cannot be opened.
    """
    names, lines = _read(Path(path), columns)
    table: list = []
    for line in lines:
        row = dict(zip(names, line + [None] * (len(names) - len(line)), strict=False))
        surplus = line[len(names) :]
        table.append(row | {None: surplus} if any(surplus) else row)
    return table


def frame(path: str | Path, *columns: str) -> "pd.DataFrame":
    """Read a table as `rows` does into a DataFrame of strings; a row too long is an error.

    Parameters
    ----------
    path : str or Path
    *columns : str
        Columns that must exist.
    """
    import pandas as pd

    names, lines = _read(Path(path), columns)
    for number, line in enumerate(lines, 1):
        if any(line[len(names) :]):
            raise TableError(f"{path}: row {number} has more cells than there are columns; {QUOTE}")
    cells = [line[: len(names)] + [None] * (len(names) - len(line)) for line in lines]
    return pd.DataFrame(cells, columns=names, dtype=str)


def _read(path: Path, columns: tuple[str, ...]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the cells of each row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            lines = [[cell.strip() for cell in line] for line in reader if line]
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except csv.Error as error:
        raise TableError(f"{path}: not a CSV ({error}); {QUOTE} or a quote") from None
    while lines and not any(lines[-1]):
        lines.pop()
    names = lines[0] if lines else []
    while names and not names[-1]:
        names.pop()
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise TableError(f"{path}: duplicate column {twice[0]!r}; rename or remove one")
    if missing := [name for name in columns if name not in names]:
        other = any(";" in name or "\t" in name for name in names)
        fix = "save it with commas between the cells" if other else "add it"
        known = ", ".join(map(repr, names)) or "none"
        raise TableError(f"{path}: no column {missing[0]!r} (found {known}); {fix}")
    return names, lines[1:]
