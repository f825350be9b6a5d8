"""The image-text pairs of a CLIP training, read one by one out of the blocks where they lie: nothing is copied, whatever their number.

find     the pairs of a run, their tars looked at
Loader   the batches of a run, which open_clip's trainer is given in place of those of its own reader

That reader hands whole tars to each process and worker: what stands in a batch depends on how many there are, and where tars cannot be
shared out evenly, some pairs of a pass are lost and others seen twice; a damaged tar is skipped. Here a batch follows from the seed and the
iteration alone, and a damaged image stops the training.
"""

import hashlib
import io
import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import webdataset
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from scripts.lib import stream
from scripts.lib.order import WINDOW, Order
from scripts.lib.shards import ShardError, manifest_path

Draw = tuple[torch.Tensor, torch.Tensor]  # of each pair of a batch: which pass it is drawn in, and its position among the pairs


class Pairs(NamedTuple):
    """counts: of each part, which lie one after the other. identity: a digest of the parts and of their manifests, which name every image by
    its sha256."""

    images: stream.Stored
    counts: list[int]
    identity: str


def _rows(manifest: bytes, columns: list[str], guidance: float | None) -> pa.Table:
    """Rows of a manifest at a guidance scale (None: real images, which have none)."""
    table = pq.read_table(io.BytesIO(manifest), columns=[*columns, *(["guidance"] if guidance is not None else [])], use_threads=False)
    return table if guidance is None else table.filter(pc.equal(table["guidance"], guidance))


def _look(tar: str, guidance: float | None) -> tuple[np.ndarray, str]:
    """Numbers of the images of a tar at a guidance scale, and the sha256 of its manifest.

    Raises ShardError where the tar ends before the last of its images. What is in it is checked image by image when it is read: to read
    371 million images once more before a training would take as long as a pass of it.
    """
    try:
        manifest, length = manifest_path(tar).read_bytes(), Path(tar).stat().st_size
    except FileNotFoundError as error:
        raise ShardError(f"{error.filename}: no such file: {stream.MEND}") from None
    rows = _rows(manifest, ["image", "offset", "size"], guidance)
    if len(rows) and (end := pc.max(pc.add(rows["offset"], rows["size"])).as_py()) > length:
        raise ShardError(f"{tar}: {length} bytes long, but its manifest names images up to byte {end}: {stream.MEND}")
    return rows["image"].to_numpy(), hashlib.sha256(manifest).hexdigest()


def find(tars: dict[str, list[str]], parts: list[dict], threads: int = 16) -> Pairs:
    """The pairs of a run: of each part its images, in their order. tars: of each source, in order.

    Half a minute on 16 cores for 371 million pairs, as estimated from 10 ms for a manifest of 10,000. Raises ShardError where a tar is missing or too short;
    SystemExit where a part has too few images.
    """
    blocks, digest = [], hashlib.sha256()
    for part in parts:
        source, guidance, start = part["source"], part["guidance"], part.get("start", 0)
        stop, seen = start + part["images"], 0
        digest.update(repr((guidance, part["images"], start) if start else (guidance, part["images"])).encode())
        with ThreadPoolExecutor(threads) as pool:
            looked = pool.map(partial(_look, guidance=guidance), tars[source])
            for tar, (numbers, own) in zip(tars[source], looked, strict=True):
                first, last = np.clip([start - seen, stop - seen], 0, len(numbers)).tolist()
                if not np.array_equal(numbers[first:last], np.arange(seen + first, seen + last)):
                    raise ShardError(f"{tar}: its images at guidance {guidance} are not those from number {seen} on: {stream.MEND}")
                if last > first:
                    blocks.append(stream.Block(tar, guidance, last - first, first))
                    digest.update(own.encode())
                seen += len(numbers)
        if seen < stop:
            needed = f"{part['images']} of {source}" + (f" from number {start} on" if start else "")
            raise SystemExit(f"{tars[source][-1]}: {seen} images at guidance {guidance}, but a run needs {needed}")
    return Pairs(stream.Stored(blocks), [part["images"] for part in parts], digest.hexdigest())


