"""The table of a data set's classes: a CSV of class_id, which counts 0, 1, 2, ..., name, and what prompt recipes use of a class."""

import csv
from pathlib import Path

NEEDED = ["class_id", "name"]  # of any data set
TEXTS = ["description", "hypernyms"]  # of the study's own classes, for recipes


def rows(path: str | Path) -> list[dict[str, str]]:
    """Its rows, a mark that spreadsheets put before the first column left out. Raises csv.Error, UnicodeDecodeError and OSError."""
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def faults(key: str, path: str, columns: list[str] = NEEDED) -> list[str]:
    """A line for each kind of fault of the table that the study names at `key`."""
    told = f"{key} = {str(path)!r}"
    if not Path(path).is_file():
        return [f"{told}: no such file; give a CSV with {', '.join(columns)}"]
    try:
        found = rows(path)
    except UnicodeDecodeError as error:
        return [f"{told}: not UTF-8 at byte {error.start}: save it as UTF-8"]
    except csv.Error as error:
        return [f"{told}: no CSV: {error}: a text with a comma or a quote in it stands in double quotes"]
    if not found or not set(columns) <= set(found[0]):
        return [f"{told}: columns are {sorted(map(str, found[0])) if found else 'none'}; {', '.join(columns)} must be among them"]
    if [row["class_id"] for row in found] != [str(i) for i in range(len(found))]:
        return [f"{told}: class_id must count 0, 1, 2, ... in the order of the rows"]
    ragged = [row["class_id"] for row in found if None in row or None in row.values()]
    if ragged:
        return [f"{told}: class {', '.join(ragged[:5])}: more or fewer cells than columns: a text with a comma in it stands in double quotes"]
    nameless = [row["class_id"] for row in found if not row["name"].strip()]
    return [f"{told}: class {', '.join(nameless[:5])} has no name: add it"] if nameless else []


def count(path: str | Path) -> int:
    """Number of classes, for checks of a study; 1 of a table that cannot be read, which another check tells. Jobs `read`."""
    try:
        return max(1, len(rows(path)))
    except (OSError, UnicodeDecodeError, csv.Error):
        return 1


def read(path: str | Path):
    """The table, a data frame: class_id is an int, every other cell the text that stands there, for a class may be called 7 or None."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig").astype({"class_id": int})
