"""The smoke study with classifiers that start from weights."""

from pathlib import Path

import yaml

from synscale.study.load import load_study, read_yaml
from tests.support.workflow import SMOKE

START = {"source": "real", "architecture": "vit_tiny", "size": 40, "seed": 0}
PROBE = {"start": START, "train": "head", "label": "linear probe"}
RELEASED = {"patch_size": 4, "width": 16, "depth": 2, "heads": 2, "pool": "token"}


def started_study(**architectures: dict) -> dict:
    """Return the content of the smoke study with more architectures, trained on real images.

    Without any, they are a linear probe and a fine-tuning from a run of the study.
    """
    raw = read_yaml(SMOKE)
    tuned = {"start": START, "learning_rate": 1.0e-3, "label": "fine-tuned"}
    rows = architectures or {"vit_probe": PROBE, "vit_tuned": tuned}
    raw["classifiers"]["architectures"] |= rows
    experiment = {"sizes": [10, 20, 40], "seeds": [0, 1], "curves": [{"source": "real"}]}
    raw["experiments"]["started"] = experiment | {"architectures": list(rows)}
    return raw


def write_started_study(folder: Path, **architectures: dict) -> Path:
    """Write the study of `started_study`; return its path."""
    path = folder / "started.yaml"
    path.write_text(yaml.safe_dump(started_study(**architectures)), encoding="utf-8")
    load_study.cache_clear()
    return path
