"""Images read one by one out of their blocks: shuffled to train on them, in order to judge them. Memory does not grow with their number.

find   the first images of a source at a guidance scale
hold   the same, decoded into memory once where they fit
batches, ordered, chosen   what a training, an evaluation, a score reads; both kinds give the same
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset

from scripts.lib.images import decoded
from scripts.lib.order import WINDOW, Order, mixed
from scripts.lib.shards import ShardError, manifest_path

IN_MEMORY = 1 << 30  # bytes of pixels that `hold` takes at most
# Images that a CPU judges at a time: their floats, 19 MB at 224 px, stay near its caches and below the 32 MB from which malloc takes every array anew
# from the system, page by page (0.9 ms an image of 224 px in batches of 64 or more, 0.1 in these).
ON_CPU = 32
MEND = "remove both files and make them again"
COLUMNS = ["class_id", "offset", "size", "sha256"]


class Batch(NamedTuple):
    images: torch.Tensor  # (N, C, H, W): uint8, or what the transform makes of it
    class_ids: torch.Tensor  # (N,)
    positions: torch.Tensor  # (N,) in the set that was read: of an evaluation set, rows of its manifest


class Block(NamedTuple):
    """`images` images of a tar at a guidance scale (None: real images), from number `start` on."""

    tar: str
    guidance: float | None
    images: int
    start: int = 0


def _manifest(tar: str, columns: list[str], guidance: float | None) -> dict[str, np.ndarray]:
    """Columns of the rows at a guidance scale, in the order of the tar."""
    file = pq.ParquetFile(manifest_path(tar))
    names = set(file.schema_arrow.names)
    if missing := [name for name in columns if name not in names]:
        raise ShardError(f"{manifest_path(tar)}: no columns {', '.join(missing)}: {MEND}")
    if (guidance is None) == ("guidance" in names):
        told = "several guidance scales, of which none was asked for" if guidance is None else f"real images, which have no guidance {guidance}"
        raise ShardError(f"{tar}: holds {told}")
    table = file.read(columns=[*columns, *(["guidance"] if guidance is not None else [])], use_threads=False)
    found = {name: table[name].to_numpy() for name in table.column_names}
    chosen = slice(None) if guidance is None else found.pop("guidance") == guidance
    return {name: values[chosen] for name, values in found.items()}


class Index:
    """Where the images of a tar at a guidance scale lie. 64 bytes an image are held, and the open file."""

    def __init__(self, tar: str, guidance: float | None):
        own = _manifest(tar, COLUMNS, guidance)
        self.tar, self.guidance = tar, guidance
        self.class_ids, self.offsets, self.sizes = (own[name].astype(np.int64) for name in COLUMNS[:3])
        self.hashes = bytes.fromhex("".join(own["sha256"]))
        self.last = None  # pixels that were read last: the next are put into their place
        self.file = open(tar, "rb", buffering=0)  # noqa: SIM115  (open as long as the index is held)

    def __del__(self):
        if hasattr(self, "file"):
            self.file.close()

    def read(self, row: int) -> torch.Tensor:
        """Pixels of an image, uint8 (C, H, W): good until the next is read, which may be put into their place.

        Raises ShardError where its bytes are not those that the manifest names.
        """
        data = os.pread(self.file.fileno(), int(self.sizes[row]), int(self.offsets[row]))
        if hashlib.sha256(data).digest() != self.hashes[32 * row : 32 * row + 32]:
            key = _manifest(self.tar, ["key"], self.guidance)["key"][row]
            raise ShardError(f"{self.tar}: image {key!r} has another sha256 than its manifest says: {MEND}")
        pixels = self.last = decoded(data, self.last)
        return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)  # a view: crops of it are as fast, and a copy is not


# Of each process. Two windows, for a batch can hold the end of one and the beginning of the next.
_index = lru_cache(maxsize=2 * WINDOW)(Index)


def _cut(sizes: Iterable[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Place of each block of which something is left between image `start` and image `stop`, its first image there, and how many."""
    ends = list(accumulate(sizes))
    stretches = [(place, max(start - begin, 0), min(stop, end) - max(start, begin)) for place, (begin, end) in enumerate(zip([0, *ends], ends, strict=False))]
    return [stretch for stretch in stretches if stretch[2] > 0]


