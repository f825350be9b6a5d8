"""Read the images of a training in chunks: few large reads instead of one small read per image.

One reader in each training process keeps the chunks of its lanes (`shuffle_buffer`) and hands the
stored bytes of every batch to the processes that decode them, so that those need no buffer.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from synscale.data.shuffle_buffer import READ_AHEAD, Shuffle
from synscale.training import image_index
from synscale.training.image_index import HASH, ShardSlice

Draw = tuple[torch.Tensor, torch.Tensor]  # epochs and positions of a batch, each (N,)


class Encoded(NamedTuple):
    """Images of a batch as they are stored."""

    data: list[bytes]
    class_ids: np.ndarray  # (N,), int64
    hashes: bytes  # N sha256, one after the other

    def sha256(self, place: int) -> bytes:
        """Return the hash of an image that its manifest records."""
        return self.hashes[HASH * place : HASH * (place + 1)]


class Chunk:
    """Bytes of consecutive images, kept until each of them was asked for."""

    def __init__(self, index: image_index.Index, first: int, last: int):
        self.index, self.left = index, last - first
        self.data, self.offset = index.read_bytes(first, last)

    def image(self, row: int) -> bytes:
        """Return the bytes of an image; too few if the tar ends within it."""
        start = max(0, int(self.index.offsets[row]) - self.offset)
        return self.data[start : start + int(self.index.sizes[row])]


class ChunkReader:
    """Reads images in the order of a training.

    A chunk is dropped after its last image. If another process reads some of its images, it is
    dropped once this process has read twice its part of the shuffle buffer without it.

    Parameters
    ----------
    shards : list of ShardSlice
        Shards, in the order of the positions.
    shuffle : Shuffle
        Sizes that the order was made with.
    ranks : int
        Processes that share each batch.
    """

    def __init__(self, shards: list[ShardSlice], shuffle: Shuffle, ranks: int = 1):
        self.shards, self.images_per_chunk = shards, shuffle.chunk
        self.ends = np.cumsum([shard.images for shard in shards]).tolist()
        self.patience = 2 * max(shuffle.buffer_images, shuffle.plain) // ranks
        self.chunks: OrderedDict[tuple[int, int], tuple[Chunk, int]] = OrderedDict()
        self.images = 0

    def fetch(self, positions: Iterable[int]) -> Encoded:
        """Return the images at these positions, and their classes and hashes.

        Parameters
        ----------
        positions : iterable of int

        Returns
        -------
        Encoded
        """
        data, class_ids, hashes = [], [], []
        for position in positions:
            place = bisect_right(self.ends, position)
            shard = self.shards[place]
            number = position - self.ends[place] + shard.images
            chunk = self._chunk(place, number // self.images_per_chunk)
            row = shard.start + number
            data.append(chunk.image(row))
            class_ids.append(int(chunk.index.class_ids[row]))
            hashes.append(chunk.index.sha256(row))
        self._drop_unused()
        return Encoded(data, np.array(class_ids, np.int64), b"".join(hashes))

    def _chunk(self, place: int, number: int) -> Chunk:
        chunk, _ = self.chunks.pop((place, number), (None, 0))
        if chunk is None:
            shard, size = self.shards[place], self.images_per_chunk
            index = image_index.open_index(shard.tar, shard.guidance)
            first, last = number * size, min((number + 1) * size, shard.images)
            chunk = Chunk(index, shard.start + first, shard.start + last)
        self.images += 1
        chunk.left -= 1
        if chunk.left:
            self.chunks[place, number] = chunk, self.images  # the most recently used is the last
        return chunk

    def _drop_unused(self) -> None:
        while self.chunks:
            oldest, (_, used) = next(iter(self.chunks.items()))
            if self.images - used <= self.patience:
                return
            del self.chunks[oldest]


class Item(NamedTuple):
    """Input of a process that decodes. Arrays, because tensors would be sent as open files."""

    epochs: np.ndarray  # (N,)
    positions: np.ndarray  # (N,)
    encoded: Encoded


def read_ahead(
    reader: ChunkReader, draws: Iterable[Draw], batches: int = READ_AHEAD
) -> Iterator[Item]:
    """Read the images of each draw in a thread, some batches before they are needed.

    Parameters
    ----------
    reader : ChunkReader
    draws : iterable of Draw
    batches : int
        Batches that are read ahead.

    Yields
    ------
    Item
    """
    rest = iter(draws)

    def read_next() -> Item | None:
        draw = next(rest, None)
        if draw is None:
            return None
        epochs, positions = (numbers.numpy() for numbers in draw)
        return Item(epochs, positions, reader.fetch(positions.tolist()))

    thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
    try:
        pending = deque(thread.submit(read_next) for _ in range(batches + 1))
        while (item := pending.popleft().result()) is not None:
            pending.append(thread.submit(read_next))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
