"""Data sets in files: what is there, in which order the study takes it, and the images themselves.

registry.py          what is known of a data set, where it lies, and how a fault is told
folders.py           a folder for each class
tars.py              WebDataset tars with classes
torchvision_sets.py  what torchvision reads
pairs.py             tars of img2dataset, with or without its parquets
class_names.py       names of classes in a file next to the data
pictures.py          an image as the study stores it

Each layout has `survey(data)`, which looks without reading it all; `index(data, threads)`, which
lists every image (class_id, origin, tar, offset, size; of pairs a row for each tar); and
`reader(data)`, a function from a row to its image, as bytes or as a PIL image.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synscale.data.datasets import folders, img2dataset, torchvision_sets, webdataset
from synscale.data.datasets.registry import (
    DataSet,
    DataSetError,
    Found,
    count_faults,
    is_pattern,
    shown,
    variable,
)
from synscale.runtime.atomic import atomic_write
from synscale.runtime.file_names import is_clutter, nfc

__all__ = [
    "DataSet",
    "DataSetError",
    "checked",
    "of_split",
    "order",
    "rows",
    "variable",
    "write_index",
]

ROW_GROUP = 10_000  # rows that a reader of a shard must take at least


def of_split(split: str, table: str | None, settings: dict, wanted: int | None = None) -> DataSet:
    """table: CSV of its classes, None for pairs. settings: as jobs.index_settings gives them."""
    return DataSet(
        split=f"{'training' if settings['training'] else 'evaluation'}.{split}",
        table=table,
        wanted=wanted,
        **settings,
    )


def layout_of(data: DataSet) -> str:
    """Of the layouts that it may have, the one that lies there."""
    if compressed := _compressed(data):
        told = f"{len(compressed)} compressed tars, whose images cannot be read at their offsets"
        raise data.error([f"{told}: {shown(compressed)}: decompress them"])
    if data.pairs:
        own, name = "img2dataset", "tars"
    elif webdataset.files(data.place):
        own, name = "webdataset", "tars"
    else:
        own = next(
            (
                layout
                for layout in data.layouts
                if not layout.startswith(("webdataset", "img2dataset"))
            ),
            "folders",
        )
        name = "class folders"
    if own not in data.layouts:
        raise data.error([f"{name} are none of its layouts ({', '.join(data.layouts)})"])
    if data.pairs and not webdataset.files(data.place):
        raise data.error(["no tar in it"])
    return own


def _compressed(data: DataSet) -> list[str]:
    """Names of compressed tars that the data set consists of, rather than was unpacked from."""
    if is_pattern(data.place) or any(layout.startswith("torchvision:") for layout in data.layouts):
        return []
    entries = [path for path in data.place.iterdir() if not is_clutter(path.name)]
    unpacked = any(path.is_dir() for path in entries) and not any(
        path.suffix == ".tar" for path in entries
    )
    return (
        []
        if unpacked
        else sorted(path.name for path in entries if path.name.endswith(webdataset.COMPRESSED))
    )


def module_of(layout: str):
    known = {"folders": folders, "webdataset": webdataset, "img2dataset": img2dataset}
    return known.get(layout, torchvision_sets)


@contextmanager
def _looked_into(data: DataSet) -> Iterator[None]:
    """What the file system refuses, such as a folder without permission, is a fault of the data
    set.
    """
    try:
        yield
    except OSError as error:
        raise data.error([f"cannot be read: {error}: mend it, or move it away"]) from None


def checked(data: DataSet) -> str:
    """Layout of a data set that is there and, as far as can be seen without reading it all, as it
    must be. Raises DataSetError.
    """
    with _looked_into(data):
        layout = layout_of(data)
        found = module_of(layout).survey(data)
    faults = found.faults + count_faults(data, found)
    if faults:
        raise data.error(faults, found.told())
    return layout


def order(class_ids, seed: int = 0):
    """Indices that go round the classes, class 0 first, and leave out the classes that have no
    image left: any prefix is as balanced as the data allow. Within a class they are shuffled.
    """
    import numpy as np

    labels, random = np.asarray(class_ids), np.random.default_rng(seed)
    rank = np.empty(len(labels), int)
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        rank[own] = np.arange(len(own))
    return np.lexsort((labels, rank))


def write_index(data: DataSet, path: str | Path, threads: int = 1) -> Found:
    """Write which images the data set has, in the order in which the study takes them, and check
    all of them that can be without decoding.

    Images to train on go round the classes, shuffled within a class (seed 0; ours); tars of pairs
    are shuffled, their pairs are not, so that a prefix is a random set of tars (seed 0; ours);
    images to evaluate on keep their order. Raises DataSetError, and writes nothing, where the data
    set is not as it must be.

    Memory: about 500 bytes an image of classes (0.6 GB for ImageNet); of pairs, a tar.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _looked_into(data):
        layout = layout_of(data)
        table, found = module_of(layout).index(data, threads)
    skipped = data.skipped if not data.pairs else set()
    origins = table["origin"].map(nfc) if skipped else None
    unknown = sorted(skipped - set(origins)) if skipped else []
    faults = (
        found.faults
        + count_faults(data, found)
        + [f"{data.skip}: no image {shown(unknown)} in it: mend or remove the line"] * bool(unknown)
    )
    if faults:
        raise data.error(faults, found.told())
    if skipped:
        table = table[~origins.isin(skipped)].reset_index(drop=True)
    if data.pairs:
        table = table.iloc[np.random.default_rng(0).permutation(len(table))].reset_index(drop=True)
        last = table["images"].cumsum()
        table.insert(0, "image", last - table["images"])
        images = int(last.iloc[-1])
    else:
        table = (
            table.iloc[order(table["class_id"])].reset_index(drop=True) if data.training else table
        )
        table = table.astype({"tar": "string", "offset": "Int64", "size": "Int64"})
        table.insert(0, "image", range(len(table)))
        images = len(table)
    about = {"layout": layout, "images": images, "skipped": len(data.skipped), "dataset": data.name}
    with atomic_write(path) as (part,):
        pq.write_table(
            pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(
                {"about": json.dumps(about)}
            ),
            part,
            row_group_size=ROW_GROUP,
        )
    found.notes.append(
        f"{images} images in the index, {len(data.skipped)} left out by {data.skip or 'choice'}"
    )
    return found


def about(index: str | Path) -> dict:
    """layout, images, skipped and dataset of an index."""
    import pyarrow.parquet as pq

    return json.loads(pq.read_schema(index).metadata[b"about"])


def rows(
    data: DataSet, index: str | Path, start: int, stop: int | None
) -> tuple[list[dict], Callable[[dict], object]]:
    """Rows of the images `start` to `stop` (half-open; None: to the end) of an index, and what
    reads the image of one: bytes, or a PIL image.

    Only the part of the index is read that holds them. Raises DataSetError where the data set has
    fewer.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    known = about(index)
    stop = known["images"] if stop is None else stop
    if stop > known["images"]:
        raise data.error(
            [
                f"the study takes images up to {stop}, and it has {known['images']}: lower sources.*.images"
            ]
        )
    image = pc.field("image")
    not_before = image + pc.field("images") > start if data.pairs else image >= start
    chosen = pq.read_table(index, filters=(image < stop) & not_before).to_pylist()
    if data.pairs:
        chosen = list(img2dataset.shard(data, chosen, start, stop))
    return chosen, module_of(known["layout"]).reader(data)
