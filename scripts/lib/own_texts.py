"""Texts that a user brings: from a csv or parquet file, or from the folder of a Hugging Face data set. Torch is not needed."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.lib import csv_tables

SHOWN = 5  # faulty rows that an error names of each kind


class TextsError(ValueError):
    """Texts that cannot be prompts; the message has a line for each kind of fault."""


def _table(path: str) -> pd.DataFrame:
    """Read a file. Every cell of a CSV is a string without outer spaces; none becomes a number or a missing value."""
    match Path(path).suffix:
        case ".csv":
            try:
                rows = csv_tables.rows(path)
            except csv_tables.TableError as error:
                raise TextsError(str(error)) from None
            if not rows:
                raise TextsError(f"{path}: no rows; write a line for each text below the names of the columns")
            if long := [number for number, row in enumerate(rows, 1) if None in row]:
                fix = "put double quotes around a text that holds a comma"
                raise TextsError(f"{path}: rows have more cells than there are columns (first: row {long[0]}); {fix}")
            return pd.DataFrame(rows, dtype=str)
        case suffix:
            try:
                if suffix == ".parquet":
                    return pq.ParquetFile(path).read().to_pandas()
                with pa.memory_map(path) as source:  # save_to_disk writes the stream format
                    return pa.ipc.open_stream(source).read_all().to_pandas()
            except pa.ArrowInvalid as error:
                raise TextsError(f"{path}: cannot be read: {error}") from None


def _column(path: str, table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table.columns:
        mend = "name it in the recipe's columns"
        raise TextsError(f"{path}: no column {name!r}; there are {', '.join(map(repr, map(str, table.columns)))}: {mend}")
    return table[name]


def _class_ids(values: pd.Series, by_name: bool, classes: pd.DataFrame) -> tuple[list[int | None], str]:
    """Class id of each row, None where there is no such class, and what to say of it."""
    if by_name:
        known: dict[str, int | None] = {}
        for class_id, name in zip(classes["class_id"], classes["name"], strict=True):
            known[name] = None if name in known else int(class_id)  # two classes of ImageNet may have the same name
        return [known.get(value) for value in values], "no class of that name, or more than one"
    ids = {str(class_id): int(class_id) for class_id in classes["class_id"]}
    return [ids.get(str(value).strip()) for value in values], f"class_id must be one of 0 to {len(ids) - 1}"


def _faults(rows: pd.DataFrame, unknown: str, classes: pd.DataFrame) -> list[str]:
    """A line for each kind of fault. rows: place, shown (the class as the user wrote it), class_id (None: unknown), text."""
    empty = ~rows["text"].map(lambda text: isinstance(text, str) and bool(text.strip()))
    kinds = [
        (rows["class_id"].isna(), unknown),
        (empty, "the text is empty"),
        (rows.duplicated(["class_id", "text"]) & ~empty, "the same text of the same class stands twice"),
    ]
    faults = []
    for wrong, said in kinds:
        own = rows[wrong]
        where = "; ".join(f"{row.place}, class {row.shown!r}" for row in own.head(SHOWN).itertuples())
        if len(own):
            faults.append(f"{said}: {where}" + (f"; and {len(own) - SHOWN} more" if len(own) > SHOWN else ""))
    without = classes.loc[~classes["class_id"].isin(rows["class_id"]), "name"]
    if len(without):
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        faults.append(f"no text for {', '.join(map(repr, without.head(SHOWN)))}{more}: every class needs one")
    return faults


def read(recipe: dict, paths: list[str], classes: pd.DataFrame) -> pd.DataFrame:
    """class_id and text of every row of `paths`, in order and unchanged.

    recipe: `columns` says what the columns are called. Raises TextsError where a column is missing, a class is unknown or has no text, or
    a text is empty or stands twice in its class.
    """
    columns, parts = recipe["columns"], []
    unknown = ""
    for path in paths:
        table = _table(path)
        by_name = "name" in columns or ("class_id" not in columns and "class_id" not in table.columns and "name" in table.columns)
        key = "name" if by_name else "class_id"
        shown, text = _column(path, table, columns.get(key, key)), _column(path, table, columns.get("text", "text"))
        ids, unknown = _class_ids(shown, by_name, classes)
        own = {"place": [f"{path} row {i}" for i in range(1, len(table) + 1)], "shown": list(shown), "class_id": pd.array(ids, dtype="Int64")}
        parts.append(pd.DataFrame(own | {"text": pd.Series(list(text), dtype=object)}))
    rows = pd.concat(parts, ignore_index=True)
    faults = _faults(rows, unknown, classes)
    if faults:
        raise TextsError("\n".join(f"recipe {recipe['recipe']!r}: {fault}" for fault in faults))
    return rows[["class_id", "text"]].astype({"class_id": "int64"})
