"""Pairs of image and text as img2dataset writes them.

They are tars of {key}.jpg, {key}.txt and {key}.json, and next to each tar a parquet with a row for
each address that was tried (key, status, caption, ...). The texts of a tar without a parquet are
its members .txt, or the captions in .json.

At hundreds of millions of pairs the index has a row for each tar, not for each pair: 371 million
are about 60,000 rows. The members of a tar are compared with its parquet when a shard is made of
it.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from synscale.data.datasets import webdataset
from synscale.data.datasets.registry import (
    NO_CLASS,
    DataSet,
    DataSetError,
    Found,
    is_pattern,
    shown,
)
from synscale.runtime.file_names import is_clutter, nfc

SUCCESS = "success"
FIX = "download this shard again, or move the parquet away to read the texts from the tar"


def survey(data: DataSet) -> Found:
    """Count the tars and those without a parquet; no tar is opened."""
    found, own = Found("tars of pairs"), webdataset.files(data.place)
    without = [tar for tar in own if not tar.with_suffix(".parquet").is_file()]
    parquets = (
        []
        if is_pattern(data.place)
        else [path for path in data.place.glob("*.parquet") if not is_clutter(path.name)]
    )
    lost = sorted(path.name for path in parquets if not path.with_suffix(".tar").is_file())
    if lost:
        fix = "download these shards again, or move the parquets away"
        found.faults.append(f"{len(lost)} parquets have no tar next to them: {shown(lost)}: {fix}")
    found.faults += webdataset.name_faults(data)
    found.notes.append(f"{len(own)} tars")
    if without:
        found.notes.append(
            f"{len(without)} tars without a parquet, whose texts are read from the tar"
        )
    return found


def rows_of(parquet: Path, columns: list[str]) -> dict[str, list]:
    """Read columns of a parquet of img2dataset: texts, or integers if all texts are digits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_integer,
        pa.types.is_null,
    )
    try:
        with pq.ParquetFile(parquet) as file:
            schema = file.schema_arrow
            if absent := sorted(set(columns) - set(schema.names)):
                known = shown(schema.names, 12)
                raise DataSetError(
                    f"{parquet}: no column {', '.join(absent)} (it has {known}): {FIX}"
                )
            for name in columns:
                kind = schema.field(name).type
                values = kind.value_type if pa.types.is_dictionary(kind) else kind
                if not any(is_kind(values) for is_kind in kinds):
                    raise DataSetError(
                        f"{parquet}: column {name} is {kind}, expected string: {FIX}"
                    )
            return file.read(columns=columns).to_pydict()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataSetError(f"{parquet}: not a whole parquet file ({error}): {FIX}") from None


def count(tar: Path) -> tuple[int, int]:
    """Count the pairs of a tar and the addresses that gave none, by its parquet if it has one."""
    parquet = tar.with_suffix(".parquet")
    if not parquet.is_file():
        return len(webdataset.samples(tar)), 0
    status = Counter(rows_of(parquet, ["status"])["status"])
    return status[SUCCESS], status.total() - status[SUCCESS]


def index(data: DataSet, threads: int):
    """A row for each tar, in the order of its name: origin, images (pairs of it that are used),
    failed, skipped; and what is there.
    """
    import pandas as pd

    found, own, top = survey(data), webdataset.files(data.place), webdataset.root(data.place)
    skips = Counter(origin.rpartition("/")[0] for origin in data.skipped)

    def one(tar: Path):
        try:
            images, failed = count(tar)
        except DataSetError as error:
            return error
        name = str(tar.relative_to(top))
        return name, images - skips[nfc(name)], failed, skips[nfc(name)]

    if found.faults:
        return pd.DataFrame(), found
    with ThreadPoolExecutor(threads) as pool:
        counted = list(pool.map(one, own))
    found.faults += [str(error) for error in counted if isinstance(error, DataSetError)]
    table = pd.DataFrame(
        [row for row in counted if isinstance(row, tuple)],
        columns=["origin", "images", "failed", "skipped"],
    )
    found.faults += [
        f"{data.skip}: no tar {name!r} in it"
        for name in sorted(set(skips) - set(table["origin"].map(nfc)))
    ]
    found.classes = Counter({NO_CLASS: int(table["images"].sum())})
    found.notes.append(
        f"{int(table['failed'].sum())} addresses without an image, as its parquets say"
    )
    return table, found


