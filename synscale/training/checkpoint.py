"""Training state that survives an interrupted job.

It is in a folder that is no declared output, because Snakemake deletes the outputs of a failed job.
It is written completely or not at all, by time. State of other settings is not loaded.

State on a GPU is copied to pinned host memory and written by a thread, so that training waits for
the copy only. A save that takes long is repeated less often (`TrainingCheckpoint.interval`).
"""

import copy
import hashlib
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

from synscale.cluster import allocation
from synscale.runtime.atomic import atomic_write
from synscale.training.finite_state import check_state

CHECKPOINT_INTERVAL = 300.0  # seconds between two saves
# Seconds of each interval for a save: 0.5 %, this project's choice. Longer saves are less frequent.
SAVE_SECONDS = 1.5

_writes: dict[Path, Future] = {}  # file -> the write of this process that may still be under way


@cache
def _writer() -> ThreadPoolExecutor:
    """One thread for all states. Python waits for its work before the process ends."""
    return ThreadPoolExecutor(1, thread_name_prefix="state")


def digest(identity: str) -> str:
    """Return 16 hex digits for the identity of a result."""
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _write(path: Path, value: dict, copied: "torch.cuda.Event | None", began: float) -> float:
    """Write a state file once its copies are complete. Returns the seconds since `began`."""
    if copied is not None:
        copied.synchronize()
    with atomic_write(path) as (part,):
        torch.save(value, part)
    return time.monotonic() - began


def _wait(path: Path) -> float | None:
    """Wait for the write of a file. Returns the seconds of its save, if any; raises its error."""
    write = _writes.pop(path, None)
    return None if write is None else write.result()


class _HostCopies:
    """Copies of states in host memory; tensors of a GPU are copied to pinned buffers."""

    def __init__(self):
        self.buffers: dict[tuple, torch.Tensor] = {}

    def of(self, value, key: tuple = ()):
        """Copy a value, and what a dict, list or tuple contains. key: its place in the state."""
        if isinstance(value, torch.Tensor):
            return self._tensor(value, key) if value.is_cuda else value.detach().clone()
        if isinstance(value, dict):
            copied = copy.copy(value)  # keeps attributes, such as versions of a module's state
            copied.update({name: self.of(one, (*key, name)) for name, one in value.items()})
            return copied
        if type(value) in (list, tuple):
            return type(value)(self.of(one, (*key, place)) for place, one in enumerate(value))
        return copy.deepcopy(value)

    def _tensor(self, tensor: torch.Tensor, key: tuple) -> torch.Tensor:
        buffer = self.buffers.get(key)
        if buffer is None or _layout(buffer) != _layout(tensor):
            buffer = self.buffers[key] = torch.empty_like(tensor, device="cpu", pin_memory=True)
        return buffer.copy_(tensor.detach(), non_blocking=True)


def _layout(tensor: torch.Tensor) -> tuple:
    return tensor.shape, tensor.dtype, tensor.stride()


class TrainingCheckpoint:
    """What a training loop needs to resume.

    Parameters
    ----------
    folder : str or Path
        Kept between attempts; removed by `discard` when the job is done.
    identity : str
        Text of everything that the result depends on. State of another text is not loaded.
    parts : dict
        Name -> object with state_dict and load_state_dict, or a torch.Generator. None is left out.
    every : float, optional
        Seconds of work that an interruption may lose; `CHECKPOINT_INTERVAL` by default.
    background : bool, optional
        Whether to write in a thread; by default if any part is on a GPU.
    """

    def __init__(
        self,
        folder: str | Path,
        identity: str,
        parts: dict,
        every: float | None = None,
        background: bool | None = None,
    ):
        self.path = Path(folder) / f"{digest(identity)}.state"
        self.parts = {name: part for name, part in parts.items() if part is not None}
        self.every = CHECKPOINT_INTERVAL if every is None else every
        self.background = background
        self.saved = self._began = time.monotonic()
        self.save_seconds = 0.0  # duration of the last save, until its file was complete
        self.step_seconds = 0.0  # longest time between two calls of `due`
        self._asked: float | None = None
        self._copies = _HostCopies()

    def load(self) -> int:
        """Load the saved state into the parts; return its number of steps, 0 without a state."""
        _wait(self.path)
        if not self.path.exists():
            return 0
        # With mmap, several processes share the pages.
        state = torch.load(self.path, map_location="cpu", mmap=True, weights_only=True)
        check_state(state["parts"], self.path)
        for name, part in self.parts.items():
            is_generator = isinstance(part, torch.Generator)
            restore = part.set_state if is_generator else part.load_state_dict
            restore(state["parts"][name])
        return state["step"]

    def save(self, step: int) -> None:
        """Save the state after `step` steps.

        Near the end of a SLURM allocation, requeue the job and do not return.

        Raises
        ------
        OSError
            If this save failed, or the last one that a thread wrote.
        """
        if self._ending():
            current = allocation.current()
            margin = current.margin(self.save_seconds, self.step_seconds)
            record = self.path.with_name("requeued.json")
            current.continue_later(record, step, lambda: self._save(step, False), margin)
        self._save(step, self.background)

    def _save(self, step: int, background: bool | None) -> None:
        self.save_seconds = _wait(self.path) or self.save_seconds
        self._began = began = time.monotonic()
        parts = {
            name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            for name, part in self.parts.items()
        }
        if background is None:
            background = _on_gpu(parts)
        if background:
            value = {"step": step, "parts": self._copies.of(parts)}
            copied = torch.cuda.current_stream().record_event() if self._copies.buffers else None
            _writes[self.path] = _writer().submit(_write, self.path, value, copied, began)
        else:
            self.save_seconds = _write(self.path, {"step": step, "parts": parts}, None, began)
        self.saved = time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds between two saves: `every`, or in proportion more if one takes `SAVE_SECONDS`."""
        write = _writes.get(self.path)
        if write is not None and not write.done():
            self.save_seconds = max(self.save_seconds, time.monotonic() - self._began)
        elif write is not None and write.exception() is None:
            self.save_seconds = write.result()
        return self.every * max(1.0, self.save_seconds / SAVE_SECONDS)

    @property
    def due(self) -> bool:
        """Whether it is time to save: by the clock, or because the job's allocation ends soon."""
        now = time.monotonic()
        if self._asked is not None:
            self.step_seconds = max(self.step_seconds, now - self._asked)
        self._asked = now
        return now - self.saved >= self.interval or self._ending()

    def save_if_due(self, step: int) -> bool:
        """Save if it is time to; return whether it was."""
        due = self.due
        if due:
            self.save(step)
        return due

    def _ending(self) -> bool:
        current = allocation.current()
        return current is not None and current.ends(self.save_seconds, self.step_seconds)


def _on_gpu(value) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_cuda
    if isinstance(value, dict):
        return any(_on_gpu(one) for one in value.values())
    return isinstance(value, list | tuple) and any(_on_gpu(one) for one in value)


def discard(folder: str | Path) -> None:
    """Remove a folder of saved state, after writes into it that are under way."""
    for path in [path for path in _writes if path.is_relative_to(folder)]:
        write = _writes.pop(path)
        if write.exception() is not None:
            reason = f"last save failed ({write.exception()})"
            print(f"{path}: {reason}; the job is complete", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
