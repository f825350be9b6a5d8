"""What is known of a data set before it is read.

That is its row of data/datasets.csv, its classes, and its path on this machine.
"""

import difflib
import os
import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from synscale.data.datasets.patterns import is_pattern, matches
from synscale.runtime.file_names import nfc
from synscale.study import class_table, csv_tables
from synscale.study.models.base import is_path
from synscale.workflow.settings.data import HeldOutImages, StoredImages

TABLE = Path("data/datasets.csv")
SUBSETS = Path("data/imagenet_subsets.csv")
PREFIX = "DATA_"
# Extensions of images, in lower case.
IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm")
NO_CLASS = -1  # class id of an image of pairs
LAYOUTS = {
    "folders": "a folder for each class, named by its WordNet id (or name, label, class id)",
    "webdataset": "WebDataset tars of {key}.jpg (or another image format) and {key}.cls",
    "img2dataset": "pairs as img2dataset writes them with --output_format webdataset: "
    "{shard}.tar, with or without {shard}.parquet",
    "torchvision": "what torchvision.datasets.{name} reads",
    "idx": "idx files {name}-images-idx3-ubyte and {name}-labels-idx1-ubyte, plain or .gz",
}


class DataSetError(ValueError):
    """A data set that is missing or is not what the study expects."""

    def __init__(self, message: str):
        # A name that is not UTF-8 could not be printed.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


def first_few(items: Iterable, count: int = 5) -> str:
    """Return the first items as text, with the number of items that are left out.

    Parameters
    ----------
    items : iterable
    count : int
        Number of items that are shown.
    """
    items = list(items)
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(map(str, items[:count])) + more


def table_rows(path: Path, *columns: str) -> list[dict[str, str]]:
    """Return the rows, or raise DataSetError, with the parameters of `csv_tables.rows`."""
    try:
        return csv_tables.rows(path, *columns)
    except csv_tables.TableError as error:
        raise DataSetError(str(error)) from None


def row_of(name: str) -> dict[str, str]:
    """Return the row of a data set in data/datasets.csv, an empty one for the user's data."""
    rows = table_rows(TABLE, "id") if TABLE.is_file() else []
    row = next((row for row in rows if row["id"] == name), {})
    if not (images := row.get("images") or "0").isdecimal():
        raise DataSetError(f"{TABLE}: images of {name} is no number ({images!r}, expected digits)")
    return row


def variable(name: str) -> str:
    """Return the environment variable with the path of a data set."""
    return PREFIX + name.upper()


