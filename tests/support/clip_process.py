"""One process of a tiny CLIP training: `python -m tests.support.clip_process SETTINGS`.

tests/unit/test_clip_processes.py starts it by torchrun. The state is saved after every step. The
process leaves `seen.{rank}.json`: the losses of its steps, and the positions of the
pairs in each of its micro-batches.
"""

import json
import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

from scripts import train_clip
from synscale.training import checkpoint, clip_loop
from synscale.training.distributed import ProcessGroup, process_group


def train(asked: dict, own: ProcessGroup) -> None:
    """Run a job.

    Parameters
    ----------
    asked : dict
        `settings` and `tars` of the job, its `folder`, and `killed`: the step at which the last
        rank dies.
    own : ProcessGroup
    """
    losses, positions = [], []
    gradients = clip_loop.Gradients.__call__

    def watched(self, share):
        if own.rank == own.ranks - 1 and len(losses) + 1 == asked.get("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        positions.extend(batch.positions.tolist() for batch in share)
        loss = gradients(self, share)
        losses.append(loss.item())
        return loss

    folder = Path(asked["folder"])
    with (
        patch.object(checkpoint.TrainingCheckpoint, "due", property(lambda self: True)),
        patch.object(clip_loop.Gradients, "__call__", watched),
    ):
        settings, tars = asked["settings"], asked["tars"]
        train_clip.train_batch(settings, tars, folder / "models", folder / "state", own)
    seen = {"losses": losses, "positions": positions}
    (folder / f"seen.{own.rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    with process_group(1) as processes:
        train(json.loads(Path(sys.argv[1]).read_text()), processes)
