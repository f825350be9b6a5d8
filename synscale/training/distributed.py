"""Training and generation by several processes, one for each GPU, on one machine or several.

`launch.py` starts them.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from synscale.runtime.torch_setup import deterministic

import torch
import torch.distributed as dist

T = TypeVar("T")
# While rank 0 reads the manifests of a large set, the others wait.
TIMEOUT = timedelta(hours=1)
PR_SET_PDEATHSIG = 1  # a number of prctl


def count_micro_batches(key: str, batch_size: int, largest: int | None, ranks: int) -> int:
    """Return the number of equal micro-batches that a process divides its share of a batch into.

    Parameters
    ----------
    key : str
        Key of the batch size in the study, for the message.
    batch_size : int
        Images of a batch, over all processes.
    largest : int or None
        Largest micro-batch, in images.
    ranks : int
        Number of processes.

    Returns
    -------
    int
        The smallest number with which no micro-batch is larger than `largest`.

    Raises
    ------
    SystemExit
        If the processes cannot have equal shares.
    """
    if batch_size % ranks:
        problem = f"must be divisible by the number of processes ({ranks})"
        raise SystemExit(f"{key} ({batch_size}) {problem}; use a number of GPUs that divides it")
    share = batch_size // ranks
    counts = (n for n in range(1, share + 1) if share % n == 0)
    return next(n for n in counts if share // n <= (largest or share))


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that do one job together, usually one.

    Parameters
    ----------
    device : torch.device
    rank : int
        Number of this process.
    ranks : int
        Number of processes.
    workers : int
        Processes that read images for this one.
    """

    device: torch.device
    rank: int = 0
    ranks: int = 1
    workers: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """Return the value of rank 0."""
        if self.ranks == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        """Wait until all processes have called this."""
        if self.ranks > 1:
            dist.barrier()

    def mean(self, value: torch.Tensor) -> float:
        """Return the mean of a number over the processes.

        Parameters
        ----------
        value : Tensor, shape ()
        """
        value = value.detach().clone()
        if self.ranks > 1:
            dist.all_reduce(value)
        return value.item() / self.ranks

    def wrap_ddp(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model, whose gradients are means over all processes."""
        if self.ranks == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(model, device_ids=devices)


def _die_with_parent() -> None:
    """Have Linux end this process when its launcher ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def process_group(threads: int) -> Iterator[ProcessGroup]:
    """Join the processes of this job.

    Parameters
    ----------
    threads : int
        CPU threads of the job on this machine, divided among its processes here. All threads of a
        process but one are workers that read images.
    """
    threads_each = max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    workers = threads_each - 1
    device = deterministic(threads_each)
    if "WORLD_SIZE" not in os.environ:
        yield ProcessGroup(device, workers=workers)
        return
    _die_with_parent()
    is_cuda = device.type == "cuda"
    if is_cuda:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    backend, device_id = ("nccl", device) if is_cuda else ("gloo", None)
    dist.init_process_group(backend, timeout=TIMEOUT, device_id=device_id)
    yield ProcessGroup(device, dist.get_rank(), dist.get_world_size(), workers)
    dist.destroy_process_group()  # not after an error: it would wait for ended processes