def _texts(tar: str, guidance: float | None) -> pa.ChunkedArray:
    return _rows(manifest_path(tar).read_bytes(), ["prompt"], guidance)["prompt"]


class Reader(Dataset):
    """Reads a batch: its item is a Draw.

    prepare: of a PIL image in RGB; tokenize: of texts. seed: the random numbers of `prepare` follow from it, the pass and the pair, so that
    neither workers nor ranks matter; None: they go on from where the process is.
    """

    def __init__(self, images: stream.Stored, prepare: Callable, tokenize: Callable, seed: int | None):
        self.images, self.prepare, self.tokenize, self.seed = images, prepare, tokenize, seed
        self.texts = lru_cache(maxsize=2 * WINDOW)(_texts)  # as places of images are kept: 260 MB, at 80 bytes a text and 100,000 a block

    def pair(self, position: int) -> tuple[Image.Image, str]:
        block, row = self.images.locate(position)
        pixels = self.images.read(torch.tensor([position]))[0][0].numpy()
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        return image.convert("RGB"), self.texts(block.tar, block.guidance)[row].as_py()

    def __getitem__(self, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, 3, H, W) and tokens (N, context_length)."""
        images, tokens = [], []
        for number, position in zip(*map(torch.Tensor.tolist, draw), strict=True):
            image, text = self.pair(position)
            if self.seed is not None:
                random.seed(stream.mixed(position, self.seed, number))
            images.append(self.prepare(image))
            tokens.append(self.tokenize(text)[0])
        return torch.stack(images), torch.stack(tokens)


def interleaved(counts: list[int]) -> np.ndarray:
    """Order (N,) of parts laid end to end that mixes them evenly: every stretch holds them in proportion."""
    return np.argsort(np.concatenate([(np.arange(count) + 0.5) / count for count in counts]), kind="stable")


def window(counts: list[int], batch_size: int, generator: random.Random) -> Iterator[Draw]:
    """Batches without end from a window of 5,000 over endless passes, parts interleaved: how open_clip's trainer goes through a single tar."""
    endless = itertools.cycle(interleaved(counts).tolist())
    # webdataset's own, as the trainer calls it
    positions = webdataset.filters._shuffle(endless, 5000, 1000, generator)
    while True:
        yield torch.zeros(batch_size, dtype=torch.long), torch.tensor(list(itertools.islice(positions, batch_size)))


class Loader:
    """Batches of a run for open_clip's trainer, which calls it both a data set and its loader, and the parts of a training epochs.

    order: the study's. batch_size: of all ranks together; a rank goes through its share in `turns`. generator: of the order `window`.
    """

    def __init__(self, pairs: Pairs, reader: Reader, order: str, seed: int, batch_size: int, iterations: int, turns: int, rank: int, ranks: int, workers: int):
        self.pairs, self.reader, self.order, self.seed = pairs, reader, order, seed
        self.batch_size, self.iterations, self.turns = batch_size, iterations, turns
        self.rank, self.ranks, self.workers = rank, ranks, workers
        self.num_batches, self.num_samples, self.dataloader = iterations * turns, iterations * batch_size, self
        self.generator = random.Random()  # noqa: S311  (no secret)

    def set_epoch(self, part: int) -> None:
        self.part = part

    def draws(self) -> Iterator[Draw]:
        """What this rank reads in the part."""
        if self.order == "window":
            yield from itertools.islice(window(self.pairs.counts, self.batch_size // self.turns, self.generator), self.num_batches)
            return
        order, own = Order(self.pairs.images.sizes, self.seed), self.batch_size // self.ranks
        for iteration in range(self.part * self.iterations, (self.part + 1) * self.iterations):
            start = iteration * self.batch_size + self.rank * own
            for turn in range(self.turns):
                yield order.take(start + turn * (own // self.turns), start + (turn + 1) * (own // self.turns))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if not self.workers:
            return map(self.reader.__getitem__, self.draws())
        # A generator of its own, for the loader would draw from that of the training. Batches, not pairs, are handed to the workers.
        own = torch.Generator().manual_seed(0)
        return iter(DataLoader(self.reader, None, sampler=self.draws(), num_workers=self.workers, generator=own, pin_memory=torch.cuda.is_available()))
