"""Data sets in files: what is there, in which order the study takes it, and the images themselves.

registry.py          what is known of a data set, its path, and its error message
counts.py            numbers of images that a study expects
patterns.py          names of tars with * or braces
folders.py           a folder for each class
webdataset.py        WebDataset tars with classes
torchvision_sets.py  data sets that torchvision reads
idx.py               data sets in idx files, as MNIST's
img2dataset.py       tars of pairs, with or without parquets
class_names.py       names of classes in a file next to the data
subset.py            a study with some of the classes of a data set
held_out.py          images that are held out of training
measured_captions.py captions of images of classes, by what is measured on their pixels
selection.py         the images of a data set that a split takes
stored_format.py     an image as the study stores it

Each layout has `survey(data)`, which does not read all of it; `index(data, threads)`, which lists
every image (class_id, origin, tar, offset, size; for pairs a row for each tar); and `reader(data)`,
a function from a row to its image, as bytes or as a PIL image.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from synscale.data.datasets import (
    folders,
    idx,
    img2dataset,
    measured_captions,
    selection,
    torchvision_sets,
    webdataset,
)
from synscale.data.datasets.counts import count_problems
from synscale.data.datasets.patterns import is_pattern
from synscale.data.datasets.registry import (
    DataSet,
    DataSetError,
    Survey,
    first_few,
    variable,
)
from synscale.data.datasets.selection import balanced_order
from synscale.runtime.atomic import atomic_write
from synscale.runtime.file_names import is_clutter
from synscale.workflow.settings.data import IndexSettings

__all__ = [
    "DataSet",
    "DataSetError",
    "balanced_order",
    "check",
    "of_split",
    "read_index",
    "variable",
    "write_index",
]

ROW_GROUP = 10_000  # rows that a reader of a shard must take at least
MODULES = {
    "folders": folders,
    "webdataset": webdataset,
    "img2dataset": img2dataset,
    "idx": idx,
}
INDEX_TYPES = {"tar": "string", "offset": "Int64", "size": "Int64"}


def of_split(
    split: str, table: str | None, settings: IndexSettings, min_images: int | None = None
) -> DataSet:
    """Return the data set of a split.

    Parameters
    ----------
    split : str
    table : str or None
        CSV of its classes; None for pairs.
    settings : IndexSettings
    min_images : int, optional
        Number of images that the study uses.
    """
    section = "training" if settings.is_training else "evaluation"
    return DataSet(
        name=settings.dataset,
        split=f"{'sources' if settings.is_elsewhere else section}.{split}",
        table=table,
        pairs=settings.is_pairs,
        training=settings.is_training,
        min_images=min_images,
        skip=settings.skip,
        has_prompts=settings.has_prompts,
        held_out=settings.held_out,
        part=settings.part,
        measured=settings.measured,
    )


def layout_of(data: DataSet) -> str:
    """Return the layout that the data have. Raises DataSetError if it is none of the allowed."""
    if compressed := _compressed(data):
        problem = "compressed tars, whose images cannot be read at their offsets"
        names = f"{len(compressed)}: {first_few(compressed)}"
        raise data.error([f"{problem} ({names}); decompress them"])
    if data.pairs:
        layout, name = "img2dataset", "tars"
    elif webdataset.files(data.place):
        layout, name = "webdataset", "tars"
    else:
        of_folders = [one for one in data.layouts if one not in ("webdataset", "img2dataset")]
        layout, name = next(iter(of_folders), "folders"), "class folders"
    if layout not in data.layouts:
        expected = ", ".join(data.layouts)
        raise data.error([f"wrong layout ({name}, expected {expected}); give another path"])
    if data.pairs and not webdataset.files(data.place):
        raise data.error(["no tar in it; give another path"])
    return layout


def _compressed(data: DataSet) -> list[str]:
    """Return the names of compressed tars, if the data were not unpacked from them."""
    if is_pattern(data.place) or any(layout.startswith("torchvision:") for layout in data.layouts):
        return []
    entries = [path for path in data.place.iterdir() if not is_clutter(path.name)]
    has_tars = any(path.suffix == ".tar" for path in entries)
    if not has_tars and any(path.is_dir() for path in entries):
        return []
    return sorted(path.name for path in entries if path.name.endswith(webdataset.COMPRESSED))


def module_of(layout: str) -> ModuleType:
    """Return the module that reads a layout."""
    return MODULES.get(layout.partition(":")[0], torchvision_sets)


@contextmanager
def _reading(data: DataSet) -> Iterator[None]:
    """Report what the file system refuses as an error of the data set."""
    try:
        yield
    except OSError as error:
        raise data.error([f"cannot be read: {error}; fix it, or move it away"]) from None


def check(data: DataSet) -> str:
    """Return the layout of a data set, after the checks that do not read all of it.

    Raises DataSetError.
    """
    with _reading(data):
        layout = layout_of(data)
        survey = module_of(layout).survey(data)
    problems = survey.problems + count_problems(data, survey)
    if problems:
        raise data.error(problems, survey.summary())
    return layout


def write_index(
    data: DataSet, path: str | Path, threads: int = 1, training_index: str | Path | None = None
) -> Survey:
    """Write which images the data set has, in the order in which the study takes them.

    Images to train on go round the classes, shuffled within a class; tars of pairs are shuffled,
    their pairs are not, so that a prefix is a random set of tars (seed 0 for both; our choice).
    Images to evaluate on keep their order. Everything is checked that does not need decoding.

    Memory: about 500 bytes for an image of classes (0.6 GB for ImageNet); for pairs, a tar.

    Parameters
    ----------
    data : DataSet
    path : str or Path
        Parquet to write.
    threads : int
    training_index : str or Path, optional
        Index of the training set that the images are held out of; no image may be in both.

    Raises
    ------
    DataSetError
        If the data set is not as expected; nothing is written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _reading(data):
        layout = layout_of(data)
        table, survey = module_of(layout).index(data, threads)
    problems = survey.problems + count_problems(data, survey)
    if not problems and not data.pairs:
        table, problems = selection.select(data, table, training_index)
    if problems:
        raise data.error(problems, survey.summary())
    table, images = (_order_pairs if data.pairs else _order_images)(data, table)
    if data.measured:
        table = measured_captions.add(data, table, module_of(layout).reader(data), threads)
    about = {"layout": layout, "images": images, "skipped": len(data.skipped), "dataset": data.name}
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({"about": json.dumps(about)})
    with atomic_write(path) as (part,):
        pq.write_table(arrow, part, row_group_size=ROW_GROUP)
    skips = f"{len(data.skipped)} left out by {data.skip or 'choice'}"
    survey.notes.append(f"{images} images in the index, {skips}")
    return survey


