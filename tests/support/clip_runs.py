"""Tiny CLIP trainings: their images, runs and settings, and interruptions of their loop."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from synscale.data import shards
from synscale.study.models import TrainingPart
from synscale.study.models.clip import ClipArchitecture, ClipTraining
from synscale.training import checkpoint, clip_loop
from synscale.training.clip_gradients import Gradients
from synscale.training.clip_loop import ClipJob
from synscale.workflow.settings.training import ClipSettings, TrainingRun

CPU = torch.device("cpu")
TINY = ClipArchitecture(
    label="tiny",
    embed_dim=8,
    patch_size=4,
    width=16,
    depth=1,
    heads=2,
    text_width=16,
    text_depth=1,
    text_heads=2,
    context_length=12,
    merges=300,
)
NAMES = ["dark", "light"]


def write_source(path: Path, images: int, guidance=(None,), shown=lambda i: NAMES[i % 2]) -> str:
    """Write noise around a class's grey, 8 x 8, with the shown text, at each guidance scale.

    Returns
    -------
    str
        Path of the tar.
    """
    random, rows = np.random.default_rng(len(path.name)), []
    for scale in guidance:
        for i in range(images):
            pixels = random.integers(0, 60, (8, 8), np.uint8) + np.uint8(190 * (i % 2))
            caption = "thick, wide" if i % 4 < 2 else "thin"
            row = {"image": i, "class_id": i % 2, "prompt": shown(i), "caption": caption}
            if scale is not None:
                row["guidance"] = scale
            rows.append((f"{scale}-{i:03d}", pixels, row))
    shards.write(path, rows)
    return str(path)


def run_of(name: str, *parts: tuple, seed: int = 0, iterations: int = 4) -> TrainingRun:
    """Return a run on parts: source, guidance scale and number of images of each."""
    training_parts = tuple(TrainingPart(*part) for part in parts)
    return TrainingRun("both", name, seed, iterations, training_parts)


def recipe_of(**training) -> ClipTraining:
    """Return a training recipe."""
    recipe = {"batch_size": 8, "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.2}
    return ClipTraining(**recipe | {"crop_scale": (0.7, 1.0)} | training)


def settings_of(*runs: TrainingRun, inputs: dict[str, int], **training) -> ClipSettings:
    """Return the settings of a job."""
    return ClipSettings(runs, inputs, 8, 1, TINY, recipe_of(**training))


def job_of(run: TrainingRun, **training) -> ClipJob:
    """Return a tiny CLIP model to train."""
    return ClipJob(run, TINY, 8, recipe_of(**training))


def before_each_step(monkeypatch, action: Callable[[int], None]) -> None:
    """Call `action` with the number of steps that this process has begun, this one included."""
    call, steps = Gradients.__call__, []

    def watched(self, share):
        steps.append(None)
        action(len(steps))
        return call(self, share)

    monkeypatch.setattr(Gradients, "__call__", watched)


def save_every(monkeypatch, steps: int) -> None:
    """Make a state due once every so many steps, instead of every few minutes."""
    asked = []

    def due(self) -> bool:
        asked.append(None)
        return len(asked) % steps == 0

    monkeypatch.setattr(checkpoint.TrainingCheckpoint, "due", property(due))


def losses_of(monkeypatch) -> list[float]:
    """A list that the loss of each following step is appended to."""
    losses, call = [], Gradients.__call__

    def recorded(self, share):
        loss = call(self, share)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(clip_loop.Gradients, "__call__", recorded)
    return losses
