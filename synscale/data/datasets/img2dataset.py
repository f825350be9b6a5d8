"""Pairs of image and text as img2dataset writes them.

They are tars of {key}.jpg, {key}.txt and {key}.json, and next to each tar a parquet with a row for
each address that was tried (key, status, caption, ...). The texts of a tar without a parquet are
its members .txt, or the captions in .json.

At hundreds of millions of pairs the index has a row for each tar, not for each pair: 371 million
are about 60,000 rows. The members of a tar are compared with its parquet when a shard is created
from it.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from synscale.data.datasets import webdataset
from synscale.data.datasets.index_table import Index
from synscale.data.datasets.patterns import is_pattern
from synscale.data.datasets.registry import (
    NO_CLASS,
    DataSet,
    DataSetError,
    Survey,
    first_few,
)
from synscale.runtime.file_names import is_clutter, nfc

SUCCESS = "success"
FIX = "download this shard again, or move the parquet away to read the texts from the tar"


def survey(data: DataSet) -> Survey:
    """Count the tars and those without a parquet; no tar is opened."""
    result, tars = Survey("tars of pairs"), webdataset.files(data.place)
    without = sum(not tar.with_suffix(".parquet").is_file() for tar in tars)
    parquets = [] if is_pattern(data.place) else list(data.place.glob("*.parquet"))
    parquets = [path for path in parquets if not is_clutter(path.name)]
    lost = sorted(path.name for path in parquets if not path.with_suffix(".tar").is_file())
    if lost:
        problem = f"{len(lost)} parquets have no tar next to them: {first_few(lost)}"
        fix = "download these shards again, or move the parquets away"
        result.problems.append(f"{problem}; {fix}")
    result.problems += webdataset.name_problems(data)
    result.notes.append(f"{len(tars)} tars")
    if without:
        result.notes.append(f"{without} tars without a parquet, whose texts are read from the tar")
    return result


def rows_of(parquet: Path, columns: list[str]) -> dict[str, list]:
    """Read columns of a parquet of img2dataset: texts, or integers if all texts are digits.

    Parameters
    ----------
    parquet : Path
        File that img2dataset wrote.
    columns : list of str
        Columns to read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    kinds = (*texts, pa.types.is_integer, pa.types.is_null)
    try:
        with pq.ParquetFile(parquet) as file:
            schema = file.schema_arrow
            if absent := sorted(set(columns) - set(schema.names)):
                detail = f"found {first_few(schema.names, 12)}"
                raise DataSetError(f"{parquet}: no column {', '.join(absent)} ({detail}); {FIX}")
            for name in columns:
                kind = schema.field(name).type
                values = kind.value_type if pa.types.is_dictionary(kind) else kind
                if not any(is_kind(values) for is_kind in kinds):
                    problem = f"column {name} has another type ({kind}, expected string)"
                    raise DataSetError(f"{parquet}: {problem}; {FIX}")
            return file.read(columns=columns).to_pydict()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataSetError(f"{parquet}: not a complete parquet file ({error}); {FIX}") from None


def count(tar: Path) -> tuple[int, int]:
    """Count the pairs of a tar and the addresses that gave none, by its parquet if it has one."""
    parquet = tar.with_suffix(".parquet")
    if not parquet.is_file():
        return len(webdataset.samples(tar)), 0
    status = Counter(rows_of(parquet, ["status"])["status"])
    return status[SUCCESS], status.total() - status[SUCCESS]


def index(data: DataSet, threads: int) -> Index:
    """Return a row for each tar, in the order of its name, and a survey. See `datasets`.

    Columns: origin, images (pairs that are used), failed, skipped.

    Parameters
    ----------
    data : DataSet
    threads : int
        Threads that read tars.
    """
    import pandas as pd

    result, tars, top = survey(data), webdataset.files(data.place), webdataset.root(data.place)
    skips = Counter(origin.rpartition("/")[0] for origin in data.skipped)

    def read(tar: Path):
        name = str(tar.relative_to(top))
        try:
            images, failed = count(tar)
        except DataSetError as error:
            return error
        return name, images - skips[nfc(name)], failed, skips[nfc(name)]

    if result.problems:
        return pd.DataFrame(), result
    with ThreadPoolExecutor(threads) as pool:
        counts = list(pool.map(read, tars))
    result.problems += [str(row) for row in counts if isinstance(row, DataSetError)]
    rows = [row for row in counts if isinstance(row, tuple)]
    table = pd.DataFrame(rows, columns=["origin", "images", "failed", "skipped"])
    for name in sorted(set(skips) - set(table["origin"].map(nfc))):
        result.problems.append(f"{data.skip}: no tar {name!r} in the data set; correct the line")
    result.classes = Counter({NO_CLASS: int(table["images"].sum())})
    failed = int(table["failed"].sum())
    result.notes.append(f"{failed} addresses without an image according to the parquets")
    return table, result


