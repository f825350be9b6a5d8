"""One process of a tiny CLIP training, alone or under torchrun: `python -m tests.support.clip_process SETTINGS` (see tests/unit/test_clip_processes.py).

State is saved after every part. Beside its model it leaves `seen.{rank}.json`: the losses of its iterations, and the positions of the pairs that it was given.
"""

import json
import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

from scripts import train_clips
from scripts.lib import pairs, resume
from scripts.lib.distributed import Team, team


def train(asked: dict, own: Team) -> None:
    """asked: `settings` and `tars` of the job, its `folder`, and `killed`: the last rank dies when it has begun so many parts."""
    losses, positions, parts = [], [], []
    create_loss, read, one_epoch = train_clips.trainer.create_loss, pairs.Reader.__getitem__, train_clips.trainer.train_one_epoch

    def recorded(args):
        loss = create_loss(args)
        loss.register_forward_hook(lambda module, inputs, output: losses.append(output["contrastive_loss"].item()))
        return loss

    def noted(reader, draw):
        positions.append(draw[1].tolist())
        return read(reader, draw)

    def deadly(model, data, loss, epoch, *rest, **named):
        parts.append(epoch)
        if own.rank == own.ranks - 1 and len(parts) == asked.get("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return one_epoch(model, data, loss, epoch, *rest, **named)

    folder = Path(asked["folder"])
    with (
        patch.object(resume, "EVERY", 0.0),
        patch.object(train_clips.trainer, "create_loss", recorded),
        patch.object(pairs.Reader, "__getitem__", noted),
        patch.object(train_clips.trainer, "train_one_epoch", deadly),
    ):
        train_clips.train_batch(asked["settings"], asked["tars"], folder / "models", folder / "state", own)
    (folder / f"seen.{own.rank}.json").write_text(json.dumps({"losses": losses, "positions": positions}))


if __name__ == "__main__":
    with team(1) as processes:
        train(json.loads(Path(sys.argv[1]).read_text()), processes)
