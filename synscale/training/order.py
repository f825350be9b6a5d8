"""The order in which a training reads its images: epochs, shuffled some shards at a time."""

from bisect import bisect_right
from itertools import accumulate

import torch

from synscale.data.shuffle_buffer import Shuffle

# Shards whose images are shuffled with one another (our choice): 400,000 images if a shard has
# 25,600.
OPEN_SHARDS = 16


def combine_seeds(*numbers: int) -> int:
    """Return a seed that follows from several numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % (1 << 63)
    return seed


def _generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(combine_seeds(*numbers))


def _permutation(n: int, *numbers: int) -> torch.Tensor:
    return torch.randperm(n, generator=_generator(*numbers))


class Order:
    """The positions that a training reads, epoch after epoch; each epoch has every image once.

    An epoch puts the shards in a random order, and opens `open_shards` of them at a time. If the
    set has at most `shuffle.plain` images, those of the open shards are shuffled directly,
    otherwise in chunks and lanes (`data/shuffle_buffer.py`). The order follows from the seed and
    the place in the stream only.

    Parameters
    ----------
    sizes : list of int
        Images of each shard.
    seed : int
    open_shards : int
        Shards that are open at a time.
    shuffle : Shuffle
        Sizes of chunks and lanes.
    """

    def __init__(
        self,
        sizes: list[int],
        seed: int,
        open_shards: int = OPEN_SHARDS,
        shuffle: Shuffle | None = None,
    ):
        self.sizes = torch.tensor(sizes)
        self.seed = seed
        self.open_shards = open_shards
        self.shuffle = shuffle or Shuffle()
        self.starts = self.sizes.cumsum(0) - self.sizes
        self.total = sum(sizes)
        self.epoch = self.window = -1  # none yet

    def take(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a part of the stream of all epochs.

        Parameters
        ----------
        start, stop : int
            Places in the stream, half-open.

        Returns
        -------
        epochs, positions : Tensor, shape (stop - start,), int64
        """
        epochs, positions = [], []
        while start < stop:
            epoch, place = divmod(start, self.total)
            self._go_to(epoch, place)
            skip = place - self.ends[self.window] + len(self.shuffled)
            positions.append(self.shuffled[skip : skip + stop - start])
            epochs.append(torch.full_like(positions[-1], epoch))
            start += len(positions[-1])
        return torch.cat(epochs), torch.cat(positions)

    def _go_to(self, epoch: int, place: int) -> None:
        count = len(self.sizes)
        if epoch != self.epoch:
            windows = -(-count // self.open_shards)
            shards = torch.arange(count)
            if windows > 1:
                shards = _permutation(count, windows, self.seed, epoch)
            self.epoch = epoch
            self.window = -1
            self.windows = shards.split(self.open_shards)
            self.ends = list(accumulate(int(self.sizes[window].sum()) for window in self.windows))
        window = bisect_right(self.ends, place)
        if window == self.window:
            return
        self.window = window
        bounds = [(self.starts[shard], self.sizes[shard]) for shard in self.windows[window]]
        ranges = [torch.arange(start, start + size) for start, size in bounds]
        images = sum(map(len, ranges))
        if self.total <= self.shuffle.plain:
            self.shuffled = torch.cat(ranges)[_permutation(images, window, self.seed, epoch)]
        else:
            first = epoch * self.total + self.ends[window] - images
            self.shuffled = self._in_lanes(ranges, first, _generator(window, self.seed, epoch))

    def _in_lanes(
        self, ranges: list[torch.Tensor], first: int, random: torch.Generator
    ) -> torch.Tensor:
        """Return the images of the open shards in the order in which they are read.

        Rows begin at multiples of `shuffle.row` in the stream of all epochs, so that a process
        whose share of a batch is the same in every step keeps its lanes. The images that fill
        no row are read before the first row and after the last one, in the order of their chunks.

        Parameters
        ----------
        ranges : list of Tensor
            Positions of the images of each shard.
        first : int
            Place of their first image in the stream.
        random : Generator
        """
        sizes = self.shuffle
        images = sum(map(len, ranges))
        chunks = [chunk for positions in ranges for chunk in positions.split(sizes.chunk)]
        permutation = torch.randperm(len(chunks), generator=random).tolist()
        sequence = torch.cat([chunks[place] for place in permutation])
        before = -first % sizes.row
        rows = max(0, images - before) // sizes.row
        length = rows * sizes.stripe
        lanes = sequence[: sizes.lanes * length].view(sizes.lanes, length)
        rest = sequence[sizes.lanes * length :]
        # Buffers of different lanes end in different rows, so that reads are spread over time.
        delay = torch.arange(sizes.lanes)[:, None] * sizes.lane_images // sizes.lanes
        buffers = (torch.arange(length)[None] - delay).div(sizes.lane_images, rounding_mode="floor")
        noise = torch.rand(sizes.lanes, length, generator=random, dtype=torch.float64)
        within = (buffers + noise).argsort(dim=1, stable=True)
        rowwise = lanes.gather(1, within).view(sizes.lanes, rows, sizes.stripe).transpose(0, 1)
        return torch.cat([rest[:before], rowwise.flatten(), rest[before:]])
