"""Where the images of a shard are: one row for each image, read from the shard's manifest."""

import hashlib
import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch

from synscale.data.codec import decode
from synscale.data.shards import ShardError, manifest_path
from synscale.training.order import OPEN_SHARDS

REGENERATE = "remove both files to generate them again"
COLUMNS = ["class_id", "offset", "size", "sha256"]
HASH = 32  # bytes of a sha256


class ShardSlice(NamedTuple):
    """`images` images of a tar at a guidance scale (None: real images), from number `start` on."""

    tar: str
    guidance: float | None
    images: int
    start: int = 0

    @property
    def rows(self) -> slice:
        """Rows of the images in the index of the tar at the guidance scale."""
        return slice(self.start, self.start + self.images)


def manifest_columns(tar: str, columns: list[str], guidance: float | None) -> dict[str, np.ndarray]:
    """Return columns of the rows at a guidance scale, in the order of the tar.

    Parameters
    ----------
    tar : str
    columns : list of str
    guidance : float or None
        None for real images.

    Returns
    -------
    dict of ndarray, shape (rows,)

    Raises
    ------
    ShardError
        If a column is missing, or if the shard has no image at this guidance scale.
    """
    file = pq.ParquetFile(manifest_path(tar))
    names = set(file.schema_arrow.names)
    if missing := [name for name in columns if name not in names]:
        raise ShardError(f"{manifest_path(tar)}: no columns {', '.join(missing)}; {REGENERATE}")
    if (guidance is None) == ("guidance" in names):
        content, expected = "synthetic", "real images"
        if guidance is not None:
            content, expected = "real", f"images at guidance {guidance}"
        problem = f"contains {content} images (expected {expected})"
        raise ShardError(f"{tar}: {problem}; correct its source")
    if guidance is not None:
        columns = [*columns, "guidance"]
    table = file.read(columns=columns, use_threads=False)
    values = {name: table[name].to_numpy() for name in table.column_names}
    rows = slice(None) if guidance is None else values.pop("guidance") == guidance
    return {name: column[rows] for name, column in values.items()}


def is_intact(data: bytes, sha256: bytes) -> bool:
    """Whether the bytes of an image have this hash.

    Parameters
    ----------
    data : bytes
        Encoded image.
    sha256 : bytes
        Hash in the manifest.
    """
    return hashlib.sha256(data).digest() == sha256


def damaged(shard: ShardSlice, row: int) -> ShardError:
    """Return the error for an image that is not the one that its manifest names.

    Parameters
    ----------
    shard : ShardSlice
        The shard.
    row : int
        Row of the image in its manifest.
    """
    key = manifest_columns(shard.tar, ["key"], shard.guidance)["key"][row]
    problem = f"the sha256 of image {key!r} is not the one in the manifest"
    return ShardError(f"{shard.tar}: {problem}; {REGENERATE}")


def decode_into(data: bytes, last: np.ndarray | None) -> tuple[torch.Tensor, np.ndarray]:
    """Decode an image in place of the one before, which saves the allocation.

    Parameters
    ----------
    data : bytes
        Image as it is stored.
    last : ndarray or None
        Array that the call before returned.

    Returns
    -------
    pixels : Tensor, shape (C, H, W), uint8
        View of the array: crops of it are as fast as of a copy.
    array : ndarray
        For the next call.
    """
    array = decode(data, last)
    pixels = torch.from_numpy(array if array.ndim == 3 else array[..., None])
    return pixels.permute(2, 0, 1), array


class Index:
    """Places, classes and hashes of the images of a tar at a guidance scale: 64 bytes per image."""

    def __init__(self, tar: str, guidance: float | None):
        columns = manifest_columns(tar, COLUMNS, guidance)
        self.tar = tar
        self.guidance = guidance
        self.class_ids: np.ndarray = columns["class_id"].astype(np.int64)
        self.offsets: np.ndarray = columns["offset"].astype(np.int64)
        self.sizes: np.ndarray = columns["size"].astype(np.int64)
        self.hashes = bytes.fromhex("".join(columns["sha256"]))
        self.last: np.ndarray | None = None
        self.file = open(tar, "rb", buffering=0)  # noqa: SIM115  (open while the index exists)

    def __del__(self):
        if hasattr(self, "file"):
            self.file.close()

    def sha256(self, row: int) -> bytes:
        """Return the hash of an image that the manifest records."""
        return self.hashes[HASH * row : HASH * (row + 1)]

    def read(self, row: int) -> torch.Tensor:
        """Read one image.

        Parameters
        ----------
        row : int

        Returns
        -------
        Tensor, shape (C, H, W), uint8
            Pixels, which the next call may overwrite.

        Raises
        ------
        ShardError
            If its bytes are not those that the manifest names.
        """
        data = os.pread(self.file.fileno(), int(self.sizes[row]), int(self.offsets[row]))
        if not is_intact(data, self.sha256(row)):
            raise damaged(ShardSlice(self.tar, self.guidance, 1, row), row)
        pixels, self.last = decode_into(data, self.last)
        return pixels

    def read_bytes(self, first: int, last: int) -> tuple[bytes, int]:
        """Read the part of the tar that contains images `first` to `last` (half-open), at once.

        Parameters
        ----------
        first, last : int

        Returns
        -------
        data : bytes
            Less than expected if the tar ends before.
        offset : int
            Place of its first byte in the tar.
        """
        offset = int(self.offsets[first])
        length = os.fstat(self.file.fileno()).st_size
        stop = min(int(self.offsets[last - 1] + self.sizes[last - 1]), length)
        parts = []
        place = offset
        while place < stop and (part := os.pread(self.file.fileno(), stop - place, place)):
            parts.append(part)
            place += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts), offset


# In each process: twice as many, as a batch can have the last images of some shards and the first
# of the next.
open_index = lru_cache(maxsize=2 * OPEN_SHARDS)(Index)
