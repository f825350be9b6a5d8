"""What is known of a data set before it is read.

That is its row of data/datasets.csv, its classes, and its path on this machine.
"""

import difflib
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob, has_magic
from pathlib import Path

from synscale.runtime.file_names import nfc
from synscale.study import class_table, csv_tables

TABLE = Path("data/datasets.csv")
SUBSETS = Path("data/imagenet_subsets.csv")
PREFIX = "DATA_"
# Extensions of images, in lower case.
IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm")
BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
NO_CLASS = -1  # class id of an image of pairs
LAYOUTS = {
    "folders": "a folder for each class, named by its WordNet id (or name, label, class id)",
    "webdataset": "WebDataset tars of {key}.jpg (or another image format) and {key}.cls",
    "img2dataset": "pairs as img2dataset writes them with --output_format webdataset: "
    "{shard}.tar, with or without {shard}.parquet",
}


class DataSetError(ValueError):
    """A data set that is missing or is not what the study expects."""

    def __init__(self, message: str):
        # A name that is not UTF-8 could not be printed.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


def first_few(items: Iterable, count: int = 5) -> str:
    """Join the first `count` items, and say how many more there are."""
    items = list(items)
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(map(str, items[:count])) + more


def _rows(path: Path, *columns: str) -> list[dict[str, str]]:
    try:
        return csv_tables.rows(path, *columns)
    except csv_tables.TableError as error:
        raise DataSetError(str(error)) from None


def row_of(name: str) -> dict[str, str]:
    """Return the row of a data set in data/datasets.csv, an empty one for the user's data."""
    rows = _rows(TABLE, "id") if TABLE.is_file() else []
    row = next((row for row in rows if row["id"] == name), {})
    images = row.get("images") or "0"
    if not images.isdecimal():
        raise DataSetError(f"{TABLE}: images of {name} is {images!r}, expected digits")
    return row


def variable(name: str) -> str:
    """Return the environment variable with the path of a data set."""
    return PREFIX + name.upper()


def is_pattern(place: str | Path) -> bool:
    """Return whether a path is a pattern of tars: a folder may have brackets or braces, too."""
    return bool(has_magic(str(place)) or BRACES.search(str(place))) and not os.path.isdir(place)


def expand_braces(text: str) -> list[str]:
    """Expand {a,b} and ranges such as {00000..00099}, as a shell and webdataset do."""
    match = BRACES.search(text)
    if not match:
        return [text]
    first, last, words = match.groups()
    if words is None:
        width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
        step = 1 if int(first) <= int(last) else -1
        choices = [f"{number:0{width}d}" for number in range(int(first), int(last) + step, step)]
    else:
        choices = words.split(",")
    ends = expand_braces(text[match.end() :])
    return [f"{text[: match.start()]}{choice}{end}" for choice in choices for end in ends]


def matches(pattern: Path) -> tuple[list[Path], list[str]]:
    """Return the files of a pattern, sorted, and the names in its braces that do not exist."""
    names = [str(pattern)] if glob(str(pattern)) else expand_braces(str(pattern))
    folders: dict[str, set[str]] = {}  # each is listed once: there may be 40,000 names

    def files_of(name: str) -> list[str]:
        if has_magic(name):
            return glob(name)
        folder, file = os.path.split(name)
        if folder not in folders:
            folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        return [name] if file in folders[folder] else []

    files = {name: files_of(name) for name in names}
    paths = sorted({Path(path) for matched in files.values() for path in matched})
    return paths, [Path(name).name for name, matched in files.items() if not matched]


