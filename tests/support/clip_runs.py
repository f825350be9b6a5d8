"""Tiny CLIP trainings: their images, runs and settings, and interruptions of their loop."""

from collections.abc import Callable

import numpy as np
import torch

from synscale.data import shards
from synscale.study.models.clip import ClipTraining
from synscale.training import checkpoint, clip_loop
from synscale.training.clip_gradients import Gradients
from synscale.training.clip_loop import Job

CPU = torch.device("cpu")
TINY = {
    "embed_dim": 8,
    "patch_size": 4,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "text_width": 16,
    "text_depth": 1,
    "text_heads": 2,
    "context_length": 12,
}
TINY |= {"merges": 300}
NAMES = ["dark", "light"]


class Killed(Exception):
    """Stands for an interruption of the job."""


def write_source(path, images: int, guidance=(None,), shown=lambda i: NAMES[i % 2]) -> str:
    """Noise around a class's grey, 8 x 8, with what is shown as its text, at each guidance scale;
    returns the path of the tar.
    """
    random, rows = np.random.default_rng(len(path.name)), []
    for scale in guidance:
        for i in range(images):
            pixels = random.integers(0, 60, (8, 8), np.uint8) + np.uint8(190 * (i % 2))
            row = {
                "image": i,
                "class_id": i % 2,
                "prompt": shown(i),
                "caption": "thick, wide" if i % 4 < 2 else "thin",
            }
            rows.append(
                (f"{scale}-{i:03d}", pixels, row | ({} if scale is None else {"guidance": scale}))
            )
    shards.write(path, rows)
    return str(path)


def run_of(name: str, *parts: tuple, seed: int = 0, iterations: int = 4) -> dict:
    own = [
        {"source": source, "guidance": guidance, "images": images}
        for source, guidance, images in parts
    ]
    run = {
        "source": "both",
        "guidance": None,
        "architecture": "tiny",
        "size": sum(part["images"] for part in own),
        "seed": seed,
        "name": name,
    }
    return run | {"iterations": iterations, "parts": own}


def recipe_of(**training) -> dict:
    """A training recipe, as jobs.clip_settings has it."""
    recipe = {"batch_size": 8, "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.2}
    return recipe | {"crop_scale": [0.7, 1.0]} | training


def settings_of(*runs: dict, inputs: dict, **training) -> dict:
    settings = {"runs": list(runs), "inputs": inputs, "architectures": {"tiny": TINY}}
    return settings | {"training": recipe_of(**training), "image_size": 8, "channels": 1}


def job_of(run: dict, **training) -> Job:
    """A tiny CLIP model to train."""
    return Job(run, TINY, 8, ClipTraining(**recipe_of(**training)))


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
    monkeypatch.setattr(
        checkpoint.TrainingCheckpoint, "save_if_due", lambda self, step: self.save(step) or True
    )


def losses_of(monkeypatch) -> list[float]:
    """A list that the loss of each following step is appended to."""
    losses, call = [], Gradients.__call__

    def recorded(self, share):
        loss = call(self, share)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(clip_loop.Gradients, "__call__", recorded)
    return losses
