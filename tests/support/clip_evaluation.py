"""A tiny CLIP model that distinguishes dark from light images, and settings that evaluate it."""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import pandas as pd

from synscale.evaluation import evaluator
from synscale.evaluation.clip import ClipEvaluator
from synscale.study.models.clip import Task
from synscale.training.clip_group import train_clip
from synscale.training.distributed import ProcessGroup
from synscale.workflow.settings.evaluation import ClipEvaluationSettings, EvaluatedRun
from tests.support.clip_runs import CPU, run_of, settings_of, write_source

CLASSES = pd.DataFrame({"class_id": [1, 0], "name": ["light", "dark"]})  # in no order


def train(folder: Path) -> None:
    """Train the model `models/learned.safetensors`; write the evaluation set `set/unseen.tar`."""
    deterministic(1)
    tar = write_source(folder / "real.tar", 40)
    run = run_of("learned", ("real", None, 40), iterations=40)
    settings = settings_of(run, inputs={"real": 1}, learning_rate=1e-2)
    train_clip(
        settings,
        [tar],
        [],
        folder / "models",
        folder / "histories.csv",
        folder / "state",
        ProcessGroup(CPU),
    )
    (folder / "set").mkdir()
    write_source(folder / "set/unseen.tar", 24)


def settings_for(*names: str, tasks: dict[str, dict], **changes) -> ClipEvaluationSettings:
    """Return settings that evaluate the models of these names."""
    fields = {
        "runs": tuple(EvaluatedRun(name, "both", None, "tiny", 40, 0) for name in names),
        "sets": ("unseen",),
        "templates": ["{name}", "a {name}"],
        "tasks": {name: Task(**task) for name, task in tasks.items()},
    }
    return ClipEvaluationSettings(**fields | changes)


def evaluate(settings, folder: Path, tars: list, classes=CLASSES, **options) -> pd.DataFrame:
    """Evaluate the models of a folder that `train` wrote to."""
    models = ClipEvaluator(settings, folder / "models", classes, CPU)
    return evaluator.evaluate(models, tars, **options)