def text_of(tar: Path, key: str, parts: dict, stream) -> str | None:
    """Return the text of a sample: its member .txt or the caption in .json; None if it has neither.

    stream is the open tar.
    """

    def member(extension: str) -> str:
        offset, size = parts[extension]
        stream.seek(offset)
        try:
            return stream.read(size).decode()
        except UnicodeDecodeError as error:
            fix = "write the tar again in UTF-8"
            raise DataSetError(
                f"{tar}: {key}.{extension} is not UTF-8 at byte {error.start}: {fix}"
            ) from None

    if "txt" in parts:
        return member("txt")
    if "json" not in parts:
        return None
    try:
        known = json.loads(member("json"))
        caption = known.get("caption", known)
    except (ValueError, AttributeError):
        raise DataSetError(
            f"{tar}: {key}.json is not a JSON object: {webdataset.DAMAGED}"
        ) from None
    if caption is known:
        return None
    if not isinstance(caption, (str, int, type(None))):
        found = f"caption of {key}.json is {str(caption)[:40]}, expected a text"
        raise DataSetError(f"{tar}: {found}: write the tar again")
    return "" if caption is None else str(caption)


def parquet_texts(parquet: Path) -> dict[str, str]:
    """Text of each key that a parquet says was downloaded."""
    table = rows_of(parquet, ["key", "status", "caption"])
    rows = zip(table["key"], table["status"], table["caption"], strict=True)
    good = [
        (str(key), "" if text is None else str(text))
        for key, status, text in rows
        if status == SUCCESS
    ]
    if len(dict(good)) != len(good):
        twice = [key for key, times in Counter(key for key, _ in good).items() if times > 1]
        raise DataSetError(f"{parquet}: keys come twice: {shown(twice)}: {FIX}")
    return dict(good)


def members(data: DataSet, name: str) -> list[dict]:
    """List origin, tar, offset, size and text of each pair of a tar, in its order.

    Raises DataSetError if its parquet names other pairs or texts.
    """
    tar = webdataset.root(data.place) / name
    parquet = tar.with_suffix(".parquet")
    found, told = {}, {}
    with tar.open("rb") as stream:
        for key, parts in webdataset.samples(tar):
            offset, size = webdataset.image_of(tar, key, parts)
            found[key] = {"origin": f"{name}/{key}", "tar": name, "offset": offset, "size": size}
            told[key] = text_of(tar, key, parts, stream)
    texts = _matched(tar, parquet, told) if parquet.is_file() else told
    if silent := next((key for key, text in texts.items() if text is None), None):
        needed = f"needed is {silent}.txt, or {silent}.json with a caption"
        raise DataSetError(f"{tar}: sample {silent!r} has no text: {needed}")
    origins = {nfc(row["origin"]) for row in found.values()}
    absent = {origin for origin in data.skipped if origin.rpartition("/")[0] == nfc(name)} - origins
    if absent:
        raise DataSetError(
            f"{data.skip}: no pair {shown(sorted(absent))} in {tar}: mend or remove the line"
        )
    return [
        row | {"text": texts[key]}
        for key, row in found.items()
        if nfc(row["origin"]) not in data.skipped
    ]


def _matched(tar: Path, parquet: Path, told: dict[str, str | None]) -> dict[str, str]:
    """Return the texts of the parquet, which must have the keys of the tar and its texts.

    told has the text of each sample of the tar.
    """
    texts = parquet_texts(parquet)
    differences = {
        "rows without an image in the tar": texts.keys() - told.keys(),
        "images without a row": told.keys() - texts.keys(),
    }
    for difference, keys in differences.items():
        if keys:
            found = f"{len(keys)} {difference}: {shown(sorted(keys))}"
            raise DataSetError(f"{parquet} does not match {tar}: {found}: {FIX}")
    other = sorted(key for key, text in told.items() if text not in (None, texts[key]))
    if other:
        found = f"another caption than the tar's .txt: {shown(other)}"
        raise DataSetError(f"{parquet} does not match {tar}: {found}: {FIX}")
    return texts


def shard(data: DataSet, index: list[dict], start: int, stop: int) -> Iterator[dict]:
    """Rows of the pairs `start` to `stop` (half-open). index: rows of the tars that hold them, with
    image (of the first pair) and images.
    """
    for row in index:
        own = members(data, row["origin"])
        if len(own) != row["images"]:
            tar = webdataset.root(data.place) / row["origin"]
            raise DataSetError(
                f"{tar}: {len(own)} pairs, where the index that was made of it has {row['images']}: remove the index and start again"
            )
        for place, member in enumerate(own, row["image"]):
            if start <= place < stop:
                yield {"image": place} | member


reader = webdataset.reader
