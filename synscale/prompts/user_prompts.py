"""Texts that a user brings: from a csv or parquet file, or from the folder of a Hugging Face data
set. Torch is not needed.
"""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synscale.runtime.file_names import nfc
from synscale.study import class_table, csv_tables

STRINGS = [pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view]
ARROW_FILE = b"ARROW1"  # start of a file in Arrow's file format
SHOWN = 5  # faulty rows that an error names of each kind


class TextsError(ValueError):
    """Texts that cannot be prompts; the message has a line for each kind of fault."""


def _table(path: str) -> pa.Table:
    """Read a file. Cells of a CSV are strings without outer spaces, never numbers or missing."""
    match Path(path).suffix:
        case ".csv":
            try:
                rows = csv_tables.rows(path)
            except csv_tables.TableError as error:
                raise TextsError(str(error)) from None
            if not rows:
                raise TextsError(
                    f"{path}: no rows; write a line for each text below the names of the columns"
                )
            if long := [number for number, row in enumerate(rows, 1) if None in row]:
                found = f"rows have more cells than there are columns (first: row {long[0]})"
                raise TextsError(f"{path}: {found}; {csv_tables.QUOTE}")
            return pa.table(
                {name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]}
            )
        case suffix:
            try:
                if suffix == ".parquet":
                    return pq.ParquetFile(path).read()
                with pa.memory_map(
                    path
                ) as source:  # save_to_disk writes the stream format, others the file format
                    is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
                    source.seek(0)
                    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
            except pa.ArrowInvalid as error:
                raise TextsError(f"{path}: cannot be read: {error}") from None


def _values(path: str, table: pa.Table, name: str, kinds: list, expected: str) -> list:
    """Return the values of a column whose type (or whose dictionary's) is one of `kinds`."""
    if name not in table.column_names:
        fix = "name it in the recipe's columns"
        known = ", ".join(map(repr, table.column_names))
        raise TextsError(f"{path}: no column {name!r}; there are {known}: {fix}")
    kind = table.schema.field(name).type
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(is_kind(values) for is_kind in [*kinds, pa.types.is_null]):
        fix = "convert it, or name another in the recipe's columns"
        raise TextsError(f"{path}: column {name!r} is {kind}, expected {expected}; {fix}")
    return table[name].to_pylist()


def _class_labels(table: pa.Table, column: str) -> list[str] | None:
    """Return the class names that a column's integers stand for (ClassLabel of `datasets`)."""
    known = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = known.get("info", {}).get("features", {}).get(column, {})
    return (
        feature.get("names")
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        else None
    )


def _classes(path: str, table: pa.Table, columns: dict, classes: pd.DataFrame) -> pd.DataFrame:
    """Find the class of each row.

    Columns: `shown` (as the user wrote it), `class_id` (None: unknown), `reason` (why unknown).
    """
    by_name = "name" in columns or (
        "class_id" not in columns
        and "class_id" not in table.column_names
        and "name" in table.column_names
    )
    key = "name" if by_name else "class_id"
    name = columns.get(key, key)
    if names := _class_labels(table, name):
        values = _values(path, table, name, [pa.types.is_integer], "integers")
        _, ids = class_table.match(names, classes.astype(str).to_dict("records"))
        known = dict(enumerate(ids))
        shown = [names[value] if value in known else value for value in values]
        fix = "rename it, or save the column without names"
        reason = f"class name of column {name!r} is not in the class table, or twice ({fix})"
        found = [known.get(value) for value in values]
    elif by_name:
        shown = _values(path, table, name, STRINGS, "string")
        unique = ~classes["name"].duplicated(
            keep=False
        )  # two classes of ImageNet may have the same name
        known = {
            nfc(name): class_id
            for name, class_id in zip(
                classes["name"][unique], classes["class_id"][unique], strict=True
            )
        }
        found, reason = (
            [known.get(nfc((value or "").strip())) for value in shown],
            "no class of that name, or more than one",
        )
    else:
        shown = _values(
            path, table, name, [pa.types.is_integer, pa.types.is_floating, *STRINGS], "integers"
        )
        found = [_class_id(value, len(classes)) for value in shown]
        reason = f"class_id must be one of 0 to {len(classes) - 1}"
    return pd.DataFrame(
        {
            "shown": pd.Series(shown, dtype=object),
            "class_id": pd.array(found, dtype="Int64"),
            "reason": reason,
        }
    )


def _class_id(value, count: int) -> int | None:
    """A class id below `count`; 3.0 is 3, for a column with a missing value is of floats."""
    match = re.fullmatch(r"([0-9]+)(\.0*)?", str(value).strip())
    return int(match[1]) if match and int(match[1]) < count else None


def _faults(rows: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    """A line for each kind of error. rows: place, text, and the columns of `_classes`."""
    unknown = rows["class_id"].isna()
    empty = ~rows["text"].map(lambda text: isinstance(text, str) and bool(text.strip()))
    kinds = [
        *(
            (unknown & (rows["reason"] == reason), reason)
            for reason in rows.loc[unknown, "reason"].unique()
        ),
        (empty, "the text is empty"),
        (
            rows.duplicated(["class_id", "text"]) & ~empty,
            "the same text of the same class stands twice",
        ),
    ]
    faults = []
    for wrong, said in kinds:
        own = rows[wrong]
        where = "; ".join(
            f"{row.place}, class {row.shown!r}" for row in own.head(SHOWN).itertuples()
        )
        if len(own):
            faults.append(
                f"{said}: {where}" + (f"; and {len(own) - SHOWN} more" if len(own) > SHOWN else "")
            )
    without = classes.loc[~classes["class_id"].isin(rows["class_id"]), "name"]
    if len(without):
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        faults.append(
            f"no text for {', '.join(map(repr, without.head(SHOWN)))}{more}: every class needs one"
        )
    return faults


def read(recipe: dict, paths: list[str], classes: pd.DataFrame) -> pd.DataFrame:
    """class_id and text of every row of `paths`, in order and unchanged.

    recipe: `columns` says what the columns are called. Raises TextsError where a column is missing,
    a class is unknown or has no text, or a text is empty or stands twice in its class.
    """
    columns, parts = recipe["columns"], []
    for path in paths:
        table = _table(path)
        rows = _classes(path, table, columns, classes)
        texts = _values(path, table, columns.get("text", "text"), STRINGS, "string")
        places = [f"{path} row {i}" for i in range(1, len(table) + 1)]
        parts.append(rows.assign(place=places, text=pd.Series(texts, dtype=object)))
    rows = pd.concat(parts, ignore_index=True)
    faults = _faults(rows, classes)
    if faults:
        raise TextsError("\n".join(f"recipe {recipe['recipe']!r}: {fault}" for fault in faults))
    return rows[["class_id", "text"]].astype({"class_id": "int64"})
