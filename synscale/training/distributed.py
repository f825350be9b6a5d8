"""Training and generation by several processes, one for each GPU, on one machine or many: what they
must agree on. `launch.py` starts them.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from synscale.runtime.torch_setup import deterministic

import torch
import torch.distributed as dist

PATIENCE = timedelta(
    hours=1
)  # while the first process reads the manifests of a large set, the others wait


def count_micro_batches(key: str, batch_size: int, largest: int | None, ranks: int) -> int:
    """How many times a process goes through a part of its share of a batch, in equal parts none of
    which is over `largest`.

    key: of the batch size in the study. Raises SystemExit where the processes cannot have equal
    shares.
    """
    if batch_size % ranks:
        raise SystemExit(
            f"{key} = {batch_size}: cannot be shared equally by {ranks} processes: take a number of GPUs that divides it"
        )
    own = batch_size // ranks
    return next(n for n in range(1, own + 1) if own % n == 0 and own // n <= (largest or own))


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that do one job together, such as to train a model; most often there is one.

    rank: of this process; ranks: of all; workers: processes that each may have read images for it.
    """

    device: torch.device
    rank: int = 0
    ranks: int = 1
    workers: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def broadcast(self, value):
        """The leader's value, for all."""
        if self.ranks == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        """For all to have come as far."""
        if self.ranks > 1:
            dist.barrier()

    def mean(self, value: torch.Tensor) -> float:
        """Mean of a number over the processes."""
        value = value.detach().clone()
        if self.ranks > 1:
            dist.all_reduce(value)
        return value.item() / self.ranks

    def wrap_ddp(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model, whose gradients are means over all processes."""
        if self.ranks == 1:
            return model
        return torch.nn.parallel.DistributedDataParallel(
            model, device_ids=[self.device] if self.device.type == "cuda" else None
        )


def _die_with_parent() -> None:
    """Have the system end this process when its launcher dies, even by SIGKILL: nobody else would
    tell it. On Linux alone.
    """
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def process_group(threads: int) -> Iterator[ProcessGroup]:
    """The processes of this job. threads: CPU threads of the job on this machine, shared by its
    processes here; one of each process is its own, the others read images.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    own = max(1, threads // here)
    device = deterministic(own)
    if "WORLD_SIZE" not in os.environ:
        yield ProcessGroup(device, workers=own - 1)
        return
    _die_with_parent()
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        timeout=PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    yield ProcessGroup(device, dist.get_rank(), dist.get_world_size(), own - 1)
    dist.destroy_process_group()  # not after an error: it would wait for processes that may be gone
