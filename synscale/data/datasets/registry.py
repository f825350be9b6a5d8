"""What is known of a data set before it is read: its row of data/datasets.csv, its classes, and
where it lies on this machine.
"""

import difflib
import os
import posixpath
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob, has_magic
from pathlib import Path

from synscale.runtime.file_names import nfc
from synscale.study import class_table, csv_tables

TABLE = Path("data/datasets.csv")
SUBSETS = Path("data/imagenet_subsets.csv")
PREFIX = "DATA_"
IMAGES = (
    "jpg",
    "jpeg",
    "png",
    "webp",
    "bmp",
    "gif",
    "tif",
    "tiff",
    "ppm",
)  # extensions, in lower case
BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
NO_CLASS = -1  # class id of an image of pairs


class DataSetError(ValueError):
    """A data set that is missing or is not what the study takes it for; the message says what was
    looked for, what was found, and the mend.
    """

    def __init__(self, message: str):
        super().__init__(
            message.encode("utf-8", "backslashreplace").decode()
        )  # a name that is not UTF-8 could not be printed


def _rows(path: Path, *columns: str) -> list[dict[str, str]]:
    try:
        return csv_tables.rows(path, *columns)
    except csv_tables.TableError as error:
        raise DataSetError(str(error)) from None


def row_of(name: str) -> dict[str, str]:
    """Row of data/datasets.csv; of a data set of the user's own, an empty one."""
    row = (
        next((row for row in _rows(TABLE, "id") if row["id"] == name), {})
        if TABLE.is_file()
        else {}
    )
    images = row.get("images") or "0"
    if not images.isdecimal():
        raise DataSetError(f"{TABLE}: images of {name} is {images!r}, expected digits")
    return row


def variable(name: str) -> str:
    """Environment variable that says where a data set lies."""
    return PREFIX + name.upper()


def is_pattern(place: str | Path) -> bool:
    """Whether a place is a pattern of tars: a folder may have brackets or braces in its name."""
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
    """Return the files of a pattern, sorted, and the names in its braces that are not there."""
    names = [str(pattern)] if glob(str(pattern)) else expand_braces(str(pattern))
    folders: dict[str, set[str]] = {}  # each is listed once, for there may be 40,000 names

    def found(name: str) -> list[str]:
        if has_magic(name):
            return glob(name)
        folder, file = os.path.split(name)
        if folder not in folders:
            folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        return [name] if file in folders[folder] else []

    files = {name: found(name) for name in names}
    paths = sorted({Path(path) for matched in files.values() for path in matched})
    return paths, [Path(name).name for name, matched in files.items() if not matched]


