"""In which order a training goes through its images: shuffled anew each epoch, with only a few blocks open at a time."""

from bisect import bisect_right
from itertools import accumulate

import torch

WINDOW = 16  # blocks whose images are shuffled with one another (ours): 400,000 images where a block has 25,600


def mixed(*numbers: int) -> int:
    """A seed made of several numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % (1 << 63)
    return seed


def _permutation(n: int, *numbers: int) -> torch.Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(mixed(*numbers)))


class Order:
    """The positions that a training goes through, epoch after epoch, each with every image once.

    An epoch puts the blocks in a random order, cuts it into groups of `window`, and shuffles the images of each group: only those of one
    group are ever held. A set of one group is simply shuffled. All follows from the seed and the place in the stream.
    """

    def __init__(self, sizes: list[int], seed: int, window: int = WINDOW):
        self.sizes, self.seed, self.window = torch.tensor(sizes), seed, window
        self.starts, self.total = self.sizes.cumsum(0) - self.sizes, sum(sizes)
        self.epoch = self.group = None

    def take(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Epochs and positions, each (stop - start,), of this stretch of the stream."""
        epochs, positions = [], []
        while start < stop:
            epoch, place = divmod(start, self.total)
            self._go_to(epoch, place)
            skip = place - self.ends[self.group] + len(self.shuffled)
            positions.append(self.shuffled[skip : skip + stop - start])
            epochs.append(torch.full_like(positions[-1], epoch))
            start += len(positions[-1])
        return torch.cat(epochs), torch.cat(positions)

    def _go_to(self, epoch: int, place: int) -> None:
        count = len(self.sizes)
        if epoch != self.epoch:
            groups = -(-count // self.window)
            blocks = torch.arange(count) if groups == 1 else _permutation(count, groups, self.seed, epoch)
            self.epoch, self.group, self.groups = epoch, None, blocks.split(self.window)
            self.ends = list(accumulate(int(self.sizes[group].sum()) for group in self.groups))
        group = bisect_right(self.ends, place)
        if group != self.group:
            own = torch.cat([torch.arange(self.starts[b], self.starts[b] + self.sizes[b]) for b in self.groups[group]])
            self.group, self.shuffled = group, own[_permutation(len(own), group, self.seed, epoch)]