@dataclass(frozen=True)
class DataSet:
    """A data set as a split of a study uses it.

    Attributes
    ----------
    name : str
        Row of data/datasets.csv, or a name of the user.
    split : str
        Key of the study, such as training.imagenet.
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
    """

    name: str
    split: str
    table: str | None
    pairs: bool = False
    training: bool = False
    min_images: int | None = None
    skip: str | None = None

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
        rows = _rows(SUBSETS, "subset", "wnid")
        wnids = {row["wnid"] for row in rows if row["subset"] == subset}
        return [i for i, row in enumerate(self.classes) if row.get("wnid") in wnids]

    @property
    def layouts(self) -> list[str]:
        """Layouts that it may have: keys of LAYOUTS, torchvision:Name(arguments)."""
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
        path = os.environ.get(variable(self.name))
        if not path:
            known = [name for name in os.environ if name.startswith(PREFIX) and os.environ[name]]
            near = ""
            for close in difflib.get_close_matches(variable(self.name), known, n=1):
                key = f"paths.{close.removeprefix(PREFIX).lower()}"
                near = f" (there is {close}, or {key}; did you mean that?)"
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
        path = os.environ.get(variable(self.name), "") or "a folder"
        title = f" ({self.row['title']})" if self.row else ""
        keys = f"config.yaml's paths.{self.name}, or environment {variable(self.name)}"
        lines = [f"data.{self.split}: data set {self.name!r}{title}"]
        lines += [f"  - {problem}" for problem in problems]
        lines.append(f"  expected: {self._description()}, in {path}: {keys}")
        if summary:
            lines.append(f"  found: {summary}")
        if self.row.get("how_to_get"):
            lines.append(f"  how to get it: {self.row['how_to_get']}")
        return DataSetError("\n".join(lines))

    def _description(self) -> str:
        """Describe what is expected, for messages."""
        if self.pairs:
            return LAYOUTS["img2dataset"]
        layouts = []
        for layout in self.layouts:
            name = layout.partition(":")[2]
            layouts.append(LAYOUTS.get(layout, f"what torchvision.datasets.{name} reads"))
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

    def summary(self) -> str:
        """Return layout, numbers and notes as one line."""
        parts = [self.layout]
        if self.classes is not None:
            if NO_CLASS not in self.classes:
                parts.append(f"{len(self.classes)} classes")
            parts.append(f"{self.classes.total()} images")
        return ", ".join(parts + self.notes)


def count_problems(data: DataSet, survey: Survey) -> list[str]:
    """List classes without images, and wrong numbers of images.

    Parameters
    ----------
    data : DataSet
    survey : Survey
        Problems that it has already suppress those that may follow from them.
    """
    if survey.classes is None:
        return []
    problems = [] if data.pairs else _class_problems(data, survey, survey.classes)
    if survey.problems:
        return problems
    total = survey.classes.total()
    expected = data.row.get("images")
    if expected and not data.training and not data.skip and total != int(expected):
        fix = f"if that is intended, use another name than {data.name!r}"
        problems.append(f"wrong number of images ({total}, expected {expected}); {fix}")
    usable = total if data.pairs else total - len(data.skipped)  # pairs have left them out already
    if data.min_images and usable < data.min_images:
        detail = f"{usable}, a source of the study takes {data.min_images}"
        problems.append(f"too few images ({detail}); lower sources.*.images")
    return problems


def _class_problems(data: DataSet, survey: Survey, counts: Counter) -> list[str]:
    missing = [data.classes[i] for i in data.expected if not counts[i]]
    other = sorted(set(counts) - set(data.expected))
    problems = []
    if missing and not survey.problems:
        names = [f"{row.get('wnid') or row['class_id']} ({row['name']})" for row in missing]
        fix = f"add images, or remove the classes from {data.table}"
        problems.append(f"no image of {len(missing)} classes: {first_few(names)}; {fix}")
    if other and data.row.get("subset"):
        problem = f"images of classes that are not in its subset {data.row['subset']!r}"
        problems.append(f"{problem}: {first_few(other)}; move them away")
    elif other:
        expected = f"{data.table} has 0 to {len(data.classes) - 1}"
        problem = f"images of class ids {first_few(other)}, but {expected}"
        problems.append(f"{problem}; add these classes to it")
    return problems
