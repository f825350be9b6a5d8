"""Stream images from shards: shuffled for training, sequential for evaluation.

Memory does not grow with the number of images. Both kinds of `Images` give the same batches.

open_images       the first images of a source at a guidance scale
load_into_memory  the same images, decoded once if they fit
iter_training     batches of a training, shuffled in epochs
iter_encoded      the same images, as they are stored
iter_sequential   batches of an evaluation, in order
iter_at           batches of given positions
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from synscale.data.shuffle_buffer import Shuffle, images_per_chunk
from synscale.training.chunk_reader import ChunkReader, Draw, Item, read_ahead
from synscale.training.image_index import ShardSlice
from synscale.training.image_sets import (
    Images,
    InMemoryImages,
    ShardedImages,
    load_into_memory,
    open_images,
    stack_images,
)
from synscale.training.order import OPEN_SHARDS, Order, combine_seeds

__all__ = [
    "Batch",
    "Images",
    "InMemoryImages",
    "ShardSlice",
    "ShardedImages",
    "evaluation_batch_size",
    "iter_at",
    "iter_encoded",
    "iter_sequential",
    "iter_training",
    "load",
    "load_into_memory",
    "open_images",
]

Transform = Callable[[torch.Tensor], torch.Tensor]  # image to image, uint8 (C, H, W)

# Images that a CPU evaluates at a time: their floats, 19 MB at 224 px, stay near its caches and
# below the 32 MB from which malloc takes every array from the system. Batches of smaller images
# than SMALL have as many pixels as 32 of SMALL, because each batch has a fixed cost.
ON_CPU = 32
SMALL = 64 * 64  # pixels


class Batch(NamedTuple):
    """Images that were read.

    images: shape (N, C, H, W), uint8, or the output of the transform. class_ids: shape (N,).
    positions: shape (N,), in the set that was read; of an evaluation set, rows of its manifest.
    """

    images: torch.Tensor
    class_ids: torch.Tensor
    positions: torch.Tensor


class _Reader(Dataset):
    """Reads a batch: its item is a Draw or an Item. `finish` is applied to each batch."""

    def __init__(
        self,
        images: Images,
        transform: Transform | None,
        seed: int = 0,
        finish: Callable[[Batch], NamedTuple] | None = None,
    ):
        self.images = images
        self.transform = transform
        self.seed = seed
        self.finish = finish

    def __getitem__(self, item: Draw | Item) -> NamedTuple:
        epochs, positions = map(torch.as_tensor, item[:2])
        batch = self._read(epochs, positions, item[2] if len(item) > 2 else None)
        return self.finish(batch) if self.finish else batch

    def _read(self, epochs: torch.Tensor, positions: torch.Tensor, encoded) -> Batch:
        if self.transform is None:
            return Batch(*self.images.read(positions, encoded), positions)
        # Seeds of single images, so that neither workers nor ranks change the result.
        draws = zip(epochs.tolist(), positions.tolist(), strict=True)
        seeds = [combine_seeds(position, self.seed, epoch) for epoch, position in draws]
        of_batch = getattr(self.transform, "of_batch", None)
        with torch.random.fork_rng(devices=[]):
            if of_batch and isinstance(self.images, InMemoryImages):
                pixels, class_ids = self.images.read(positions)
                return Batch(of_batch(pixels, seeds), class_ids, positions)
            transformed = self._transformed(self.images.each(positions, encoded), seeds)
            return Batch(*stack_images(transformed, len(positions)), positions)

    def _transformed(
        self, images: Iterable[tuple[torch.Tensor, int]], seeds: list[int]
    ) -> Iterator[tuple[torch.Tensor, int]]:
        transform = self.transform or torch.nn.Identity()
        for (image, class_id), seed in zip(images, seeds, strict=True):
            torch.default_generator.manual_seed(seed)
            yield transform(image), class_id  # while it is in the cache


def _read(reader: _Reader, items: Iterable, workers: int) -> Iterator[Batch]:
    if not workers or (isinstance(reader.images, InMemoryImages) and reader.transform is None):
        return (reader[item] for item in items)  # type: ignore[misc]
    return load(reader, items, workers)


def load(reader: Dataset, items: Iterable[Draw | Item], workers: int) -> Iterator:
    """Return the item of a reader for each of its inputs, read by worker processes.

    Parameters
    ----------
    reader : Dataset
    items : iterable of Draw or Item
    workers : int
        At least 1.

    Returns
    -------
    iterator
        In the order of the items, in pinned memory if there is a GPU.
    """

    def as_sent(item: Draw | Item) -> Item | tuple:
        return item if isinstance(item, Item) else tuple(part.numpy() for part in item)

    # A separate generator: the loader would use the training's. Workers get batches, not images.
    loader = DataLoader(
        reader,
        batch_size=None,
        sampler=map(as_sent, items),
        num_workers=workers,
        generator=torch.Generator().manual_seed(0),
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


def iter_encoded(
    images: Images,
    batch_size: int,
    iterations: int,
    seed: int,
    start: int = 0,
    rank: int = 0,
    ranks: int = 1,
    open_shards: int = OPEN_SHARDS,
    shuffle: Shuffle | None = None,
) -> Iterator[Draw | Item]:
    """Yield the images of every step from `start` on, in an order that follows from the seed.

    Parameters
    ----------
    images : ShardedImages or InMemoryImages
    batch_size : int
        Images of a step, over all ranks.
    iterations : int
        Steps of the training.
    seed : int
    start : int
        First step.
    rank, ranks : int
        This process and the number of processes, each of which has an equal share of a batch.
    open_shards : int
        Shards that are open, and shuffled with one another, at a time.
    shuffle : Shuffle, optional
        Sizes of the shuffle buffer. A training passes `shuffle_for` of its batch size, so that
        several processes read different chunks.

    Returns
    -------
    iterator of Item or Draw
        One per step: Items, which contain the images as they are stored, or Draws if the images
        are in memory.

    Raises
    ------
    ValueError
        If the number of ranks does not divide the batch size.
    """
    if batch_size % ranks:
        problem = f"must be divisible by the number of processes ({ranks})"
        fix = "use a number of GPUs that divides it"
        raise ValueError(f"batch_size ({batch_size}) {problem}; {fix}")
    shuffle = shuffle or Shuffle(chunk=images_per_chunk(images.image_bytes))
    order = Order(images.sizes, seed, open_shards, shuffle)
    share = batch_size // ranks
    starts = (step * batch_size + rank * share for step in range(start, iterations))
    draws = (order.take(first, first + share) for first in starts)
    if isinstance(images, InMemoryImages):
        return draws
    return read_ahead(ChunkReader(images.shards, shuffle, ranks), draws)


def iter_training(
    images: Images,
    batch_size: int,
    iterations: int,
    seed: int,
    start: int = 0,
    transform: Transform | None = None,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
    open_shards: int = OPEN_SHARDS,
    shuffle: Shuffle | None = None,
    finish: Callable[[Batch], NamedTuple] | None = None,
) -> Iterator[Batch]:
    """Return this rank's share of the batch of every step, as `iter_encoded`, decoded.

    Parameters
    ----------
    images, batch_size, iterations, seed, start, rank, ranks, open_shards, shuffle
        As of `iter_encoded`.
    transform : callable, optional
        Of one image, uint8 (C, H, W); its random numbers follow from seed, epoch and image.
    workers : int
        Processes that decode and transform; 0: this one.
    finish : callable, optional
        Applied to each batch by the process that reads it.

    Returns
    -------
    iterator of Batch
    """
    steps = batch_size, iterations, seed, start
    items = iter_encoded(images, *steps, rank, ranks, open_shards, shuffle)
    return _read(_Reader(images, transform, seed, finish), items, workers)


def evaluation_batch_size(largest: int, device: torch.device, images: Images) -> int:
    """Return how many images of a set a device evaluates at a time. Results do not depend on it.

    Parameters
    ----------
    largest : int
        The number on a GPU.
    device : torch.device
    images : Images
    """
    pixels = images.read(torch.tensor([0]))[0][0, 0].numel() if device.type == "cpu" else 0
    return min(largest, ON_CPU * max(1, SMALL // pixels)) if pixels else largest


def iter_sequential(
    images: Images,
    batch_size: int,
    transform: Transform | None = None,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Batch]:
    """Return every image once, in order.

    Parameters
    ----------
    images : Images
    batch_size : int
    transform : callable, optional
        Of one image, uint8 (C, H, W).
    workers : int
        Processes that decode and transform; 0: this one.
    rank, ranks : int
        This process and the number of processes, each of which reads every ranks-th batch.

    Returns
    -------
    iterator of Batch
    """
    starts = range(rank * batch_size, len(images), ranks * batch_size)
    positions = (torch.arange(start, min(start + batch_size, len(images))) for start in starts)
    return iter_at(images, positions, transform, workers)


def iter_at(
    images: Images,
    positions: Iterable[torch.Tensor],
    transform: Transform | None = None,
    workers: int = 0,
) -> Iterator[Batch]:
    """Return a batch for each vector of positions.

    Parameters
    ----------
    positions : iterable of Tensor, shape (N,)
    images, transform, workers
        As of `iter_sequential`.
    """
    draws = ((torch.zeros_like(batch), batch) for batch in positions)
    return _read(_Reader(images, transform), draws, workers)
