"""What work is timed on, and its clock."""

import platform
import time
from pathlib import Path

import torch


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "a CPU")


def name(device: torch.device, threads: int) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def clock(device: torch.device) -> float:
    """Seconds of the wall, all work on the GPU done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(device: torch.device) -> int:
    """Bytes of GPU memory that were held at most since `fresh`; 0 where there is no GPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def fresh(device: torch.device) -> None:
    """Give back what nothing holds, so that it counts as free, and begin to count anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
