"""Shards whose images encode their guidance scale and number."""

import numpy as np
import torch

from synscale.data import shards
from synscale.training import stream


def write_shards(folder, count: int, images: int, scales=(None,)) -> list[str]:
    """Write shards of `images` numbers each.

    Every pixel is (guidance scale, number // 256, number % 256).
    """
    tars = []
    for shard in range(count):
        rows = []
        for scale in scales:
            for i in range(shard * images, (shard + 1) * images):
                pixels = np.empty((4, 4, 3), np.uint8)
                pixels[:] = scale or 0, i // 256, i % 256
                row = {"image": i, "class_id": i % 7, "prompt": ""}
                if scale is not None:
                    row["guidance"] = float(scale)
                rows.append((f"g{scale}-{i:05d}", pixels, row))
        tars.append(str(folder / f"{shard:05d}.tar"))
        shards.write(tars[-1], rows)
    return tars


def numbers(batch: stream.Batch) -> list[int]:
    """Return the numbers of the images of a batch, by their pixels."""
    return [int(256 * image[1, 0, 0] + image[2, 0, 0]) for image in batch.images]


def noisy(image: torch.Tensor) -> torch.Tensor:
    """Return an image with random numbers added."""
    return image.float() + torch.rand(image.shape)