def _order_pairs(data: DataSet, table):
    """Shuffle the rows of tars. Return them and the number of pairs."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(table))
    table = table.iloc[order].reset_index(drop=True)
    last = table["images"].cumsum()
    table.insert(0, "image", last - table["images"])
    return table, int(last.iloc[-1])


def _order_images(data: DataSet, table):
    """Put rows of images in their order. Return them and their number."""
    if data.training:
        table = table.iloc[balanced_order(table["class_id"])]
    table = table.reset_index(drop=True).astype(INDEX_TYPES)
    table.insert(0, "image", range(len(table)))
    return table, len(table)


def about(index: str | Path) -> dict:
    """Return layout, images, skipped and dataset of an index."""
    import pyarrow.parquet as pq

    return json.loads(pq.read_schema(index).metadata[b"about"])


def read_index(
    data: DataSet, index: str | Path, start: int, stop: int | None
) -> tuple[list[dict], Callable[[dict], object]]:
    """Read a range of an index. Only the part of the file that holds it is read.

    Parameters
    ----------
    data : DataSet
    index : str or Path
    start, stop : int
        Half-open range of images; `stop` None is the end.

    Returns
    -------
    rows : list of dict
    read : callable
        From a row to its image: bytes, or a PIL image.

    Raises
    ------
    DataSetError
        If the data set has fewer images.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    head = about(index)
    stop = head["images"] if stop is None else stop
    if stop > head["images"]:
        detail = f"{head['images']}, the study takes {stop}"
        raise data.error([f"too few images ({detail}); lower sources.*.images"])
    image = pc.field("image")
    not_before = image + pc.field("images") > start if data.pairs else image >= start
    rows = pq.read_table(index, filters=(image < stop) & not_before).to_pylist()
    if data.pairs:
        rows = list(img2dataset.pairs_of(data, rows, start, stop))
    return rows, module_of(head["layout"]).reader(data)
