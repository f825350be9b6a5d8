"""What the training loops share: resume, check the loss, record it, save by time, and report."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from synscale.runtime.time_left import time_left
from synscale.training.checkpoint import TrainingCheckpoint
from synscale.training.distributed import ProcessGroup
from synscale.training.divergence import check_finite
from synscale.training.finite_state import gradient_norm
from synscale.training.history import TrainingHistory

REPORT_SECONDS = 120.0  # between two lines of the log
CHECK_STEPS = 100  # between checks of the loss: reading it makes the CPU wait for the GPU


def compile_model(model: torch.nn.Module, backend: str | None) -> None:
    """Compile a model in place, so that names of weights stay; without a backend, do nothing.

    torch advises to do so within DistributedDataParallel, hence before it wraps the model.

    Parameters
    ----------
    model : torch.nn.Module
    backend : str or None
        Backend of torch.compile; None to leave the model as it is.
    """
    if backend:
        # A job has several runs, and torch stops compiling after eight models.
        torch.compiler.reset()
        model.compile(backend=backend, dynamic=False)


def clip_norm(model: torch.nn.Module, largest: float | None) -> torch.Tensor | None:
    """Clip the norm of the gradients, if it has a limit; return the norm before, otherwise None.

    Parameters
    ----------
    model : torch.nn.Module
    largest : float or None
        Largest norm; None for no limit.
    """
    return torch.nn.utils.clip_grad_norm_(model.parameters(), largest) if largest else None


@dataclass
class TrainingProgress:
    """Steps of one training.

    The loss is checked before each save, so that the state on disk is always finite.

    Parameters
    ----------
    name : str
        Source and run, as they are printed.
    total : int
        Steps of the training.
    batch_size : int
        Images or pairs of a step, over all processes.
    unit : str
        What a batch has, for the reported speed.
    advice : str
        What to change if the training diverges.
    model : Module
    checkpoint : TrainingCheckpoint
    processes : ProcessGroup
    images : int
        Images or pairs of an epoch.
    held_out : callable, optional
        Returns the held-out loss; None records none.
    """

    name: str
    total: int
    batch_size: int
    unit: str
    advice: str
    model: torch.nn.Module
    checkpoint: TrainingCheckpoint
    processes: ProcessGroup
    images: int
    held_out: Callable[[], float] | None = None

    history: TrainingHistory = field(init=False)
    step: int = 0
    first: int = 0
    began: float = 0.0
    reported: float = 0.0
    loss: torch.Tensor | None = None
    learning_rate: float = 0.0
    norm: torch.Tensor | None = None

    def __post_init__(self):
        path = self.checkpoint.path.with_suffix(".csv")
        sizes = self.total, self.batch_size, self.images
        self.history = TrainingHistory(path, self.name, *sizes)

    def resume(self) -> int:
        """Load the saved state, if there is one, and return the number of its steps.

        Raises
        ------
        SystemExit
            If processes loaded different states.
        """
        step = self.checkpoint.load()
        expected = self.processes.broadcast(step)
        if step != expected:
            raise SystemExit(
                f"{self.name}: rank {self.processes.rank} loaded step {step} but rank 0 loaded "
                f"step {expected} (stale network file system?); run the job again"
            )
        if self.processes.is_main:
            self.history.resume(step)
        self.step = self.first = step
        self.began = self.reported = time.monotonic()
        return step

    def end_step(self, loss: torch.Tensor, learning_rate: float, norm: torch.Tensor | None) -> None:
        """Note the end of a step; record it, and save the state, if it is time to.

        Parameters
        ----------
        loss : Tensor, shape ()
            Mean loss of the share of this process.
        learning_rate : float
        norm : Tensor, shape (), or None
            Norm of the gradient before clipping, if it was computed.

        Raises
        ------
        SystemExit
            If the loss or the gradient is not finite.
        """
        self.step += 1
        self.loss = loss
        self.learning_rate = learning_rate
        self.norm = norm
        is_recorded = self.step in self.history.steps
        if is_recorded:
            mean = self.processes.mean(loss)  # all processes take part
        if not self.processes.is_main:
            return
        if is_recorded:
            self._record(mean)
        is_due = self.checkpoint.due
        if is_due or self.step % CHECK_STEPS == 0:
            self._check(loss.item())
        if is_due:
            self.checkpoint.save(self.step)
        if is_due or (is_recorded and time.monotonic() - self.reported >= REPORT_SECONDS):
            self._report(loss.item())

    def _report(self, loss: float) -> None:
        done, seconds = self.step - self.first, time.monotonic() - self.began
        self.reported = time.monotonic()
        speed = f"{done * self.batch_size / seconds:.0f} {self.unit} per second"
        left = time_left(done, self.total - self.first, seconds)
        progress = f"step {self.step} of {self.total}, training loss {loss:.4f}"
        print(f"{self.name}: {progress}, {speed}, {left}", flush=True)

    def finish(self) -> None:
        """Report the last loss. Raises SystemExit if it is not finite."""
        end = "resumed after the last step"
        if self.loss is not None:
            end = f"last training loss {self._check(self.processes.mean(self.loss)):.4f}"
        if self.processes.is_main:
            print(f"{self.name}: {self.total} steps, {end}", flush=True)

    def _record(self, loss: float) -> None:
        self._check(loss)
        is_held_out = self.held_out is not None and self.step in self.history.held_out
        held_out = self.held_out() if is_held_out else None  # type: ignore[misc]
        self.history.add(self.step, loss, self.learning_rate, self._norm(), held_out)

    def _norm(self) -> float:
        return gradient_norm(self.model) if self.norm is None else self.norm.item()

    def _check(self, loss: float) -> float:
        return check_finite(
            loss, self.name, self.step, self.learning_rate, self._norm(), self.advice
        )
