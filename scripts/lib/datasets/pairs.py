"""Pairs of image and text as img2dataset writes them: tars of {key}.jpg, {key}.txt and {key}.json, and beside each tar a parquet with a row for
each address that was tried (key, status, caption, ...).

At hundreds of millions of pairs the index has a row for each tar, not for each pair: 371 million are about 60,000 rows. A tar's own members
are matched with its parquet when a block is made of it.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.lib.datasets import tars
from scripts.lib.datasets.registry import NO_CLASS, DataSet, DataSetError, Found, is_pattern, shown

SUCCESS = "success"


def survey(data: DataSet) -> Found:
    """Which tars there are, and whether each has its parquet; no tar is opened."""
    found, own = Found("tars of pairs"), tars.files(data.place)
    missing = [tar.name for tar in own if not tar.with_suffix(".parquet").is_file()]
    lost = [] if is_pattern(data.place) else sorted(path.name for path in data.place.glob("*.parquet") if not path.with_suffix(".tar").is_file())
    if missing:
        found.faults.append(f"{len(missing)} tars have no parquet beside them: {shown(missing)}: download these shards again")
    if lost:
        found.faults.append(f"{len(lost)} parquets have no tar beside them: {shown(lost)}: download these shards again")
    found.notes.append(f"{len(own)} tars")
    return found


def rows_of(parquet: Path, columns: list[str]):
    """Table of a parquet of img2dataset."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(parquet) as file:
            absent = sorted(set(columns) - set(file.schema_arrow.names))
            if absent:
                raise DataSetError(f"{parquet}: no column {', '.join(absent)}: not as img2dataset writes it (it has {shown(file.schema_arrow.names, 12)})")
            return file.read(columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataSetError(f"{parquet}: not a whole parquet file ({error}): download this shard again") from None


def index(data: DataSet, threads: int):
    """A row for each tar, in the order of its name: origin, images (pairs of it that are used), failed, skipped; and what is there."""
    import pandas as pd

    found, own, top = survey(data), tars.files(data.place), tars.root(data.place)
    skips = Counter(origin.rpartition("/")[0] for origin in data.skipped)

    def one(tar: Path):
        try:
            status = Counter(rows_of(tar.with_suffix(".parquet"), ["status"])["status"].to_pylist())
        except DataSetError as error:
            return error
        name = str(tar.relative_to(top))
        return name, status[SUCCESS] - skips[name], status.total() - status[SUCCESS], skips[name]

    if found.faults:
        return pd.DataFrame(), found
    with ThreadPoolExecutor(threads) as pool:
        counted = list(pool.map(one, own))
    found.faults += [str(error) for error in counted if isinstance(error, DataSetError)]
    table = pd.DataFrame([row for row in counted if isinstance(row, tuple)], columns=["origin", "images", "failed", "skipped"])
    found.faults += [f"{data.skip}: no tar {name!r} in it" for name in sorted(set(skips) - set(table["origin"]))]
    found.classes = Counter({NO_CLASS: int(table["images"].sum())})
    found.notes.append(f"{int(table['failed'].sum())} addresses without an image, as its parquets say")
    return table, found


def members(data: DataSet, name: str) -> list[dict]:
    """origin, tar, offset, size and text of each pair of a tar, in its order. Raises DataSetError where its parquet names others."""
    tar = tars.root(data.place) / name
    parquet = tar.with_suffix(".parquet")
    table = rows_of(parquet, ["key", "status", "caption"]).to_pydict()
    good = [(str(key), text or "") for key, status, text in zip(table["key"], table["status"], table["caption"], strict=True) if status == SUCCESS]
    texts = dict(good)
    if wrong := next((key for key, text in good if not isinstance(text, str)), None):
        raise DataSetError(f"{parquet}: caption of {wrong} is {texts[wrong]!r}, no text: not as img2dataset writes it")
    if len(texts) != len(good):
        twice = [key for key, count in Counter(key for key, _ in good).items() if count > 1]
        raise DataSetError(f"{parquet}: keys come twice: {shown(twice)}: download this shard again")
    found, told = {}, {}
    with tar.open("rb") as stream:
        for key, parts in tars.samples(tar):
            offset, size = tars.image_of(tar, key, parts)
            found[key] = {"origin": f"{name}/{key}", "tar": name, "offset": offset, "size": size}
            if "txt" in parts:
                stream.seek(parts["txt"][0])
                told[key] = stream.read(parts["txt"][1])
    mend = "the two are not of one download; download this shard again"
    for fault, keys in (("rows without an image in the tar", texts.keys() - found.keys()), ("images without a row", found.keys() - texts.keys())):
        if keys:
            raise DataSetError(f"{parquet} does not match {tar}: {len(keys)} {fault}: {shown(sorted(keys))}: {mend}")
    other = sorted(key for key, text in told.items() if text != texts[key].encode())
    if other:
        raise DataSetError(f"{parquet} does not match {tar}: another caption than the tar's .txt: {shown(other)}: {mend}")
    absent = {origin for origin in data.skipped if origin.rpartition("/")[0] == name} - {row["origin"] for row in found.values()}
    if absent:
        raise DataSetError(f"{data.skip}: no pair {shown(sorted(absent))} in {tar}: mend or remove the line")
    return [row | {"text": texts[key]} for key, row in found.items() if row["origin"] not in data.skipped]


def block(data: DataSet, index: list[dict], start: int, stop: int) -> Iterator[dict]:
    """Rows of the pairs `start` to `stop` (half-open). index: rows of the tars that hold them, with image (of the first pair) and images."""
    for row in index:
        own = members(data, row["origin"])
        if len(own) != row["images"]:
            tar = tars.root(data.place) / row["origin"]
            raise DataSetError(f"{tar}: {len(own)} pairs, where the index that was made of it has {row['images']}: remove the index and start again")
        for place, member in enumerate(own, row["image"]):
            if start <= place < stop:
                yield {"image": place} | member


reader = tars.reader