@dataclass(frozen=True)
class DataSet:
    """A data set as a split of a study uses it.

    split: key of the study, such as training.imagenet. table: CSV of its classes. pairs: of texts,
    not of classes, so without a table. wanted: images that the study uses, None for all of them.
    skip: text file with a line for each image that the user leaves out.
    """

    name: str
    split: str
    table: str | None
    pairs: bool = False
    training: bool = False
    wanted: int | None = None
    skip: str | None = None

    @cached_property
    def row(self) -> dict[str, str]:
        return row_of(self.name)

    @cached_property
    def classes(self) -> list[dict[str, str]]:
        """Rows of the class table, class ids 0, 1, 2, ..."""
        return [] if self.pairs else class_table.rows(self.table)

    @cached_property
    def expected(self) -> list[int]:
        """Ids of the classes that must have images: all, or for sets such as ImageNet-R those of
        its subset.
        """
        if not self.row.get("subset"):
            return list(range(len(self.classes)))
        chosen = {
            row["wnid"]
            for row in _rows(SUBSETS, "subset", "wnid")
            if row["subset"] == self.row["subset"]
        }
        return [i for i, row in enumerate(self.classes) if row.get("wnid") in chosen]

    @property
    def layouts(self) -> list[str]:
        """Those in which it may lie: folders, webdataset, torchvision:Name(arguments), img2dataset."""
        return (
            self.row.get("layout") or ("img2dataset" if self.pairs else "folders|webdataset")
        ).split("|")

    @cached_property
    def skipped(self) -> set[str]:
        if self.skip is None:
            return set()
        try:
            lines = Path(self.skip).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise self.error(
                [f"{self.skip}: not UTF-8 at byte {error.start}: save it as UTF-8"]
            ) from None
        return {
            nfc(posixpath.normpath(line.strip()))
            for line in lines
            if line.strip() and not line.startswith("#")
        }

    @cached_property
    def place(self) -> Path:
        """Where it lies: a folder, or a pattern of tars. Raises DataSetError where none is told or
        nothing is there.
        """
        told = os.environ.get(variable(self.name))
        if not told:
            known = [
                name for name, value in os.environ.items() if name.startswith(PREFIX) and value
            ]
            close = difflib.get_close_matches(variable(self.name), known, n=1)
            near = (
                f" (there is {close[0]}, or paths.{close[0].removeprefix(PREFIX).lower()}: did you mean that?)"
                if close
                else ""
            )
            raise self.error(["where it lies is not told" + near])
        place = Path(told).expanduser().absolute()
        found, missing = matches(place) if is_pattern(place) else ([], [])
        if not found and not os.path.isdir(place):
            raise self.error([f"no such {'file' if is_pattern(place) else 'folder'}: {place}"])
        if missing:
            count = len(missing) + len(found)
            told = f"{len(missing)} of the {count} files of the pattern are missing"
            raise self.error([f"{told}: {shown(missing)}: get them, or change the pattern"])
        return place

    def error(self, faults: list[str], found: str = "") -> DataSetError:
        """What was looked for, what was found, and how to get it, in lines of their own."""
        place = os.environ.get(variable(self.name), "")
        lines = [
            f"data.{self.split}: data set {self.name!r}"
            + (f" ({self.row['title']})" if self.row else ""),
            *(f"  - {fault}" for fault in faults),
        ]
        lines.append(
            f"  looked for: {self._looked_for()}, in {place or 'a folder'}: config.yaml's paths.{self.name}, or environment {variable(self.name)}"
        )
        lines += [f"  found: {found}"] * bool(found)
        lines += [f"  how to get it: {self.row.get('how_to_get')}"] * bool(
            self.row.get("how_to_get")
        )
        return DataSetError("\n".join(lines))

    def _looked_for(self) -> str:
        if self.pairs:
            written = "pairs as img2dataset writes them with --output_format webdataset"
            return f"{written}: {{shard}}.tar, with or without {{shard}}.parquet"
        said = {
            "folders": "a folder for each class, named by its WordNet id (or name, label, class id)",
            "webdataset": "WebDataset tars of {key}.jpg (or another image format) and {key}.cls",
        }
        ways = "; or ".join(
            said.get(layout, f"what torchvision.datasets.{layout.partition(':')[2]} reads")
            for layout in self.layouts
        )
        images = f", {self.row['images']} images" if self.row.get("images") else ""
        return f"{len(self.expected)} classes of {self.table}{images}; {ways}"


@dataclass
class Found:
    """What lies there: layout, how many images of each class id, None where only reading it all
    would tell; faults of it and what else is worth a word.
    """

    layout: str
    classes: Counter | None = None
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def told(self) -> str:
        known = self.classes is not None
        classes = [f"{len(self.classes)} classes"] if known and NO_CLASS not in self.classes else []
        return ", ".join(
            [
                self.layout,
                *classes,
                *([f"{self.classes.total()} images"] if known else []),
                *self.notes,
            ]
        )


def shown(items, most: int = 5) -> str:
    """The first few, and how many more."""
    items = list(items)
    return ", ".join(map(str, items[:most])) + (
        f" and {len(items) - most} more" if len(items) > most else ""
    )


def count_faults(data: DataSet, found: Found) -> list[str]:
    """Classes without images, and numbers of images other than those that are known or wanted."""
    if found.classes is None:
        return []
    faults, total = [], found.classes.total()
    if not data.pairs:
        missing = [data.classes[i] for i in data.expected if not found.classes[i]]
        other = sorted(set(found.classes) - set(data.expected))
        names = shown(f"{row.get('wnid') or row['class_id']} ({row['name']})" for row in missing)
        if missing and not found.faults:
            fix = f"add images, or remove the classes from {data.table}"
            faults.append(f"no image of {len(missing)} classes: {names}: {fix}")
        if other and data.row.get("subset"):
            subset = data.row["subset"]
            faults.append(
                f"images of classes that are not in its subset {subset!r}: {shown(other)}"
            )
        elif other:
            known = f"{data.table} has 0 to {len(data.classes) - 1}"
            faults.append(
                f"images of class ids {shown(other)}, but {known}: add these classes to it"
            )
    if found.faults:  # more images would be there without them
        return faults
    known = data.row.get("images")
    if known and not data.training and not data.skip and total != int(known):
        faults.append(
            f"{total} images, not {known}; if that is meant, give it a name of your own in place of {data.name!r}"
        )
    usable = total - (
        0 if data.pairs else len(data.skipped)
    )  # of pairs the skipped ones are left out already
    if data.wanted and usable < data.wanted:
        faults.append(
            f"a source of the study takes {data.wanted} images, and it has {usable}: lower sources.*.images"
        )
    return faults
