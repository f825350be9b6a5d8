"""One process of a tiny CLIP training: `python -m tests.support.clip_process TASK`.

tests/unit/training/test_clip_processes.py starts it by torchrun. The state is saved after every
step. The process leaves `seen.{rank}.json`: the losses of its steps, and the positions of the pairs
in each of its micro-batches.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from synscale.training import checkpoint, clip_loop
from synscale.training.clip_group import train_clip
from synscale.training.distributed import ProcessGroup, process_group
from synscale.workflow.settings.training import ClipSettings
from tests.support.clip_runs import run_of, settings_of

PAIRS, BATCH, ITERATIONS = 24, 8, 6  # two epochs


def settings_for(tars: list[str], training: dict, weights: tuple = (1.0, 1.0)) -> ClipSettings:
    """Return the settings of one run on all pairs of RGB shards, each half with a weight."""
    half = PAIRS // 2
    parts = [("real", None, half, half * place, weight) for place, weight in enumerate(weights)]
    run = run_of("run", *parts, seed=3, iterations=ITERATIONS)
    recipe = {"batch_size": BATCH, "crop_scale": (0.5, 1.0)} | training
    return replace(settings_of(run, inputs={"real": len(tars)}, **recipe), channels=3)


def train(task: dict, processes: ProcessGroup) -> None:
    """Run a job.

    Parameters
    ----------
    task : dict
        `tars` of the job, its `folder`, `training` (changes of its recipe), `weights` of both
        halves of the pairs, and `killed`: the step at which the last rank dies.
    processes : ProcessGroup
    """
    losses, positions = [], []
    gradients = clip_loop.Gradients.__call__

    def watched(self, share):
        is_last = processes.rank == processes.ranks - 1
        if is_last and len(losses) + 1 == task.get("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        positions.extend(batch.positions.tolist() for batch in share)
        loss = gradients(self, share)
        losses.append(loss.item())
        return loss

    folder = Path(task["folder"])
    settings = settings_for(task["tars"], task.get("training", {}), task.get("weights", (1.0, 1.0)))
    with (
        patch.object(checkpoint.TrainingCheckpoint, "due", property(lambda self: True)),
        patch.object(clip_loop.Gradients, "__call__", watched),
    ):
        files = folder / "models", folder / "histories.csv", folder / "state"
        train_clip(settings, task["tars"], [], *files, processes)
    seen = {"losses": losses, "positions": positions}
    (folder / f"seen.{processes.rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    with process_group(1) as processes:
        train(json.loads(Path(sys.argv[1]).read_text()), processes)
