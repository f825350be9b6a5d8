"""Sets of training or evaluation images: in their shards, or decoded in memory."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

import pyarrow.parquet as pq
import torch

from synscale.data.shards import ShardError, manifest_path
from synscale.data.shuffle_buffer import IN_MEMORY
from synscale.training import image_index
from synscale.training.chunk_reader import Encoded
from synscale.training.image_index import REGENERATE, ShardSlice


def _cut(sizes: Iterable[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Place of each shard of which something is left between image `start` and image `stop`, its
    first image there, and how many.
    """
    ends = list(accumulate(sizes))
    stretches = [
        (place, max(start - begin, 0), min(stop, end) - max(start, begin))
        for place, (begin, end) in enumerate(zip([0, *ends], ends, strict=False))
    ]
    return [stretch for stretch in stretches if stretch[2] > 0]


def filled(
    images: Iterator[tuple[torch.Tensor, int]], count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` images of one shape, and their class ids (N,), into a place that is taken at once: an
    image is held twice, not a batch.
    """
    class_ids = torch.empty(count, dtype=torch.long)
    for place, (image, class_id) in enumerate(images):
        if not place:
            pixels = torch.empty(count, *image.shape, dtype=image.dtype)
        if (
            image.shape != pixels.shape[1:]
        ):  # one that is grey would be taken for all three channels
            raise ValueError(
                f"images of shapes {tuple(pixels.shape[1:])} and {tuple(image.shape)} in one batch: all of a source must be stored alike"
            )
        pixels[place], class_ids[place] = image, class_id
    return pixels, class_ids


class ShardedImages:
    """Images in their tars."""

    def __init__(self, shards: list[ShardSlice]):
        self.shards = shards
        self.sizes = [shard.images for shard in shards]
        self.ends = list(accumulate(self.sizes))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def class_ids(self) -> torch.Tensor:
        own = [
            image_index.open_index(shard.tar, shard.guidance).class_ids[
                shard.start : shard.start + shard.images
            ]
            for shard in self.shards
        ]
        return torch.cat([torch.from_numpy(class_ids) for class_ids in own])

    def locate(self, position: int) -> tuple[ShardSlice, int]:
        """ShardSlice of an image, and its number in the tar at the shard's guidance scale."""
        place = bisect_right(self.ends, position)
        shard = self.shards[place]
        return shard, position - self.ends[place] + shard.images + shard.start

    @property
    def image_bytes(self) -> float:
        """Mean size of an image of the first shard as it is stored, in bytes."""
        shard = self.shards[0]
        sizes = image_index.open_index(shard.tar, shard.guidance).sizes
        return float(sizes[shard.start : shard.start + shard.images].mean())

    def each(
        self, positions: torch.Tensor, encoded: Encoded | None = None
    ) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield one image at a time, which the next one overwrites.

        Parameters
        ----------
        positions : Tensor, shape (N,)
        encoded : Encoded, optional
            The images as they are stored, if they were read before. Otherwise each is read.

        Yields
        ------
        pixels : Tensor, shape (C, H, W), uint8
        class_id : int

        Raises
        ------
        ShardError
            If an image is not the one that the manifest names.
        """
        last = None
        for place, position in enumerate(positions.tolist()):
            if encoded is None:
                shard, row = self.locate(position)
                index = image_index.open_index(shard.tar, shard.guidance)
                yield index.read(row), int(index.class_ids[row])
            else:
                data, sha256 = encoded.data[place], encoded.sha256(place)
                if not image_index.is_intact(data, sha256):
                    raise image_index.damaged(*self.locate(position))
                pixels, last = image_index.decode_into(data, last)
                yield pixels, int(encoded.class_ids[place])

    def read(
        self, positions: torch.Tensor, encoded: Encoded | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels, uint8 (N, C, H, W), and class ids (N,); `encoded` as in `each`."""
        return filled(self.each(positions, encoded), len(positions))

    def first(self, images: int) -> "ShardedImages":
        return self.between(0, images)

    def between(self, start: int, stop: int) -> "ShardedImages":
        """Images `start` to `stop` (half-open)."""
        cut = _cut(self.sizes, start, stop)
        return ShardedImages(
            [
                self.shards[place]._replace(images=images, start=self.shards[place].start + skipped)
                for place, skipped, images in cut
            ]
        )

    @staticmethod
    def join(parts: list["ShardedImages"]) -> "ShardedImages":
        return ShardedImages([shard for part in parts for shard in part.shards])


class InMemoryImages:
    """Images in memory: pixels, uint8 (N, C, H, W), and class ids (N,). sizes: of the shards that
    they came from.
    """

    def __init__(self, sizes: list[int], pixels: torch.Tensor, class_ids: torch.Tensor):
        self.sizes, self.pixels, self.class_ids = sizes, pixels, class_ids

    def __len__(self) -> int:
        return len(self.class_ids)

    image_bytes = 0.0  # nothing is read any more

    def each(
        self, positions: torch.Tensor, encoded: None = None
    ) -> Iterator[tuple[torch.Tensor, int]]:
        return (
            (self.pixels[position], int(self.class_ids[position]))
            for position in positions.tolist()
        )

    def read(
        self, positions: torch.Tensor, encoded: None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pixels[positions], self.class_ids[positions]

    def first(self, images: int) -> "InMemoryImages":
        return self.between(0, images)

    def between(self, start: int, stop: int) -> "InMemoryImages":
        """Images `start` to `stop` (half-open)."""
        sizes = [images for _, _, images in _cut(self.sizes, start, stop)]
        return InMemoryImages(sizes, self.pixels[start:stop], self.class_ids[start:stop])

    @staticmethod
    def join(parts: list["InMemoryImages"]) -> "InMemoryImages":
        sizes = [size for part in parts for size in part.sizes]
        return InMemoryImages(
            sizes,
            torch.cat([part.pixels for part in parts]),
            torch.cat([part.class_ids for part in parts]),
        )


Images = ShardedImages | InMemoryImages


def open_images(
    tars: list[str], guidance: float | None = None, images: int | None = None
) -> ShardedImages:
    """The first `images` images (all by default) at a guidance scale (None: real images) of a
    source whose tars are given in order.

    Raises ShardError where there are fewer.
    """
    shards, left = [], float("inf") if images is None else images
    for tar in map(str, tars):
        if left <= 0:
            break
        count = (
            pq.read_metadata(manifest_path(tar)).num_rows
            if guidance is None
            else len(image_index.manifest_columns(tar, ["image"], guidance)["image"])
        )
        shards.append(ShardSlice(tar, guidance, int(min(count, left))))
        left -= count
    if images is not None and left > 0:
        raise ShardError(
            f"{tars[-1]}: {images - left} images at guidance {guidance} in it and the tars before it, where {images} are needed: {REGENERATE}"
        )
    return ShardedImages([shard for shard in shards if shard.images])


def load_into_memory(
    sets: list[ShardedImages], most: int = IN_MEMORY, batch_size: int = 256
) -> list[Images]:
    """The same sets, decoded into memory where all of them together fit into `most` bytes."""
    needed = sum(
        len(images) * images.read(torch.tensor([0]))[0].numel() for images in sets if len(images)
    )
    if needed > most:
        return list(sets)
    held = []
    for images in sets:
        read = [images.read(positions) for positions in torch.arange(len(images)).split(batch_size)]
        held.append(InMemoryImages(images.sizes, *map(torch.cat, zip(*read, strict=True))))
    return held