@dataclass(frozen=True)
class DataSet:
    """A data set as a split of a study uses it.

    Attributes
    ----------
    name : str
        Row of data/datasets.csv, or a name of the user; or a path.
    split : str
        Key in the study's data, such as training.imagenet; or a key of the study such as sources.x.
    table : str or None
        CSV of the classes; None for pairs.
    pairs : bool
        Whether images have texts and no classes.
    training : bool
        Whether the images are trained on.
    min_images : int or None
        Number of images that the study uses; None is all of them.
    skip : str or None
        Text file with a line for each image that is left out.
    has_prompts : bool
        Whether each image of a class has a text, too.
    held_out : HeldOutImages or None
        Images of the data set that are left out of training, or that the split consists of.
    part : tuple of int or None
        Half-open range of the images to train on that the split consists of; its end may be None.
    measured : StoredImages or None
        How the images are stored on which captions are measured; None: no captions.
    """

    name: str
    split: str
    table: str | None
    pairs: bool = False
    training: bool = False
    min_images: int | None = None
    skip: str | None = None
    has_prompts: bool = False
    held_out: HeldOutImages | None = None
    part: tuple[int, int | None] | None = None
    measured: StoredImages | None = None

    @cached_property
    def row(self) -> dict[str, str]:
        """Row of data/datasets.csv."""
        return row_of(self.name)

    @cached_property
    def classes(self) -> list[dict[str, str]]:
        """Rows of the class table, class ids 0, 1, 2, ..."""
        return [] if self.pairs else class_table.rows(str(self.table))

    @cached_property
    def expected(self) -> list[int]:
        """Ids of the classes that must have images: all, or those of a subset (ImageNet-R)."""
        subset = self.row.get("subset")
        if not subset:
            return list(range(len(self.classes)))
        rows = table_rows(SUBSETS, "subset", "wnid")
        wnids = {row["wnid"] for row in rows if row["subset"] == subset}
        return [i for i, row in enumerate(self.classes) if row.get("wnid") in wnids]

    @property
    def layouts(self) -> list[str]:
        """Layouts that it may have: keys of LAYOUTS, torchvision:Name(arguments), idx:prefix."""
        default = "img2dataset" if self.pairs else "folders|webdataset"
        return (self.row.get("layout") or default).split("|")

    @cached_property
    def skipped(self) -> set[str]:
        """Images that the user leaves out, by their origin in the index."""
        if self.skip is None:
            return set()
        try:
            lines = Path(self.skip).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            problem = f"{self.skip}: not UTF-8 at byte {error.start}; save it as UTF-8"
            raise self.error([problem]) from None
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return {nfc(posixpath.normpath(name)) for name in names}

    @cached_property
    def place(self) -> Path:
        """A folder, or a pattern of tars.

        Raises DataSetError if no path is set or nothing is there.
        """
        path = self._path
        if not path:
            known = [name for name in os.environ if name.startswith(PREFIX) and os.environ[name]]
            near = ""
            for close in difflib.get_close_matches(variable(self.name), known, n=1):
                key = f"paths.{close.removeprefix(PREFIX).lower()}"
                near = f" (there is {close}, or {key}; did you mean that?)"
            if not near and os.path.isdir(self.name):
                near = f" (there is a folder ./{self.name}; write its path with ./)"
            raise self.error([f"no path is set{near}"])
        place = Path(path).expanduser().absolute()
        files, missing = matches(place) if is_pattern(place) else ([], [])
        if not files and not os.path.isdir(place):
            raise self.error([f"no such {'file' if is_pattern(place) else 'folder'}: {place}"])
        if missing:
            count = f"{len(missing)} of {len(missing) + len(files)}"
            problem = f"files of the pattern are missing ({count}: {first_few(missing)})"
            raise self.error([f"{problem}; get them, or change the pattern"])
        return place

    def error(self, problems: list[str], summary: str = "") -> DataSetError:
        """Return an error that lists the problems, what is expected and how to get it.

        Parameters
        ----------
        problems : list of str
        summary : str
            What is there, if it is known.
        """
        title = f" ({self.row['title']})" if self.row else ""
        place = f"in {self._path or 'a folder'}"
        if not is_path(self.name):
            place += f": config.yaml's paths.{self.name}, or environment {variable(self.name)}"
        lines = [f"{self.key}: data set {self.name!r}{title}"]
        lines += [f"  - {problem}" for problem in problems]
        lines.append(f"  expected: {self._description()}, {place}")
        if summary:
            lines.append(f"  found: {summary}")
        if self.row.get("how_to_get"):
            lines.append(f"  how to get it: {self.row['how_to_get']}")
        return DataSetError("\n".join(lines))

    @property
    def key(self) -> str:
        """Key of the study that the images belong to."""
        return self.split if self.split.startswith("sources.") else f"data.{self.split}"

    @property
    def _path(self) -> str:
        """Path as the user wrote it, empty if it is not set."""
        return self.name if is_path(self.name) else os.environ.get(variable(self.name), "")

    def _description(self) -> str:
        """Describe what is expected, for messages."""
        if self.pairs:
            return LAYOUTS["img2dataset"]
        kinds = [layout.partition(":") for layout in self.layouts]
        layouts = [LAYOUTS.get(kind, kind).replace("{name}", name) for kind, _, name in kinds]
        images = f", {self.row['images']} images" if self.row.get("images") else ""
        return f"{len(self.expected)} classes of {self.table}{images}; {'; or '.join(layouts)}"


@dataclass
class Survey:
    """What is in the path of a data set.

    `classes` counts the images of each class id; it is None if only reading all would tell.
    """

    layout: str
    classes: Counter | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: int = 0  # images of classes that the study does not have

    def summary(self) -> str:
        """Return layout, numbers and notes as one line."""
        parts = [self.layout]
        if self.classes is not None:
            if NO_CLASS not in self.classes:
                parts.append(f"{len(self.classes)} classes")
            parts.append(f"{self.classes.total()} images")
        return ", ".join(parts + self.notes)
