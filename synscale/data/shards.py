"""Image shards: a WebDataset tar of {key}.png (or .jpg, .webp), {key}.cls, {key}.txt, and a parquet
manifest beside it with a row for each image.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from synscale.data.codec import decoded
from synscale.runtime.atomic import atomic_write

EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
PNG = {"format": "png"}


class ShardError(ValueError):
    """A shard that is not what its manifest says."""


def manifest_path(tar: str | Path) -> Path:
    return Path(tar).with_suffix(".parquet")


def encode(pixels: np.ndarray, storage: dict = PNG) -> bytes:
    """Bytes of an image of uint8 pixels, (H, W) grey or (H, W, 3) RGB. As png, what is read back is
    what was made.

    storage: `format`, and `quality` (1 to 100) where that loses something.
    """
    buffer = io.BytesIO()
    quality = {} if storage.get("quality") is None else {"quality": storage["quality"]}
    Image.fromarray(pixels).save(buffer, storage["format"], **quality)
    return buffer.getvalue()


def write(
    tar: str | Path, samples: Iterable[tuple[str, np.ndarray | bytes, dict]], storage: dict = PNG
) -> None:
    """Write samples (key, uint8 pixels, manifest row) as a tar and its manifest; storage: of the
    images, as `encode` takes it. In place of pixels may stand the bytes of an image that is already
    so encoded.

    A row holds at least `class_id` and `prompt`; added are key, and offset (bytes into the tar),
    size and sha256 of the stored bytes, by which one image can be read alone. Two calls with the
    same samples give the same bytes. The manifest appears last, so a tar that has one is whole.
    """
    from webdataset import TarWriter

    rows = []
    with atomic_write(tar, manifest_path(tar)) as (tar_part, manifest_part):
        with (
            tar_part.open("wb") as stream,
            TarWriter(stream, mtime=0, user="root", group="root") as writer,
        ):
            for key, pixels, row in samples:
                data = pixels if isinstance(pixels, bytes) else encode(pixels, storage)
                writer.write(
                    {
                        "__key__": key,
                        EXTENSIONS[storage["format"]]: data,
                        "cls": str(row["class_id"]),
                        "txt": row["prompt"],
                    }
                )
                rows.append({"key": key, **row, "sha256": hashlib.sha256(data).hexdigest()})
        with tarfile.open(tar_part) as file:
            places = {member.name: (member.offset_data, member.size) for member in file}
        for row in rows:
            row["offset"], row["size"] = places[f"{row['key']}.{EXTENSIONS[storage['format']]}"]
        pd.DataFrame(rows).to_parquet(manifest_part, index=False)


def _encoded(tar: str | Path, manifest: pd.DataFrame) -> Iterator[bytes]:
    """Each image of a shard as it is stored, in order, one at a time. Raises ShardError where one
    is missing, unexpected, out of order or changed.
    """
    mend = "remove both files and make them again"
    keys, hashes = (
        manifest["key"].tolist(),
        manifest["sha256"].tolist(),
    )  # of a table, each look costs more than the hash itself
    place = 0
    with tarfile.open(tar) as file:
        for member in file:
            key, _, extension = member.name.rpartition(".")
            if extension not in EXTENSIONS.values():
                continue
            if place >= len(keys) or key != keys[place]:
                raise ShardError(
                    f"{tar}: image {key!r} is not the one that row {place} of {manifest_path(tar)} names: {mend}"
                )
            data = file.extractfile(member).read()
            if hashlib.sha256(data).hexdigest() != hashes[place]:
                raise ShardError(
                    f"{tar}: image {key!r} has another sha256 than its manifest says: {mend}"
                )
            yield data
            place += 1
    if place != len(manifest):
        raise ShardError(
            f"{tar}: {place} images where {manifest_path(tar)} names {len(manifest)}: {mend}"
        )


def samples(tar: str | Path) -> Iterator[tuple[str, bytes, dict]]:
    """What `write` was given, images as they are stored. Raises ShardError where any is missing,
    unexpected, out of order or changed.
    """
    manifest = pd.read_parquet(manifest_path(tar))
    rows = manifest.drop(columns=["sha256", "offset", "size"]).to_dict("records")
    for row, data in zip(rows, _encoded(tar, manifest), strict=True):
        yield row.pop("key"), data, row


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    """(N, C, H, W) of images (H, W) or (H, W, C)."""
    stack = np.stack(images) if images else np.zeros((0, 0, 0), np.uint8)
    return stack[:, None] if stack.ndim == 3 else stack.transpose(0, 3, 1, 2)


def read(
    tar: str | Path, chosen: Callable[[pd.DataFrame], pd.Series] | None = None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Images of a shard, uint8 (N, C, H, W), and their manifest rows, both in the order of the tar.

    chosen: from the manifest, which rows to decode (all by default). The others are checked as
    well. Raises ShardError where any image is missing, unexpected, out of order or changed.
    """
    manifest = pd.read_parquet(manifest_path(tar))
    wanted = np.ones(len(manifest), bool) if chosen is None else chosen(manifest).to_numpy(bool)
    images = [
        decoded(data) for data, want in zip(_encoded(tar, manifest), wanted, strict=True) if want
    ]
    return _stacked(images), manifest[wanted]


def batches(
    tar: str | Path, size: int, first: int = 0
) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """As `read`, from row `first` on, up to `size` images at a time and no more in memory; an image
    is checked when its turn comes.
    """
    manifest = pd.read_parquet(manifest_path(tar))
    images = []
    for place, data in enumerate(_encoded(tar, manifest), 1):
        if place > first:
            images.append(decoded(data))
        if images and (len(images) == size or place == len(manifest)):
            yield _stacked(images), manifest.iloc[place - len(images) : place]
            images = []


def read_source(
    tars: list[str | Path], limit: int | None = None
) -> dict[float | None, tuple[np.ndarray, np.ndarray]]:
    """Images (N, C, H, W) and class ids (N,) of a source at each guidance scale (None for real
    images), in index order, so that sizes are prefixes. limit: the first images alone.
    """
    parts: dict[float | None, list] = {}
    for tar in tars:
        images, manifest = read(tar, (lambda rows: rows["image"] < limit) if limit else None)
        scales = (
            manifest["guidance"].to_numpy()
            if "guidance" in manifest
            else np.full(len(manifest), None)
        )
        labels = manifest["class_id"].to_numpy()
        for scale in dict.fromkeys(scales):
            parts.setdefault(scale, []).append((images[scales == scale], labels[scales == scale]))
    return {
        scale: tuple(map(np.concatenate, zip(*own, strict=True))) for scale, own in parts.items()
    }


def by_source(tars: list[str], files: dict[str, int]) -> dict[str, list[str]]:
    """Tars of each source. tars: of the sources one after the other; files: source -> how many of
    them are its own.

    Raises ShardError where there are more or fewer: images of one source would pass for those of
    another.
    """
    if len(tars) != sum(files.values()):
        raise ShardError(
            f"{len(tars)} tars were named, but {', '.join(files)} have {sum(files.values())}"
        )
    rest = iter(tars)
    return {source: [next(rest) for _ in range(count)] for source, count in files.items()}


def identity(tars: list[str | Path]) -> str:
    """A digest of every image, by the hashes in the manifests, and its class, in order."""
    digest = hashlib.sha256()
    for tar in tars:
        digest.update(
            pd.read_parquet(manifest_path(tar))[["class_id", "sha256"]].to_csv(index=False).encode()
        )
    return digest.hexdigest()
