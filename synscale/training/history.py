"""The history of a training: a table of losses, learning rates and speed over its steps.

A training adds a row about every fortieth of its steps, and every 500 steps if it is long. Half of
the first kind have the held-out loss. The table is next to the saved state while the training runs,
so that it can be watched, and part of the job's output at the end. With `tensorboard` of
config.yaml, each row is also written for TensorBoard.
"""

import csv
import io
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from synscale.runtime.atomic import atomic_write
from synscale.runtime.environment import TENSORBOARD

ROWS = 40  # rows of a short training
MOST_STEPS = 500  # steps between two rows of a long one
HELD_OUT_POINTS = 20  # rows with the held-out loss
# Times and memory are last: all other columns are the same after an interruption.
COLUMNS = (
    "iteration",
    "epoch",
    "loss",
    "learning_rate",
    "gradient_norm",
    "held_out_loss",
    "images_per_second",
    "gpu_memory_mb",
)
RUN_COLUMNS = ("source", "run")  # before the others in the table of a job


def held_out_steps(total: int) -> set[int]:
    """Return the steps of a training after which the held-out loss is computed."""
    return {math.ceil(total * point / HELD_OUT_POINTS) for point in range(1, HELD_OUT_POINTS + 1)}


def recorded_steps(total: int) -> set[int]:
    """Return the steps of a training of `total` steps that have a row."""
    steps = {math.ceil(total * row / ROWS) for row in range(1, ROWS + 1)}
    return steps | set(range(MOST_STEPS, total, MOST_STEPS))


@dataclass(frozen=True)
class Row:
    """A row of a history; numbers are those of its step.

    Parameters
    ----------
    iteration : int
        Steps so far.
    epoch : float
        Epochs so far.
    loss : float
        Training loss of the batch.
    learning_rate : float
    gradient_norm : float
        Euclidean norm before clipping.
    held_out_loss : float or None
        Loss on held-out images, if it was computed.
    images_per_second : float
        Since the row before.
    gpu_memory_mb : float or None
        Most GPU memory that was allocated so far; None on a CPU.
    """

    iteration: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    held_out_loss: float | None
    images_per_second: float
    gpu_memory_mb: float | None

    def texts(self) -> list[str]:
        """Return the values as a row of a csv."""
        values = [getattr(self, name) for name in COLUMNS[1:]]
        return [str(self.iteration), *("" if v is None else f"{v:.6g}" for v in values)]


@dataclass
class TrainingHistory:
    """The rows of one training, in a file next to its saved state.

    Parameters
    ----------
    path : Path
    name : str
        Source and run, as TensorBoard shows them.
    total : int
        Steps of the training.
    batch_size : int
        Images of a step, over all processes.
    images : int
        Images of an epoch.
    """

    path: Path
    name: str
    total: int
    batch_size: int
    images: int

    steps: set[int] = field(init=False)
    held_out: set[int] = field(init=False)
    _step: int = 0
    _time: float = 0.0
    _events: object = None

    def __post_init__(self):
        self.steps = recorded_steps(self.total)
        self.held_out = held_out_steps(self.total)

    def resume(self, step: int) -> None:
        """Keep the rows of the first `step` steps, which are not repeated, and no later ones.

        A state that was saved before histories existed has none; its history begins here.
        """
        is_kept = step and self.path.exists()
        lines = self.path.read_text(encoding="utf-8").splitlines(True) if is_kept else []
        # A row without an end was interrupted, hence is later than the saved state.
        rows = [line for line in lines[1:] if line.endswith("\n")]
        with atomic_write(self.path) as (part,):
            head = [",".join(COLUMNS) + "\n"]
            part.write_text("".join(head + [r for r in rows if int(r.split(",")[0]) <= step]))
        self._step, self._time = step, time.monotonic()

    def add(
        self, step: int, loss: float, learning_rate: float, norm: float, held_out: float | None
    ) -> None:
        """Add the row of a step.

        Parameters
        ----------
        step : int
            Number of the step, from 1.
        loss : float
            Training loss in nats.
        learning_rate : float
        norm : float
            Norm of the gradients before clipping.
        held_out : float or None
            Held-out loss in nats; None if it was not measured.
        """
        seconds = max(time.monotonic() - self._time, 1e-9)
        is_cuda = torch.cuda.is_available()
        row = Row(
            iteration=step,
            epoch=step * self.batch_size / self.images,
            loss=loss,
            learning_rate=learning_rate,
            gradient_norm=norm,
            held_out_loss=held_out,
            images_per_second=(step - self._step) * self.batch_size / seconds,
            gpu_memory_mb=torch.cuda.max_memory_allocated() / 1e6 if is_cuda else None,
        )
        with self.path.open("a", encoding="utf-8") as file:
            file.write(",".join(row.texts()) + "\n")
        self._show(row)
        self._step, self._time = step, time.monotonic()

    def _show(self, row: Row) -> None:
        """Send a row to TensorBoard, if the environment names a folder for it."""
        folder = os.environ.get(TENSORBOARD)
        if not folder:
            return
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(Path(folder) / self.name.replace(" ", "/"))
        for column in COLUMNS[1:]:
            value = getattr(row, column)
            if value is not None:
                self._events.add_scalar(column, value, row.iteration)  # type: ignore[attr-defined]
        self._events.flush()  # type: ignore[attr-defined]


def write_job(path: Path, histories: Iterable[tuple[str, str, Path]]) -> None:
    """Write the table of a job: the histories of its runs, one after the other.

    Parameters
    ----------
    path : Path
    histories : iterable of tuple
        Source, name and file of each run.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*RUN_COLUMNS, *COLUMNS])
    for source, run, file in histories:
        with file.open(encoding="utf-8", newline="") as rows:
            table.writerows([source, run, *row] for row in list(csv.reader(rows))[1:])
    with atomic_write(path) as (part,):
        part.write_text(text.getvalue(), encoding="utf-8")
