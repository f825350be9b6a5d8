"""Images that a timing makes for itself: random, but as smooth as photographs, so that a JPEG of
them has a photograph's size.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from synscale.data import shards
from synscale.training import stream

JPEG = {"format": "jpeg", "quality": 90}


def photograph(random: np.random.Generator, size: int) -> np.ndarray:
    """uint8 (size, size, 3)."""
    coarse = Image.fromarray(
        random.integers(0, 256, (size // 16 + 1, size // 16 + 1, 3), dtype=np.uint8)
    )
    noise = random.normal(0, 6, (size, size, 3))
    return (
        (np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) + noise)
        .clip(0, 255)
        .astype(np.uint8)
    )


def shard(
    path: Path,
    images: int,
    size: int = 256,
    classes: int = 10,
    storage: dict = JPEG,
    seed: int = 0,
    channels: int = 3,
) -> stream.ShardedImages:
    """A tar of real images, of one grey channel or of three, and its manifest, written where there
    is none yet.
    """
    random = np.random.default_rng(seed)

    def pixels() -> np.ndarray:
        made = photograph(random, size)
        return made if channels == 3 else made[..., 0]

    if not shards.manifest_path(path).exists():
        rows = (
            (
                f"{i:09d}",
                pixels(),
                {
                    "image": i,
                    "class_id": i % classes,
                    "prompt": f"a photo of a number {i % classes}",
                },
            )
            for i in range(images)
        )
        shards.write(path, rows, storage)
    return stream.open_images([str(path)])
