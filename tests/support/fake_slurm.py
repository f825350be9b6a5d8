"""A job's view of SLURM without a SLURM: its environment, and programs in the place of squeue and
scontrol.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synscale.cluster import allocation


def job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Make this process a job that may be requeued.

    Parameters
    ----------
    folder : Path
        Where programs are written; it becomes the first of PATH.
    monkeypatch : pytest.MonkeyPatch

    Returns
    -------
    callable
        Writes a program: its name, and its lines of sh.
    """
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for name in ("SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME", allocation.MARGIN_SETTING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocation, "PAUSE", 0.0)
    monkeypatch.setattr(allocation, "KILL_WAIT", 0.0)
    monkeypatch.setenv(allocation.PERMISSION, "")
    allocation.permit()
    allocation.current.cache_clear()

    def write(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return write


def allocated(length: float, left: float) -> allocation.Allocation:
    """An allocation with a time limit of `length` seconds, of which `left` are left."""
    return allocation.Allocation("7", time.monotonic() + left, length)
