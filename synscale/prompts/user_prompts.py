"""Texts of the user: from a csv or parquet file, or from the folder of a Hugging Face data set."""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synscale.runtime.file_names import nfc
from synscale.study import class_table, csv_tables
from synscale.workflow.settings.prompts import PromptSettings

STRINGS = [pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view]
NUMBERS = [pa.types.is_integer, pa.types.is_floating]
ARROW_FILE = b"ARROW1"  # start of a file in Arrow's file format
SHOWN = 5  # rows that an error names for each kind of problem


class TextsError(ValueError):
    """Texts that cannot be prompts; the message has a line for each kind of problem."""


def _table(path: str) -> pa.Table:
    """Read a file. Cells of a CSV are strings without outer spaces, never numbers or missing."""
    suffix = Path(path).suffix
    if suffix == ".csv":
        return _csv(path)
    try:
        if suffix == ".parquet":
            return pq.ParquetFile(path).read()
        # save_to_disk writes the stream format, others the file format.
        with pa.memory_map(path) as source:
            is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
            source.seek(0)
            return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
    except pa.ArrowInvalid as error:
        raise TextsError(f"{path}: cannot be read: {error}") from None


def _csv(path: str) -> pa.Table:
    try:
        rows = csv_tables.rows(path)
    except csv_tables.TableError as error:
        raise TextsError(str(error)) from None
    if not rows:
        fix = "write a line for each text below the names of the columns"
        raise TextsError(f"{path}: no rows; {fix}")
    if long := [number for number, row in enumerate(rows, 1) if None in row]:
        problem = f"rows have more cells than there are columns (first: row {long[0]})"
        raise TextsError(f"{path}: {problem}; {csv_tables.QUOTE}")
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]})


def _values(path: str, table: pa.Table, name: str, kinds: list, expected: str) -> list:
    """Return the values of a column whose type (or whose dictionary's) is one of `kinds`."""
    if name not in table.column_names:
        known = ", ".join(map(repr, table.column_names))
        fix = "name it in the recipe's columns"
        raise TextsError(f"{path}: no column {name!r} (found {known}); {fix}")
    kind = table.schema.field(name).type
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(is_kind(values) for is_kind in [*kinds, pa.types.is_null]):
        fix = "convert it, or name another in the recipe's columns"
        raise TextsError(
            f"{path}: column {name!r} has another type ({kind}, expected {expected}); {fix}"
        )
    return table[name].to_pylist()


def _class_labels(table: pa.Table, column: str) -> list[str] | None:
    """Return the class names of a column of integers (ClassLabel of `datasets`)."""
    metadata = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = metadata.get("info", {}).get("features", {}).get(column, {})
    is_label = isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    return feature.get("names") if is_label else None


def _classes(path: str, table: pa.Table, columns: dict, classes: pd.DataFrame) -> pd.DataFrame:
    """Find the class of each row.

    Columns: `shown` (as the user wrote it), `class_id` (None: unknown), `reason` (why unknown).
    """
    known = table.column_names
    has_names = "class_id" not in columns and "class_id" not in known and "name" in known
    key = "name" if "name" in columns or has_names else "class_id"
    column = columns.get(key, key)
    if names := _class_labels(table, column):
        values = _values(path, table, column, NUMBERS[:1], "integers")
        _, ids = class_table.match(names, classes.astype(str).to_dict("records"))
        by_value = dict(enumerate(ids))
        shown = [names[value] if value in by_value else value for value in values]
        class_ids = [by_value.get(value) for value in values]
        fix = "rename it, or save the column without names"
        reason = f"class name of column {column!r} is not in the class table, or twice ({fix})"
    elif key == "name":
        shown = _values(path, table, column, STRINGS, "string")
        # Two classes of ImageNet have the same name.
        unique = classes[~classes["name"].duplicated(keep=False)]
        by_name = dict(zip(unique["name"].map(nfc), unique["class_id"], strict=True))
        class_ids = [by_name.get(nfc((value or "").strip())) for value in shown]
        reason = "no class of that name, or more than one"
    else:
        shown = _values(path, table, column, [*NUMBERS, *STRINGS], "integers")
        class_ids = [_class_id(value, len(classes)) for value in shown]
        reason = f"class_id must be one of 0 to {len(classes) - 1}"
    values = pd.Series(shown, dtype=object)
    ids = pd.array(class_ids, dtype="Int64")
    return pd.DataFrame({"shown": values, "class_id": ids, "reason": reason})


def _class_id(value, count: int) -> int | None:
    """Return a class id below `count`; 3.0 is 3: columns with missing values have floats."""
    match = re.fullmatch(r"([0-9]+)(\.0*)?", str(value).strip())
    return int(match[1]) if match and int(match[1]) < count else None


def _problems(rows: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    """Return a line for each kind of problem. `rows`: place, text, and columns of `_classes`."""
    unknown = rows["class_id"].isna()
    empty = ~rows["text"].map(lambda text: isinstance(text, str) and bool(text.strip()))
    repeated = rows.duplicated(["class_id", "text"]) & ~empty
    reasons = rows.loc[unknown, "reason"].unique()
    kinds = {reason: unknown & (rows["reason"] == reason) for reason in reasons}
    kinds["the text is empty"] = empty
    kinds["the same text of the same class is there twice"] = repeated
    problems = []
    for problem, mask in kinds.items():
        wrong = [f"{row.place}, class {row.shown!r}" for row in rows[mask].itertuples()]
        if wrong:
            more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            problems.append(f"{problem}: {'; '.join(wrong[:SHOWN])}{more}")
    without = classes.loc[~classes["class_id"].isin(rows["class_id"]), "name"]
    if len(without):
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        names = ", ".join(map(repr, without.head(SHOWN)))
        problems.append(f"no text for {names}{more}: every class needs one")
    return problems


def read(settings: PromptSettings, paths: list[str], classes: pd.DataFrame) -> pd.DataFrame:
    """Read class_id and text of every row of the user's files, in order and unchanged.

    Parameters
    ----------
    settings : PromptSettings
        Settings of a recipe of kind `texts`.
    paths : list of str
    classes : DataFrame
        The class table.

    Raises
    ------
    TextsError
        If a column is missing, a class is unknown or has no text, or a text is empty or is there
        twice in its class.
    """
    columns, parts = settings.recipe.columns, []
    for path in paths:
        table = _table(path)
        rows = _classes(path, table, columns, classes)
        texts = _values(path, table, columns.get("text", "text"), STRINGS, "string")
        places = [f"{path} row {i}" for i in range(1, len(table) + 1)]
        parts.append(rows.assign(place=places, text=pd.Series(texts, dtype=object)))
    rows = pd.concat(parts, ignore_index=True)
    if problems := _problems(rows, classes):
        raise TextsError("\n".join(f"recipes.{settings.name}: {problem}" for problem in problems))
    return rows[["class_id", "text"]].astype({"class_id": "int64"})