def _filled(images: Iterator[tuple[torch.Tensor, int]], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` images of one shape, and their class ids (N,), into a place that is taken at once: an image is held twice, not a batch."""
    class_ids = torch.empty(count, dtype=torch.long)
    for place, (image, class_id) in enumerate(images):
        if not place:
            pixels = torch.empty(count, *image.shape, dtype=image.dtype)
        if image.shape != pixels.shape[1:]:  # one that is grey would be taken for all three channels
            raise ValueError(f"images of shapes {tuple(pixels.shape[1:])} and {tuple(image.shape)} in one batch: all of a source must be stored alike")
        pixels[place], class_ids[place] = image, class_id
    return pixels, class_ids


class Stored:
    """Images in their tars."""

    def __init__(self, blocks: list[Block]):
        self.blocks = blocks
        self.sizes = [block.images for block in blocks]
        self.ends = list(accumulate(self.sizes))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def class_ids(self) -> torch.Tensor:
        own = [_index(block.tar, block.guidance).class_ids[block.start : block.start + block.images] for block in self.blocks]
        return torch.cat([torch.from_numpy(class_ids) for class_ids in own])

    def locate(self, position: int) -> tuple[Block, int]:
        """Block of an image, and its number in the tar at the block's guidance scale."""
        place = bisect_right(self.ends, position)
        block = self.blocks[place]
        return block, position - self.ends[place] + block.images + block.start

    def each(self, positions: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        """Pixels, uint8 (C, H, W), and class id, one image at a time: of the one before nothing is left (`Index.read`)."""
        for position in positions.tolist():
            block, row = self.locate(position)
            index = _index(block.tar, block.guidance)
            yield index.read(row), int(index.class_ids[row])

    def read(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels, uint8 (N, C, H, W), and class ids (N,)."""
        return _filled(self.each(positions), len(positions))

    def first(self, images: int) -> "Stored":
        return self.between(0, images)

    def between(self, start: int, stop: int) -> "Stored":
        """Images `start` to `stop` (half-open)."""
        cut = _cut(self.sizes, start, stop)
        return Stored([self.blocks[place]._replace(images=images, start=self.blocks[place].start + skipped) for place, skipped, images in cut])

    @staticmethod
    def join(parts: list["Stored"]) -> "Stored":
        return Stored([block for part in parts for block in part.blocks])


class Held:
    """Images in memory: pixels, uint8 (N, C, H, W), and class ids (N,). sizes: of the blocks that they came from."""

    def __init__(self, sizes: list[int], pixels: torch.Tensor, class_ids: torch.Tensor):
        self.sizes, self.pixels, self.class_ids = sizes, pixels, class_ids

    def __len__(self) -> int:
        return len(self.class_ids)

    def each(self, positions: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        return ((self.pixels[position], int(self.class_ids[position])) for position in positions.tolist())

    def read(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pixels[positions], self.class_ids[positions]

    def first(self, images: int) -> "Held":
        return self.between(0, images)

    def between(self, start: int, stop: int) -> "Held":
        """Images `start` to `stop` (half-open)."""
        sizes = [images for _, _, images in _cut(self.sizes, start, stop)]
        return Held(sizes, self.pixels[start:stop], self.class_ids[start:stop])

    @staticmethod
    def join(parts: list["Held"]) -> "Held":
        sizes = [size for part in parts for size in part.sizes]
        return Held(sizes, torch.cat([part.pixels for part in parts]), torch.cat([part.class_ids for part in parts]))


Images = Stored | Held


def find(tars: list[str], guidance: float | None = None, images: int | None = None) -> Stored:
    """The first `images` images (all by default) at a guidance scale (None: real images) of a source whose tars are given in order.

    Raises ShardError where there are fewer.
    """
    blocks, left = [], float("inf") if images is None else images
    for tar in map(str, tars):
        if left <= 0:
            break
        count = pq.read_metadata(manifest_path(tar)).num_rows if guidance is None else len(_manifest(tar, ["image"], guidance)["image"])
        blocks.append(Block(tar, guidance, int(min(count, left))))
        left -= count
    if images is not None and left > 0:
        raise ShardError(f"{tars[-1]}: {images - left} images at guidance {guidance} in it and the tars before it, where {images} are needed: {MEND}")
    return Stored([block for block in blocks if block.images])


def hold(sets: list[Stored], most: int = IN_MEMORY, batch_size: int = 256) -> list[Images]:
    """The same sets, decoded into memory where all of them together fit into `most` bytes."""
    needed = sum(len(images) * images.read(torch.tensor([0]))[0].numel() for images in sets if len(images))
    if needed > most:
        return list(sets)
    held = []
    for images in sets:
        read = [images.read(positions) for positions in torch.arange(len(images)).split(batch_size)]
        held.append(Held(images.sizes, *map(torch.cat, zip(*read, strict=True))))
    return held


class _Reader(Dataset):
    """Reads a batch: its item is (epochs, positions), as tensors or, as they are sent to workers, as arrays."""

    finish = None  # of a batch: what is returned in its place

    def __init__(self, images: Images, transform: Callable[[torch.Tensor], torch.Tensor] | None, seed: int):
        self.images, self.transform, self.seed = images, transform, seed

    def __getitem__(self, item: tuple[torch.Tensor, torch.Tensor]):
        batch = self._read(*map(torch.as_tensor, item))
        return self.finish(batch) if self.finish else batch

    def _read(self, epochs: torch.Tensor, positions: torch.Tensor) -> Batch:
        if self.transform is None:
            return Batch(*self.images.read(positions), positions)
        with torch.random.fork_rng(devices=[]):
            return Batch(*_filled(self._transformed(epochs.tolist(), positions), len(positions)), positions)

    def _transformed(self, epochs: list[int], positions: torch.Tensor) -> Iterator[tuple[torch.Tensor, int]]:
        for (image, class_id), epoch, position in zip(self.images.each(positions), epochs, positions.tolist(), strict=True):
            torch.default_generator.manual_seed(mixed(position, self.seed, epoch))  # so that neither workers nor ranks matter
            yield self.transform(image), class_id  # while it is in the cache


def _read(reader: _Reader, items: Iterable, workers: int) -> Iterator[Batch]:
    if not workers or (isinstance(reader.images, Held) and reader.transform is None):
        return (reader[item] for item in items)
    # A generator of its own, for the loader would draw from that of the training. Batches, not images, are handed to the workers.
    own, sent = torch.Generator().manual_seed(0), ((epochs.numpy(), positions.numpy()) for epochs, positions in items)
    return iter(DataLoader(reader, batch_size=None, sampler=sent, num_workers=workers, generator=own, pin_memory=torch.cuda.is_available()))


def batches(
    images: Images,
    batch_size: int,
    iterations: int,
    seed: int,
    start: int = 0,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
    window: int = WINDOW,
    finish: Callable[[Batch], NamedTuple] | None = None,
) -> Iterator[Batch]:
    """The batch, or of several ranks this rank's share of it, of every iteration from `start` on, in an order that follows from the seed.

    batch_size: of all ranks together. transform: of one image, uint8 (C, H, W); its random numbers follow from seed, epoch and image.
    finish: applied to each batch by the process that reads it.
    """
    if batch_size % ranks:
        raise ValueError(f"batch_size = {batch_size}: cannot be shared equally by {ranks} processes: take a number of GPUs that divides it")
    order, own = Order(images.sizes, seed, window), batch_size // ranks
    starts = (iteration * batch_size + rank * own for iteration in range(start, iterations))
    reader = _Reader(images, transform, seed)
    reader.finish = finish
    return _read(reader, (order.take(first, first + own) for first in starts), workers)


def at_once(largest: int, device: torch.device) -> int:
    """Images that a device judges at a time. largest: on a GPU. What is said of an image does not depend on it."""
    return min(largest, ON_CPU) if device.type == "cpu" else largest


def ordered(
    images: Images, batch_size: int, transform: Callable[[torch.Tensor], torch.Tensor] | None = None, workers: int = 0, rank: int = 0, ranks: int = 1
) -> Iterator[Batch]:
    """Every image once, in order. Of several ranks, each reads every ranks-th batch."""
    starts = range(rank * batch_size, len(images), ranks * batch_size)
    return chosen(images, (torch.arange(start, min(start + batch_size, len(images))) for start in starts), transform, workers)


def chosen(
    images: Images, positions: Iterable[torch.Tensor], transform: Callable[[torch.Tensor], torch.Tensor] | None = None, workers: int = 0
) -> Iterator[Batch]:
    """A batch for each vector of positions."""
    return _read(_Reader(images, transform, 0), ((torch.zeros_like(own), own) for own in positions), workers)
