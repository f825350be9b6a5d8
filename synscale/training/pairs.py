"""Image-text pairs of a CLIP training: the images of `stream`, and the text of each.

open_pairs  the pairs of a run, in the shards of one or more sources
load_pairs  the same pairs with decoded images, if they fit
Tokens      the tokens of the texts at given positions

Pairs of several sources are mixed as for classifiers: `order.Order` shuffles the shards of all
sources together. A damaged image stops the training; open_clip's reader would skip its shard.
"""

import hashlib
import io
from collections.abc import Callable, Iterable
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
from synscale.study.models import TrainingPart
from synscale.training import stream
from synscale.training.image_index import REGENERATE
from synscale.training.order import OPEN_SHARDS

TOKENIZED = 1 << 16  # texts whose tokens are kept: captions of small sets repeat
THREADS = 16  # that read manifests: 371 million pairs take half a minute (estimated)


class Pairs(NamedTuple):
    """Pairs of a run, part after part.

    identity: digest of the parts and of their manifests, which contain the sha256 of every image.
    """

    images: stream.ShardedImages
    identity: str


def _rows(manifest: bytes, columns: list[str], guidance: float | None) -> pa.Table:
    """Return the rows of a manifest at a guidance scale (None: real images, which have none)."""
    if guidance is None:
        return pq.read_table(io.BytesIO(manifest), columns=columns, use_threads=False)
    columns = [*columns, "guidance"]
    table = pq.read_table(io.BytesIO(manifest), columns=columns, use_threads=False)
    return table.filter(pc.equal(table["guidance"], guidance))


def _numbers(tar: str, guidance: float | None) -> tuple[np.ndarray, str]:
    """Return the numbers of the images of a tar at a guidance scale, and its manifest's sha256.

    The images themselves are checked when they are read: to read 371 million images in advance
    would take as long as an epoch.
    """
    try:
        manifest = manifest_path(tar).read_bytes()
        length = Path(tar).stat().st_size
    except FileNotFoundError as error:
        raise ShardError(f"{error.filename}: no such file; {REGENERATE}") from None
    rows = _rows(manifest, ["image", "offset", "size"], guidance)
    end = pc.max(pc.add(rows["offset"], rows["size"])).as_py() or 0
    if end > length:
        raise ShardError(
            f"{tar}: truncated ({length} bytes, expected at least {end}); {REGENERATE}"
        )
    return rows["image"].to_numpy(), hashlib.sha256(manifest).hexdigest()


def _open_part(
    tars: list[str], part: TrainingPart, pool: ThreadPoolExecutor
) -> tuple[list[stream.ShardSlice], list[str]]:
    """Return the shards of a part, and the sha256 of their manifests."""
    shards: list[stream.ShardSlice] = []
    hashes: list[str] = []
    seen = 0
    manifests = pool.map(partial(_numbers, guidance=part.guidance), tars)
    for tar, (numbers, sha256) in zip(tars, manifests, strict=True):
        first, last = np.clip([part.start - seen, part.stop - seen], 0, len(numbers)).tolist()
        if not np.array_equal(numbers[first:last], np.arange(seen + first, seen + last)):
            raise ShardError(
                f"{tar}: its images at guidance {part.guidance} do not begin with number {seen}; "
                f"{REGENERATE}"
            )
        if last > first:
            shards.append(stream.ShardSlice(tar, part.guidance, last - first, first))
            hashes.append(sha256)
        seen += len(numbers)
    if seen < part.stop:
        raise SystemExit(
            f"{tars[-1]}: too few images of {part.source} at guidance {part.guidance} in the "
            f"shards up to this one ({seen}, expected {part.stop}); generate the missing shards"
        )
    return shards, hashes


def open_pairs(tars: dict[str, list[str]], parts: Iterable[TrainingPart]) -> Pairs:
    """Return the pairs of a run: the images of each part, in their order.

    Parameters
    ----------
    tars : dict
        Source -> its shards, in order.
    parts : iterable of TrainingPart

    Returns
    -------
    Pairs

    Raises
    ------
    ShardError
        If a shard is missing or truncated.
    SystemExit
        If a part has too few images.
    """
    shards: list[stream.ShardSlice] = []
    digest = hashlib.sha256()
    with ThreadPoolExecutor(THREADS) as pool:
        for part in parts:
            slices, hashes = _open_part(tars[part.source], part, pool)
            shards += slices
            digest.update(repr((part.guidance, part.start, part.images, hashes)).encode())
    return Pairs(stream.ShardedImages(shards), digest.hexdigest())


def load_pairs(pairs: Pairs) -> stream.Images:
    """Return the images, decoded if they fit into memory; positions are the same."""
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
