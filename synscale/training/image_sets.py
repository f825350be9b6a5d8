"""Sets of training or evaluation images: in their shards, or decoded in memory."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import numpy as np
import pyarrow.parquet as pq
import torch

from synscale.data.shards import ShardError, manifest_path
from synscale.data.shuffle_buffer import IN_MEMORY
from synscale.training import image_index
from synscale.training.chunk_reader import Encoded
from synscale.training.image_index import REGENERATE, ShardSlice


def _slices(sizes: list[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Return the part of each shard that images `start` to `stop` (half-open) are in.

    Returns
    -------
    list of tuple
        Number of the shard, its first image of these, and how many of them it has.
    """
    slices = []
    for place, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
        begin = end - size
        images = min(stop, end) - max(start, begin)
        if images > 0:
            slices.append((place, max(start - begin, 0), images))
    return slices


def stack_images(
    images: Iterator[tuple[torch.Tensor, int]], count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack images without a second copy of the batch.

    Parameters
    ----------
    images : iterator of (Tensor of shape (C, H, W), int)
        Pixels and class id of each image.
    count : int
        Number of images, N.

    Returns
    -------
    pixels : Tensor, shape (N, C, H, W)
    class_ids : Tensor, shape (N,)

    Raises
    ------
    ValueError
        If shapes differ. A grey image would otherwise be copied to all three channels.
    """
    class_ids = torch.empty(count, dtype=torch.long)
    for place, (image, class_id) in enumerate(images):
        if not place:
            pixels = torch.empty(count, *image.shape, dtype=image.dtype)
        if image.shape != pixels.shape[1:]:
            shapes = f"{tuple(image.shape)}, expected {tuple(pixels.shape[1:])}"
            problem = f"images of different shapes in one batch ({shapes})"
            raise ValueError(f"{problem}; store all images of a source alike")
        pixels[place] = image
        class_ids[place] = class_id
    return pixels, class_ids


class ShardedImages:
    """Images in their tars."""

    def __init__(self, shards: list[ShardSlice]):
        self.shards = shards
        self.sizes = [shard.images for shard in shards]
        self.ends = list(accumulate(self.sizes))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @staticmethod
    def _index(shard: ShardSlice) -> image_index.Index:
        return image_index.open_index(shard.tar, shard.guidance)

    @property
    def class_ids(self) -> torch.Tensor:
        """Class ids of all images, shape (N,)."""
        parts = [self._index(shard).class_ids[shard.rows] for shard in self.shards]
        return torch.from_numpy(np.concatenate(parts))

    def locate(self, position: int) -> tuple[ShardSlice, int]:
        """Return the shard of an image, and the image's number in the tar at the guidance scale."""
        place = bisect_right(self.ends, position)
        shard = self.shards[place]
        return shard, position - self.ends[place] + shard.images + shard.start

    @property
    def image_bytes(self) -> float:
        """Mean size of an image of the first shard as it is stored, in bytes."""
        return float(self._index(self.shards[0]).sizes[self.shards[0].rows].mean())

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
                index = self._index(shard)
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
        """Return pixels, uint8 (N, C, H, W), and class ids (N,), with the parameters of `each`."""
        return stack_images(self.each(positions, encoded), len(positions))

    def between(self, start: int, stop: int) -> "ShardedImages":
        """Return some consecutive images.

        Parameters
        ----------
        start, stop : int
            Positions, half-open.
        """
        shards = []
        for place, skipped, images in _slices(self.sizes, start, stop):
            shard = self.shards[place]
            shards.append(shard._replace(images=images, start=shard.start + skipped))
        return ShardedImages(shards)

    @staticmethod
    def join(parts: list["ShardedImages"]) -> "ShardedImages":
        """Return the images of all parts, one after the other."""
        return ShardedImages([shard for part in parts for shard in part.shards])


class InMemoryImages:
    """Images that are decoded in memory.

    Parameters
    ----------
    sizes : list of int
        Images of each shard that they came from.
    pixels : Tensor, shape (N, C, H, W), uint8
    class_ids : Tensor, shape (N,)
    """

    def __init__(self, sizes: list[int], pixels: torch.Tensor, class_ids: torch.Tensor):
        self.sizes = sizes
        self.pixels = pixels
        self.class_ids = class_ids

    def __len__(self) -> int:
        return len(self.class_ids)

    image_bytes = 0.0  # nothing is read any more

    def each(
        self, positions: torch.Tensor, encoded: Encoded | None = None
    ) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield pixels and class id of each image, with the parameters of ShardedImages.each."""
        for position in positions.tolist():
            yield self.pixels[position], int(self.class_ids[position])

    def read(
        self, positions: torch.Tensor, encoded: Encoded | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pixels, uint8 (N, C, H, W), and class ids (N,), with the parameters of `each`."""
        return self.pixels[positions], self.class_ids[positions]

    def between(self, start: int, stop: int) -> "InMemoryImages":
        """Return some images, with the parameters of ShardedImages.between."""
        sizes = [images for _, _, images in _slices(self.sizes, start, stop)]
        return InMemoryImages(sizes, self.pixels[start:stop], self.class_ids[start:stop])

    @staticmethod
    def join(parts: list["InMemoryImages"]) -> "InMemoryImages":
        """Return the images of all parts, one after the other."""
        sizes = [size for part in parts for size in part.sizes]
        pixels = torch.cat([part.pixels for part in parts])
        return InMemoryImages(sizes, pixels, torch.cat([part.class_ids for part in parts]))


Images = ShardedImages | InMemoryImages


def _count_images(tar: str, guidance: float | None) -> int:
    if guidance is None:
        return pq.read_metadata(manifest_path(tar)).num_rows
    return len(image_index.manifest_columns(tar, ["image"], guidance)["image"])


def open_images(
    tars: list[str], guidance: float | None = None, images: int | None = None
) -> ShardedImages:
    """Return the first images of a source.

    Parameters
    ----------
    tars : list of str
        Shards of the source, in order.
    guidance : float, optional
        None for real images.
    images : int, optional
        Number of images, all by default.

    Returns
    -------
    ShardedImages

    Raises
    ------
    ShardError
        If there are fewer images.
    """
    shards = []
    left = float("inf") if images is None else images
    for tar in map(str, tars):
        if left <= 0:
            break
        count = _count_images(tar, guidance)
        shards.append(ShardSlice(tar, guidance, int(min(count, left))))
        left -= count
    if images is not None and left > 0:
        raise ShardError(
            f"{tars[-1]}: too few images at guidance {guidance} in the shards up to this one "
            f"({images - left}, expected {images}); {REGENERATE}"
        )
    return ShardedImages([shard for shard in shards if shard.images])


def load_into_memory(
    sets: list[ShardedImages], most: int = IN_MEMORY, batch_size: int = 256
) -> list[Images]:
    """Decode sets of images if all of them together fit.

    Parameters
    ----------
    sets : list of ShardedImages
    most : int
        Bytes of pixels that fit.
    batch_size : int
        Images that are decoded at a time.

    Returns
    -------
    list of Images
        The sets, unchanged if they do not fit.
    """
    first = torch.tensor([0])
    needed = sum(len(images) * images.read(first)[0].numel() for images in sets if len(images))
    if needed > most:
        return list(sets)
    loaded: list[Images] = []
    for images in sets:
        batches = torch.arange(len(images)).split(batch_size)
        parts = zip(*map(images.read, batches), strict=True)
        loaded.append(InMemoryImages(images.sizes, *map(torch.cat, parts)))
    return loaded
