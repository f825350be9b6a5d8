"""The machine that work is timed on, and its clock."""

import resource
import subprocess
import time

import torch

from synscale.runtime.origin import processor


def name(device: torch.device, threads: int) -> str:
    """Return the model of the GPU, or of the CPU with the number of threads.

    Parameters
    ----------
    device : torch.device
    threads : int
        Threads of torch.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def by_processor(device: torch.device) -> bool:
    """Return whether CPU time is measured: with one thread and no GPU.

    Other users of the machine hardly lengthen it.
    """
    return device.type == "cpu" and torch.get_num_threads() == 1


def clock(device: torch.device) -> float:
    """Return CPU time of this process or wall time in seconds, after all work on the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.process_time() if by_processor(device) else time.perf_counter()


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def process(command: list[str], device: torch.device) -> float:
    """Return the seconds that a process takes, of the same kind as `clock`.

    Parameters
    ----------
    command : list of str
        Program and its arguments.
    device : torch.device

    Raises
    ------
    SystemExit
        With its output, if it fails.
    """
    read = _children if by_processor(device) else time.perf_counter
    start = read()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return read() - start


def peak(device: torch.device) -> int:
    """Return the most bytes of GPU memory since `fresh`; 0 without a GPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def fresh(device: torch.device) -> None:
    """Free cached GPU memory, and reset the peak."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
