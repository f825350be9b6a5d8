"""Random images for timings.

They are as smooth as photographs, so that a JPEG of them has a photograph's size.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from synscale.data import shards
from synscale.study.models.generators import Storage
from synscale.training import stream

JPEG = Storage(format="jpeg", quality=90)


def photograph(random: np.random.Generator, size: int) -> np.ndarray:
    """Return random pixels, shape (size, size, 3), uint8.

    Parameters
    ----------
    random : Generator
        Random numbers.
    size : int
        Pixels of a side.
    """
    cells = size // 16 + 1
    coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    noise = random.normal(0, 6, (size, size, 3))
    pixels = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) + noise
    return pixels.clip(0, 255).astype(np.uint8)


def shard(
    path: Path,
    images: int,
    size: int = 256,
    classes: int = 10,
    storage: Storage = JPEG,
    seed: int = 0,
    channels: int = 3,
) -> stream.ShardedImages:
    """Write a tar of real images and its manifest, if it does not exist, and open it.

    Parameters
    ----------
    path : Path
    images : int
    size : int
        Pixels a side.
    classes : int
        Number of classes, which alternate.
    storage : Storage
    seed : int
    channels : int
        1 or 3.
    """
    random = np.random.default_rng(seed)

    def samples() -> Iterator[tuple[str, np.ndarray, dict]]:
        for i in range(images):
            pixels = photograph(random, size)
            class_id = i % classes
            row = {"image": i, "class_id": class_id, "prompt": f"a photo of a number {class_id}"}
            yield f"{i:09d}", pixels if channels == 3 else pixels[..., 0], row

    if not shards.manifest_path(path).exists():
        shards.write(path, samples(), storage)
    return stream.open_images([str(path)])
