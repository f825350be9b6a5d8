"""A classifier job on forty images of noise, as the workflow starts it."""

from pathlib import Path

import numpy as np

from scripts import train_classifiers
from synscale.data import shard_index, shards
from tests.support.workflow import ROOT, SMOKE


def noise_shards(tmp_path: Path) -> Path:
    """Write two shards of noise as the smoke study's real images; return their index."""
    tars = [tmp_path / f"{shard:05d}.tar" for shard in range(2)]
    index = tmp_path / "shard_index.csv"
    if not tars[0].exists():
        random = np.random.default_rng(0)
        rows = []
        for i in range(40):
            pixels = random.integers(0, 256, (8, 8), np.uint8)
            rows.append((f"{i:03d}", pixels, {"image": i, "class_id": i % 10, "prompt": ""}))
        shards.write(tars[0], rows[:20])
        shards.write(tars[1], rows[20:])
        shard_index.write(index, [], tars, "settings")
    return index


def classifier_arguments(folder: Path, name: str, study: Path = SMOKE) -> list[str]:
    """Return the command line of a job that trains the real group of a study like smoke."""
    options = {
        "study": study,
        "source": "real",
        "group": "vit_tiny",
        "classes": ROOT / "data/digits_classes.csv",
        "shard-index": noise_shards(folder),
        "output": folder / name,
        "histories": folder / f"{name}.csv",
        "state": folder / f"state_{name}",
    }
    return [word for option, value in options.items() for word in (f"--{option}", str(value))]


def classifier_job(tmp_path: Path, name: str = "a", *more: str, study=SMOKE) -> dict[str, bytes]:
    """Train the real group of a study like smoke; return the model files."""
    train_classifiers.main([*classifier_arguments(tmp_path, name, study), *more])
    return {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}
