"""One reader for the tables that people edit: CSV in UTF-8, as a spreadsheet saves it."""

import csv
from pathlib import Path


class TableError(ValueError):
    """A table that cannot be read; the message names the file and the fix."""


def rows(path: str | Path, *columns: str) -> list[dict[str, str]]:
    """Read the rows of a CSV, without a byte order mark and without spaces around cells.

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
        If the file is not a CSV in UTF-8 or lacks one of `columns`.
    OSError
        If the file cannot be opened.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            names = [_stripped(name) for name in reader.fieldnames or []]
            found = [{_stripped(name): _stripped(cell) for name, cell in row.items()} for row in reader]
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except csv.Error as error:
        fix = "put double quotes around a text that holds a comma or a quote"
        raise TableError(f"{path}: not a CSV ({error}); {fix}") from None
    if missing := [name for name in columns if name not in names]:
        other = any(";" in name or "\t" in name for name in names)
        fix = "save it with commas between the cells" if other else "add it"
        known = ", ".join(map(repr, names)) or "none"
        raise TableError(f"{path}: no column {missing[0]!r} (found {known}); {fix}")
    return found


def frame(path: str | Path, *columns: str):
    """Read a table as `rows` does into a DataFrame whose cells are all strings."""
    import pandas as pd

    return pd.DataFrame(rows(path, *columns), dtype=str)


def _stripped(cell):
    """Return a cell without outer spaces; None and the list of surplus cells stay as they are."""
    return cell.strip() if isinstance(cell, str) else cell
