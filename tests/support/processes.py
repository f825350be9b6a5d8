"""Trainings by several processes: how they are started, and what they must agree on."""

import os
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.support.workflow import ROOT


def start(command: list[str], folder: Path) -> subprocess.Popen:
    """Start a command that can import scripts of a folder."""
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_same_models(folder: Path, other: Path) -> None:
    """Compare models up to rounding: 2.5e-5 was seen.

    AdamW's first steps have nearly the same size whatever the gradient is, and scale rounding up.
    """
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in other.iterdir()
    )
    for path in folder.iterdir():
        one, two = load_file(path), load_file(other / path.name)
        assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one), path.name
