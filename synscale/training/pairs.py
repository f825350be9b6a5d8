"""Image-text pairs of a CLIP training: the images of `stream`, and the text of each.

open_pairs     the pairs of a run, in the shards of one or more sources
Tokens     the tokens of the texts at given positions
in_memory  the same pairs with decoded images, if they fit

Pairs of several sources are mixed as for classifiers: `order.Order` shuffles the shards of all
sources together. A damaged image stops the training; open_clip's reader would skip its shard.
"""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from synscale.data.shards import ShardError, manifest_path
from synscale.training import stream
from synscale.training.order import OPEN_SHARDS

TOKENIZED = 1 << 16  # texts whose tokens are kept: captions of small sets repeat


class Pairs(NamedTuple):
    """Pairs of a run, part after part.

    identity: digest of the parts and of their manifests, which contain the sha256 of every image.
    """

    images: stream.ShardedImages
    identity: str


def _rows(manifest: bytes, columns: list[str], guidance: float | None) -> pa.Table:
    """Rows of a manifest at a guidance scale (None: real images, which have none)."""
    table = pq.read_table(
        io.BytesIO(manifest),
        columns=[*columns, *(["guidance"] if guidance is not None else [])],
        use_threads=False,
    )
    return table if guidance is None else table.filter(pc.equal(table["guidance"], guidance))


def _look(tar: str, guidance: float | None) -> tuple[np.ndarray, str]:
    """Numbers of the images of a tar at a guidance scale, and the sha256 of its manifest.

    Raises ShardError where the tar ends before the last of its images. What is in it is checked
    image by image when it is read: to read 371 million images once more before a training would
    take as long as a pass of it.
    """
    try:
        manifest, length = manifest_path(tar).read_bytes(), Path(tar).stat().st_size
    except FileNotFoundError as error:
        raise ShardError(f"{error.filename}: no such file: {stream.REGENERATE}") from None
    rows = _rows(manifest, ["image", "offset", "size"], guidance)
    if len(rows) and (end := pc.max(pc.add(rows["offset"], rows["size"])).as_py()) > length:
        raise ShardError(
            f"{tar}: {length} bytes long, but its manifest names images up to byte {end}: {stream.REGENERATE}"
        )
    return rows["image"].to_numpy(), hashlib.sha256(manifest).hexdigest()


def open_pairs(tars: dict[str, list[str]], parts: list[dict], threads: int = 16) -> Pairs:
    """The pairs of a run: of each part its images, in their order. tars: of each source, in order.

    Half a minute on 16 cores for 371 million pairs, as estimated from 10 ms for a manifest of
    10,000. Raises ShardError where a tar is missing or too short; SystemExit where a part has too
    few images.
    """
    shards, digest = [], hashlib.sha256()
    for part in parts:
        source, guidance, start = part["source"], part["guidance"], part.get("start", 0)
        stop, seen = start + part["images"], 0
        digest.update(
            repr(
                (guidance, part["images"], start) if start else (guidance, part["images"])
            ).encode()
        )
        with ThreadPoolExecutor(threads) as pool:
            looked = pool.map(partial(_look, guidance=guidance), tars[source])
            for tar, (numbers, own) in zip(tars[source], looked, strict=True):
                first, last = np.clip([start - seen, stop - seen], 0, len(numbers)).tolist()
                if not np.array_equal(numbers[first:last], np.arange(seen + first, seen + last)):
                    raise ShardError(
                        f"{tar}: its images at guidance {guidance} are not those from number {seen} on: {stream.REGENERATE}"
                    )
                if last > first:
                    shards.append(stream.ShardSlice(tar, guidance, last - first, first))
                    digest.update(own.encode())
                seen += len(numbers)
        if seen < stop:
            needed = f"{part['images']} of {source}" + (f" from number {start} on" if start else "")
            raise SystemExit(
                f"{tars[source][-1]}: {seen} images at guidance {guidance}, but a run needs {needed}"
            )
    return Pairs(stream.ShardedImages(shards), digest.hexdigest())


def in_memory(pairs: Pairs) -> stream.Images:
    """Return the images, decoded if they fit into `stream.IN_MEMORY` bytes; positions are the same."""
    [images] = stream.load_into_memory([pairs.images])
    return images


def _texts(tar: str, guidance: float | None) -> pa.ChunkedArray:
    return _rows(manifest_path(tar).read_bytes(), ["prompt"], guidance)["prompt"]


class PairBatch(NamedTuple):
    """A stream.Batch with the tokens of its texts, shape (N, context_length)."""

    images: torch.Tensor
    class_ids: torch.Tensor
    positions: torch.Tensor
    tokens: torch.Tensor


class Tokens:
    """Tokens of the texts of stored images.

    Texts of recently read shards are kept: 260 MB at 80 bytes a text and 100,000 pairs a shard.
    So are tokens of recent texts, because tokenizing a caption of a small set takes longer than
    its share of a training step.

    Parameters
    ----------
    images : stream.ShardedImages
        Images whose manifests have a column `prompt`.
    tokenize : callable
        Returns tokens, shape (1, context_length), of a text.
    """

    def __init__(self, images: stream.ShardedImages, tokenize: Callable[[str], torch.Tensor]):
        self.images = images
        self._texts = lru_cache(maxsize=2 * OPEN_SHARDS)(_texts)
        self._tokens = lru_cache(maxsize=TOKENIZED)(lambda text: tokenize(text)[0])

    def text(self, position: int) -> str:
        """Return the text of one pair."""
        shard, row = self.images.locate(position)
        return self._texts(shard.tar, shard.guidance)[row].as_py()

    def add(self, batch: stream.Batch) -> PairBatch:
        """Return the batch with the tokens of its texts."""
        tokens = [self._tokens(self.text(position)) for position in batch.positions.tolist()]
        return PairBatch(*batch, torch.stack(tokens))
