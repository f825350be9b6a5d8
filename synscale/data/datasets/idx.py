"""Data sets in idx files, the format of MNIST: one file of grey images, one of class ids.

data/datasets.csv names them by the prefix of their files: idx:train, idx:t10k.
"""

import gzip
import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from synscale.data.datasets.index_table import Index, image_table
from synscale.data.datasets.registry import DataSet, DataSetError, Survey, table_rows

if TYPE_CHECKING:
    import numpy as np

HASHES = Path("data/idx_files.csv")  # SHA-256 of the unpacked contents
FOLDERS = ("", "raw", "FashionMNIST/raw")  # below the path of the data set
IMAGES, LABELS = 3, 1  # dimensions
HEADER = 16  # bytes of the header of the images
UNREADABLE = (EOFError, OSError, zlib.error)


def _layout(data: DataSet) -> str:
    return next(layout for layout in data.layouts if layout.partition(":")[0] == "idx")


def _paths(data: DataSet) -> tuple[Path, Path]:
    """Return the files of the images and of the labels; both are in one folder."""
    prefix = _layout(data).partition(":")[2]
    if not prefix:
        layout = f"layout {_layout(data)!r} has no prefix of files"
        raise DataSetError(f"data/datasets.csv: {layout} (expected idx:train, for example)")
    images, labels = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    folders = [data.place / name for name in FOLDERS]
    folder = next((folder for folder in folders if _path(folder, images)), data.place)
    paths = _path(folder, images), _path(folder, labels)
    if not (paths[0] and paths[1]):
        problem = f"{folder}: no {labels if paths[0] else images} (plain or .gz) in it"
        below = "" if paths[0] else f", {' or '.join(FOLDERS[1:])}"
        raise data.error([f"{problem}{below}; get it, or give another path"])
    return paths[0], paths[1]


def _path(folder: Path, name: str) -> Path | None:
    """Return the plain file, because it is read faster, or the compressed one."""
    return next(filter(Path.is_file, (folder / name, folder / f"{name}.gz")), None)


def _read(data: DataSet, path: Path, size: int = -1) -> bytes:
    """Return the first `size` bytes of the unpacked contents of a file, all of them by default."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(size)
    except UNREADABLE as error:
        raise data.error([f"{path}: cannot be read ({error}); get it again"]) from None


def _shape(data: DataSet, path: Path, dimensions: int, contents: bytes) -> list[int]:
    """Return the shape in the header of a file: a magic number, and four bytes for each length.

    Parameters
    ----------
    data : DataSet
    path : Path
    dimensions : int
    contents : bytes
        Unpacked contents of the file; at least the header.
    """
    size = 4 * (1 + dimensions)
    head = contents[:size]
    magic = bytes([0, 0, 8, dimensions])
    if len(head) < size or not head.startswith(magic):
        expected = f"{magic.hex()} and {dimensions} lengths"
        problem = f"{path}: wrong header ({head.hex() or 'empty'}, expected {expected})"
        raise data.error([f"{problem}; get it again"])
    return [int.from_bytes(head[at : at + 4], "big") for at in range(4, size, 4)]


def _array(data: DataSet, path: Path, dimensions: int, verify: bool = False) -> "np.ndarray":
    """Return the contents of a file.

    Parameters
    ----------
    data : DataSet
    path : Path
    dimensions : int
    verify : bool
        Compare the contents with the SHA-256 in `HASHES`, if it has one.

    Returns
    -------
    ndarray of uint8
    """
    import numpy as np

    contents = _read(data, path)
    shape = _shape(data, path, dimensions, contents)
    start = 4 * (1 + dimensions)
    if len(contents) != start + math.prod(shape):
        expected = f"{start + math.prod(shape)} by its header {shape}"
        problem = f"{path}: wrong length ({len(contents)} unpacked bytes, expected {expected})"
        raise data.error([f"{problem}; get it again"])
    if verify:
        _verify(data, path, contents)
    return np.frombuffer(contents, np.uint8, offset=start).reshape(shape)


def _verify(data: DataSet, path: Path, contents: bytes) -> None:
    """Compare the contents of a file with its SHA-256; the user's data sets have none."""
    rows = table_rows(HASHES, "dataset", "file", "sha256") if HASHES.is_file() else []
    file = path.name.removesuffix(".gz")
    known = {row["file"]: row["sha256"] for row in rows if row["dataset"] == data.name}
    digest = hashlib.sha256(contents).hexdigest()
    if known.get(file, digest) != digest:
        problem = f"{path}: wrong SHA-256 of the unpacked contents ({digest}"
        raise data.error([f"{problem}, expected {known[file]} by {HASHES}); get it again"])


def _compare_numbers(data: DataSet, images: int, labels: int) -> None:
    if images != labels:
        problem = f"different numbers of images ({images}) and labels ({labels})"
        raise data.error([f"{problem}; get both files of {_layout(data)} from one place"])


def survey(data: DataSet) -> Survey:
    """Read the headers of the files; `index` reads all of them."""
    images, labels = _paths(data)
    number, height, width = _shape(data, images, IMAGES, _read(data, images, HEADER))
    _compare_numbers(data, number, *_shape(data, labels, LABELS, _read(data, labels, HEADER)))
    return Survey(_layout(data), notes=[f"{number} images of {height} x {width} pixels"])


def index(data: DataSet, threads: int) -> Index:
    """Return a row for every image, in order, and a survey. See `datasets`.

    Parameters
    ----------
    data : DataSet
    threads : int
        Not used, as the file has all images.
    """
    images, labels = _paths(data)
    class_ids = _array(data, labels, LABELS, verify=True).tolist()
    _compare_numbers(data, len(_array(data, images, IMAGES, verify=True)), len(class_ids))
    rows = [(class_id, f"item {i}", None, i, None) for i, class_id in enumerate(class_ids)]
    return image_table(rows), Survey(_layout(data), Counter(class_ids))


def reader(data: DataSet) -> Callable[[dict], object]:
    """Return a function from a row of the index to a grey PIL image. The file is read once."""
    from PIL import Image

    images = _array(data, _paths(data)[0], IMAGES)
    return lambda row: Image.fromarray(images[row["offset"]])