def text_of(tar: Path, key: str, parts: dict, stream: IO[bytes]) -> str | None:
    """Return the text of a sample: its member .txt or the caption in .json; None without both.

    Parameters
    ----------
    tar, key
        Place of the sample, for messages.
    parts : dict
        Extension -> (offset, size) in bytes.
    stream : file
        The open tar.
    """
    extension = next((name for name in ("txt", "json") if name in parts), None)
    if extension is None:
        return None
    offset, size = parts[extension]
    stream.seek(offset)
    try:
        text = stream.read(size).decode()
    except UnicodeDecodeError as error:
        problem = f"{key}.{extension} is not UTF-8 at byte {error.start}"
        raise DataSetError(f"{tar}: {problem}; write the tar again in UTF-8") from None
    if extension == "txt":
        return text
    try:
        known = json.loads(text)
        has_caption = "caption" in known
        caption = known.get("caption")
    except (TypeError, ValueError, AttributeError):
        problem = f"{key}.json is not a JSON object"
        raise DataSetError(f"{tar}: {problem}; {webdataset.DAMAGED}") from None
    if not has_caption:
        return None
    if not isinstance(caption, str | int | None):
        problem = f"caption of {key}.json is no text ({str(caption)[:40]}, expected a string)"
        raise DataSetError(f"{tar}: {problem}; write the tar again")
    return "" if caption is None else str(caption)


def parquet_texts(parquet: Path) -> dict[str, str]:
    """Return the text of each key that was downloaded, by a parquet."""
    table = rows_of(parquet, ["key", "status", "caption"])
    texts: dict[str, str] = {}
    twice = []
    for key, status, text in zip(table["key"], table["status"], table["caption"], strict=True):
        if status != SUCCESS:
            continue
        if str(key) in texts:
            twice.append(str(key))
        texts[str(key)] = "" if text is None else str(text)
    if twice:
        names = first_few(dict.fromkeys(twice))
        raise DataSetError(f"{parquet}: keys are there twice: {names}; {FIX}")
    return texts


def members(data: DataSet, name: str) -> list[dict]:
    """List origin, tar, offset, size and text of each pair of a tar, in its order.

    Parameters
    ----------
    data : DataSet
    name : str
        Name of the tar.

    Raises
    ------
    DataSetError
        If its parquet names other pairs or texts.
    """
    tar = webdataset.root(data.place) / name
    parquet = tar.with_suffix(".parquet")
    rows: dict[str, dict] = {}
    texts: dict[str, str | None] = {}
    with tar.open("rb") as stream:
        for key, parts in webdataset.samples(tar):
            offset, size = webdataset.image_of(tar, key, parts)
            rows[key] = {"origin": f"{name}/{key}", "tar": name, "offset": offset, "size": size}
            texts[key] = text_of(tar, key, parts, stream)
    if parquet.is_file():
        texts = {**_matched(tar, parquet, texts)}
    if silent := next((key for key, text in texts.items() if text is None), None):
        expected = f"expected {silent}.txt, or {silent}.json with a caption"
        raise DataSetError(f"{tar}: sample {silent!r} has no text ({expected})")
    names = [nfc(row["origin"]) for row in rows.values()]
    skipped = {origin for origin in data.skipped if origin.rpartition("/")[0] == nfc(name)}
    if absent := sorted(skipped - set(names)):
        fix = "correct or remove the line"
        raise DataSetError(f"{data.skip}: no pair {first_few(absent)} in {tar}; {fix}")
    pairs = zip(names, rows.items(), strict=True)
    return [row | {"text": texts[key]} for origin, (key, row) in pairs if origin not in skipped]


def _matched(tar: Path, parquet: Path, texts: dict[str, str | None]) -> dict[str, str]:
    """Return the texts of the parquet, which must have the keys of the tar and its texts."""
    captions = parquet_texts(parquet)
    differences = {
        "rows without an image in the tar": captions.keys() - texts.keys(),
        "images without a row": texts.keys() - captions.keys(),
    }
    for difference, keys in differences.items():
        if keys:
            problem = f"does not match {tar} ({len(keys)} {difference}: {first_few(sorted(keys))})"
            raise DataSetError(f"{parquet}: {problem}; {FIX}")
    other = sorted(key for key, text in texts.items() if text not in (None, captions[key]))
    if other:
        problem = f"does not match {tar} (another caption than its .txt: {first_few(other)})"
        raise DataSetError(f"{parquet}: {problem}; {FIX}")
    return captions


def pairs_of(data: DataSet, rows: list[dict], start: int, stop: int) -> Iterator[dict]:
    """Yield rows of the pairs `start` to `stop` (half-open).

    Parameters
    ----------
    data : DataSet
    rows : list of dict
        Rows of the index for the tars that hold them.
    start, stop : int
    """
    for row in rows:
        pairs = members(data, row["origin"])
        if len(pairs) != row["images"]:
            tar = webdataset.root(data.place) / row["origin"]
            problem = f"{tar}: {len(pairs)} pairs, expected {row['images']} as in the index"
            raise DataSetError(f"{problem}; remove the index and start again")
        for place, member in enumerate(pairs, row["image"]):
            if start <= place < stop:
                yield {"image": place} | member


reader = webdataset.reader
