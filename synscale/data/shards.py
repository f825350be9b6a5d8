"""Image shards: a WebDataset tar, and next to it a parquet manifest with a row for each image.

Members of the tar are {key}.png (or .jpg, .webp), {key}.cls and {key}.txt.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from synscale.data.codec import decode
from synscale.runtime.atomic import atomic_write
from synscale.study.models.generators import Storage
from synscale.workflow.settings.data import StoredImages

if TYPE_CHECKING:
    import pandas as pd  # at run time where it is used: most jobs read manifests by pyarrow

EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
PNG = Storage()
FIX = "remove both files and start again"


class ShardError(ValueError):
    """A shard that does not match its manifest."""


def manifest_path(tar: str | Path) -> Path:
    """Return the path of the manifest of a shard."""
    return Path(tar).with_suffix(".parquet")


def _manifest(tar: str | Path) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(manifest_path(tar))


def encode(pixels: np.ndarray, storage: Storage | StoredImages = PNG) -> bytes:
    """Encode an image. A png is read back as the same pixels.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8
    storage : Storage or StoredImages
        `format` and, for jpeg and webp, `quality`.
    """
    buffer = io.BytesIO()
    options = {} if storage.quality is None else {"quality": storage.quality}
    Image.fromarray(pixels).save(buffer, storage.format, **options)
    return buffer.getvalue()


def write(
    tar: str | Path,
    samples: Iterable[tuple[str, np.ndarray | bytes, dict]],
    storage: Storage | StoredImages = PNG,
) -> None:
    """Write a tar and its manifest.

    The manifest appears last, so a tar that has one is complete. Two calls with the same samples
    give the same bytes.

    Parameters
    ----------
    tar : str or Path
    samples : iterable of (str, ndarray or bytes, dict)
        Key, uint8 pixels or the encoded image, and manifest row, which has at least `class_id` and
        `prompt`. Added are `key`, `sha256` of the encoded image, and its `offset` and `size` in the
        tar, in bytes, by which a single image can be read.
    storage : Storage or StoredImages
        Format of the encoded images.
    """
    import pandas as pd

    extension = EXTENSIONS[storage.format]
    rows = []
    with atomic_write(tar, manifest_path(tar)) as (tar_part, manifest_part):
        with tarfile.open(tar_part, "w") as file:
            for key, pixels, row in samples:
                data = pixels if isinstance(pixels, bytes) else encode(pixels, storage)
                texts = {"cls": str(row["class_id"]).encode(), "txt": row["prompt"].encode()}
                members = sorted((texts | {extension: data}).items())
                offsets = {name: _add(file, f"{key}.{name}", member) for name, member in members}
                sha256 = hashlib.sha256(data).hexdigest()
                place = {"offset": offsets[extension], "size": len(data)}
                rows.append({"key": key, **row, "sha256": sha256, **place})
        pd.DataFrame(rows).to_parquet(manifest_part, index=False)


def _add(file: tarfile.TarFile, name: str, data: bytes) -> int:
    """Add a member as webdataset's TarWriter does, and return the offset of its data.

    An import of webdataset imports torch, which takes longer than most of these jobs.
    """
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o444
    member.uname = member.gname = "root"
    file.addfile(member, io.BytesIO(data))
    return file.offset - -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _encoded(tar: str | Path, manifest: "pd.DataFrame") -> Iterator[bytes]:
    """Yield each image of a shard as it is stored, in order.

    Raises ShardError if one is missing, unexpected, out of order or changed.
    """
    # Looking up single cells of a DataFrame costs more than the hash.
    keys = manifest["key"].tolist()
    hashes = manifest["sha256"].tolist()
    if "source_image" in manifest:  # selected images: some of the tar's, in another order
        yield from _encoded_at(tar, manifest)
        return
    place = 0
    with tarfile.open(tar) as file:
        for member in file:
            key, _, extension = member.name.rpartition(".")
            if extension not in EXTENSIONS.values():
                continue
            if place >= len(keys) or key != keys[place]:
                expected = f"expected row {place} of {manifest_path(tar)}"
                raise ShardError(f"{tar}: another image ({key!r}, {expected}); {FIX}")
            data = file.extractfile(member).read()
            if hashlib.sha256(data).hexdigest() != hashes[place]:
                problem = f"image {key!r} has another sha256 than its manifest says"
                raise ShardError(f"{tar}: {problem}; {FIX}")
            yield data
            place += 1
    if place != len(manifest):
        expected = f"expected {len(manifest)} as in {manifest_path(tar)}"
        raise ShardError(f"{tar}: wrong number of images ({place}, {expected}); {FIX}")


def _encoded_at(tar: str | Path, manifest: "pd.DataFrame") -> Iterator[bytes]:
    """Yield images by their place in the tar. Raises ShardError if one is changed."""
    rows = manifest[["key", "offset", "size", "sha256"]].itertuples(index=False)
    with Path(tar).open("rb") as file:
        for key, offset, size, sha256 in rows:
            file.seek(offset)
            data = file.read(size)
            if hashlib.sha256(data).hexdigest() != sha256:
                problem = f"image {key!r} has another sha256 than its manifest says"
                raise ShardError(f"{tar}: {problem}; {FIX}")
            yield data


def samples(tar: str | Path) -> Iterator[tuple[str, bytes, dict]]:
    """Yield key, encoded image and row of each sample, as `write` takes them.

    Raises ShardError if an image is missing, unexpected, out of order or changed.
    """
    manifest = _manifest(tar)
    rows = manifest.drop(columns=["sha256", "offset", "size"]).to_dict("records")
    for row, data in zip(rows, _encoded(tar, manifest), strict=True):
        yield row.pop("key"), data, row


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    """Stack images (H, W) or (H, W, C) to (N, C, H, W)."""
    stack = np.stack(images) if images else np.zeros((0, 0, 0), np.uint8)
    return stack[:, None] if stack.ndim == 3 else stack.transpose(0, 3, 1, 2)


def read(
    tar: str | Path, select: "Callable[[pd.DataFrame], pd.Series] | None" = None
) -> "tuple[np.ndarray, pd.DataFrame]":
    """Read images of a shard and their manifest rows, both in the order of the tar.

    Parameters
    ----------
    tar : str or Path
    select : callable, optional
        Mask of the manifest: which rows to decode (default: all). All rows are verified.

    Returns
    -------
    images : ndarray, shape (N, C, H, W), uint8
    manifest : DataFrame
        N rows.

    Raises
    ------
    ShardError
        If an image is missing, unexpected, out of order or changed.
    """
    manifest = _manifest(tar)
    mask = np.ones(len(manifest), bool) if select is None else select(manifest).to_numpy(bool)
    encoded = zip(_encoded(tar, manifest), mask, strict=True)
    return _stacked([decode(data) for data, is_selected in encoded if is_selected]), manifest[mask]


def batches(
    tar: str | Path, size: int, first: int = 0
) -> "Iterator[tuple[np.ndarray, pd.DataFrame]]":
    """Yield up to `size` images at a time from row `first` on, as `read` returns them.

    No more images are in memory. An image is verified when it is read.

    Parameters
    ----------
    tar : str or Path
        The shard.
    size : int
        Images of a batch.
    first : int, optional
        Row of the first image.

    Yields
    ------
    pixels : ndarray, shape (N, C, H, W), uint8
    manifest : DataFrame
        Rows of these images.
    """
    manifest = _manifest(tar)
    images = []
    for place, data in enumerate(_encoded(tar, manifest), 1):
        if place > first:
            images.append(decode(data))
        if images and (len(images) == size or place == len(manifest)):
            yield _stacked(images), manifest.iloc[place - len(images) : place]
            images = []


def by_source(tars: list[str], files: dict[str, int]) -> dict[str, list[str]]:
    """Split a list of tars by source.

    Parameters
    ----------
    tars : list of str
        Tars of all sources, one source after the other.
    files : dict of str to int
        Number of tars of each source.

    Raises
    ------
    ShardError
        If the numbers differ: images of one source would pass for those of another.
    """
    if len(tars) != sum(files.values()):
        expected = f"expected {sum(files.values())} of {', '.join(files)}"
        raise ShardError(f"wrong number of tars ({len(tars)}, {expected}); start snakemake again")
    rest = iter(tars)
    return {source: [next(rest) for _ in range(count)] for source, count in files.items()}


def identity(tars: Sequence[str | Path]) -> str:
    """Return a digest of every image and its class, in order, by the hashes in the manifests."""
    digest = hashlib.sha256()
    for tar in tars:
        columns = pq.read_table(manifest_path(tar), columns=["class_id", "sha256"]).to_pydict()
        rows = zip(columns["class_id"], columns["sha256"], strict=True)
        digest.update(b"class_id,sha256\n")
        digest.update("".join(f"{class_id},{sha256}\n" for class_id, sha256 in rows).encode())
    return digest.hexdigest()
