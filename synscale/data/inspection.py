"""What a folder of images has, for the scaffold of a study: classes, sizes, problems.

It uses the reader of data sets, so that what it accepts is what a run accepts.
"""

import hashlib
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synscale.data import datasets
from synscale.data.datasets.registry import DataSet

if TYPE_CHECKING:
    from PIL.Image import Image

DECODED = 2_000  # images of a set that are decoded, evenly spaced


@dataclass(frozen=True)
class Inspection:
    """A set of images of classes.

    Parameters
    ----------
    layout : str
        Layout that the images are read in.
    counts : dict of int to int
        Class id -> number of images.
    sides : tuple of int
        Shorter sides of the decoded images in pixels, sorted.
    is_grey : bool
        Whether all decoded images are grey.
    broken : tuple of str
        Names of images that cannot be decoded, with their errors.
    """

    layout: str
    counts: dict[int, int]
    sides: tuple[int, ...]
    is_grey: bool
    broken: tuple[str, ...]

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(self.counts.values())

    @property
    def median_side(self) -> int:
        """Median of the shorter sides."""
        return self.sides[len(self.sides) // 2]

    def summary(self) -> str:
        """Return the numbers as one line."""
        low, high = min(self.counts.values()), max(self.counts.values())
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        color = "grey" if self.is_grey else "RGB"
        pixels = f"shorter side {self.sides[0]} to {self.sides[-1]} pixels" if self.sides else ""
        numbers = f"{self.images:,} images of {len(self.counts)} classes ({each} a class)"
        return f"{self.layout}, {numbers}, {color}, {pixels}"


def _decoded(data: object) -> "Image":
    """Return a decoded image. Raises OSError or ValueError if it is broken."""
    from PIL import Image

    image = Image.open(io.BytesIO(data)) if isinstance(data, bytes) else data
    image.load()  # type: ignore[attr-defined]
    return image  # type: ignore[return-value]


def _is_grey(image: "Image") -> bool:
    if image.mode in ("1", "L", "LA", "I;16"):
        return True
    return not any(_differences(image))


def _differences(image: "Image") -> Iterator[int]:
    """Yield the largest differences of the colour channels, 0 for a grey image."""
    from PIL import ImageChops

    red, green, blue = image.convert("RGB").split()
    for other in (green, blue):
        yield ImageChops.difference(red, other).getextrema()[1]  # type: ignore[misc]


@dataclass(frozen=True)
class _Listing:
    """The images of a set: the rows of its index, and the function that reads one."""

    data: DataSet
    layout: str
    rows: list[dict]
    read: Callable[[dict], object]

    def content(self, row: dict) -> bytes:
        """Return the bytes of an image, or its pixels if a library has decoded it."""
        value = self.read(row)
        return value if isinstance(value, bytes) else value.tobytes()  # type: ignore[attr-defined]

    def size(self, row: dict) -> int:
        """Return the number of bytes of an image; nothing is read if it is a file."""
        if row["size"] is not None:
            return row["size"]
        path = self.data.place / row["origin"]
        return path.stat().st_size if path.is_file() else len(self.content(row))


def _list(path: str, table: str, section: str) -> _Listing:
    data = DataSet(path, f"{section}.{path}", table)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "index.parquet")
        layout = datasets.write_index(data, index).layout
        return _Listing(data, layout, *datasets.read_index(data, index, 0, None))


def inspect(path: str, table: str, section: str) -> Inspection:
    """Return what a set of images has.

    Parameters
    ----------
    path : str
        Folder, pattern of tars, or row of data/datasets.csv.
    table : str
        CSV of the classes.
    section : {"training", "evaluation"}
        Part of the study that the images are for.

    Raises
    ------
    DataSetError
        If it is not a set of images of these classes.
    """
    listing = _list(path, table, section)
    sides, broken, is_grey = [], [], True
    for row in listing.rows[:: -(-len(listing.rows) // DECODED)]:
        try:
            image = _decoded(listing.read(row))
        except (OSError, ValueError, SyntaxError) as error:
            broken.append(f"{row['origin']} ({error})")
            continue
        sides.append(min(image.size))
        is_grey = is_grey and _is_grey(image)
    counts = Counter(row["class_id"] for row in listing.rows)
    return Inspection(
        listing.layout, dict(sorted(counts.items())), tuple(sorted(sides)), is_grey, tuple(broken)
    )


def shared_images(training: str, test: str, table: str) -> list[str]:
    """Return the names of the test images that are also training images, by their content.

    Only images of equal numbers of bytes are read and compared.

    Parameters
    ----------
    training, test : str
        As `path` of `inspect`.
    table : str
    """
    known, others = _list(training, table, "training"), _list(test, table, "evaluation")
    by_size: dict[int, list[dict]] = {}
    for row in known.rows:
        by_size.setdefault(known.size(row), []).append(row)
    hashes: dict[int, set[bytes]] = {}
    shared = []
    for row in others.rows:
        size = others.size(row)
        if size not in by_size:
            continue
        if size not in hashes:
            contents = map(known.content, by_size[size])
            hashes[size] = {hashlib.sha256(content).digest() for content in contents}
        if hashlib.sha256(others.content(row)).digest() in hashes[size]:
            shared.append(row["origin"])
    return shared
