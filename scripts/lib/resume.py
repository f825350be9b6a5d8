"""Training state that outlives a killed job.

It lies in a folder that is no declared output (Snakemake deletes those of a failed job), is written whole, by time, and belongs to one
set of settings: state of other settings is not continued.
"""

import hashlib
import shutil
import time
from pathlib import Path

import torch

from scripts.lib.files import whole
from scripts.lib.finite_state import check_state

EVERY = 300.0  # seconds


def digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


class State:
    """What a training loop needs to go on where it stopped.

    folder: kept between tries; emptied by `discard` when the job is done.
    identity: text of everything that the result depends on; another text than last time starts anew.
    parts: name -> object with state_dict and load_state_dict, or a torch.Generator.
    every: seconds of work that a kill may lose.
    """

    def __init__(self, folder: str | Path, identity: str, parts: dict, every: float = EVERY):
        self.path = Path(folder) / f"{digest(identity)}.state"
        self.parts, self.every, self.saved = parts, every, time.monotonic()

    def load(self) -> int:
        """Put the saved state into the parts and return the number of iterations that it had done; 0 where there is none."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, map_location="cpu", mmap=True, weights_only=True)  # of several processes, none holds a copy
        check_state(state["parts"], self.path)
        for name, part in self.parts.items():
            (part.set_state if isinstance(part, torch.Generator) else part.load_state_dict)(state["parts"][name])
        return state["step"]

    def save(self, step: int) -> None:
        parts = {n: p.get_state() if isinstance(p, torch.Generator) else p.state_dict() for n, p in self.parts.items()}
        with whole(self.path) as (part,):
            torch.save({"step": step, "parts": parts}, part)
        self.saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.saved >= self.every

    def save_by_time(self, step: int) -> bool:
        """Save if it is time to; return whether it was."""
        due = self.due
        if due:
            self.save(step)
        return due


def discard(folder: str | Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
