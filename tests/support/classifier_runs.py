"""A classifier job on forty images of noise, as the workflow starts it."""

from pathlib import Path

import synscale.runtime.torch_setup  # noqa: F401

import numpy as np

from scripts import train_classifiers
from synscale.data import shard_index, shards
from tests.support.workflow import ROOT, SMOKE


def noise_shards(tmp_path) -> Path:
    """A list of two shards of the smoke study's real images, which are noise."""
    tars = [tmp_path / f"{shard:05d}.tar" for shard in range(2)]
    if not tars[0].exists():
        random = np.random.default_rng(0)
        rows = [
            (
                f"{i:03d}",
                random.integers(0, 256, (8, 8), np.uint8),
                {"image": i, "class_id": i % 10, "prompt": ""},
            )
            for i in range(40)
        ]
        shards.write(tars[0], rows[:20])
        shards.write(tars[1], rows[20:])
        shard_index.write(tmp_path / "shard_index.csv", [], tars, "settings")
    return tmp_path / "shard_index.csv"


def classifier_job(tmp_path, name="a", *more: str, study=SMOKE) -> dict[str, bytes]:
    """Train the real batch of a study as the smoke study is; return the model files."""
    output, index = tmp_path / name, noise_shards(tmp_path)
    what = [
        "--study",
        str(study),
        "--source",
        "real",
        "--group",
        "vit_tiny",
        "--classes",
        str(ROOT / "data/digits_classes.csv"),
    ]
    train_classifiers.main(
        [
            *what,
            "--shard-index",
            str(index),
            "--output",
            str(output),
            "--state",
            str(tmp_path / f"state_{name}"),
            *more,
        ]
    )
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}
