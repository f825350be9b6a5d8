"""What the training loops share: resume, check the loss, save by time, and report."""

import time
from dataclasses import dataclass

import torch

from synscale.runtime.time_left import time_left
from synscale.training.checkpoint import TrainingCheckpoint
from synscale.training.distributed import ProcessGroup
from synscale.training.divergence import check_finite
from synscale.training.finite_state import gradient_norm

CHECK_STEPS = 100  # between checks of the loss: reading it makes the CPU wait for the GPU


def compile_model(model: torch.nn.Module, backend: str | None) -> None:
    """Compile a model in place, so that names of weights stay; without a backend, do nothing.

    torch advises to do so within DistributedDataParallel, hence before it wraps the model.
    """
    if backend:
        # A job has several runs, and torch stops compiling after eight models.
        torch.compiler.reset()
        model.compile(backend=backend, dynamic=False)


def clip_norm(model: torch.nn.Module, largest: float | None) -> torch.Tensor | None:
    """Clip the norm of the gradients, if it has a limit; return the norm before, otherwise None."""
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
    """

    name: str
    total: int
    batch_size: int
    unit: str
    advice: str
    model: torch.nn.Module
    checkpoint: TrainingCheckpoint
    processes: ProcessGroup

    step: int = 0
    first: int = 0
    began: float = 0.0
    loss: torch.Tensor | None = None
    learning_rate: float = 0.0
    norm: torch.Tensor | None = None

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
        self.step = self.first = step
        self.began = time.monotonic()
        return step

    def end_step(self, loss: torch.Tensor, learning_rate: float, norm: torch.Tensor | None) -> None:
        """Note the end of a step, and save the state if it is time to.

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
        if not self.processes.is_main:
            return
        is_due = self.checkpoint.due
        if is_due or self.step % CHECK_STEPS == 0:
            value = self._check(loss.item())
        if is_due:
            self.checkpoint.save(self.step)
            self._report(value)

    def _report(self, loss: float) -> None:
        done, seconds = self.step - self.first, time.monotonic() - self.began
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

    def _check(self, loss: float) -> float:
        norm = gradient_norm(self.model) if self.norm is None else self.norm.item()
        return check_finite(loss, self.name, self.step, self.learning_rate, norm, self.advice)
