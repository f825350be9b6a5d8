"""What work is timed on, and its clock."""

import platform
import resource
import subprocess
import time
from pathlib import Path

import torch


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.processor() or "a CPU",
    )


def name(device: torch.device, threads: int) -> str:
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"
    )


def by_processor(device: torch.device) -> bool:
    """Whether seconds are those of the processor: where one thread works and no GPU. Others who use
    the machine then hardly make them longer.
    """
    return device.type == "cpu" and torch.get_num_threads() == 1


def clock(device: torch.device) -> float:
    """Seconds so far: of this process's processor, or of the clock, all work on the GPU done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.process_time() if by_processor(device) else time.perf_counter()


def process(command: list[str], device: torch.device) -> float:
    """Seconds that a process takes, of the same kind, its end among them. Raises SystemExit, with
    what it printed, where it fails.
    """
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if by_processor(device)
        else wall
    )


def peak(device: torch.device) -> int:
    """Bytes of GPU memory that were held at most since `fresh`; 0 where there is no GPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def fresh(device: torch.device) -> None:
    """Give back what nothing holds, so that it counts as free, and begin to count anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
