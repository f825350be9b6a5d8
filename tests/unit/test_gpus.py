"""Jobs of one machine share its GPUs without a scheduler."""

import os
import subprocess
import sys

import pytest

from scripts.lib import gpus
from tests.support.workflow import ROOT


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Two GPUs, and nobody who says which is whose."""
    for name in ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    return tmp_path


def another(machine) -> subprocess.Popen:
    """A process that claims a GPU, prints which, and holds it."""
    code = "import os, pathlib, sys, time; from scripts.lib import gpus; p = pathlib.Path(sys.argv[1]); gpus.claim(p, p / 'locks'); "
    code += "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(60)"
    return subprocess.Popen([sys.executable, "-c", code, machine], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_each_job_has_a_gpu_of_its_own_and_a_killed_one_gives_it_back(machine):
    first = another(machine)
    assert first.stdout.readline() == "0\n"
    second = another(machine)
    assert second.stdout.readline() == "1\n"
    with pytest.raises(SystemExit, match="each of the 2 GPUs"):
        gpus.claim(machine, machine / "locks")
    first.kill()
    first.wait()
    third = another(machine)
    assert third.stdout.readline() == "0\n"
    for process in (second, third):
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "SLURM_JOB_ID"])
def test_whoever_has_chosen_is_obeyed(machine, name):
    os.environ[name] = "3"
    gpus.claim(machine, machine / "locks")
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == ("3" if name == "CUDA_VISIBLE_DEVICES" else None)


def test_one_gpu_needs_no_choice(machine):
    (machine / "nvidia1").unlink()
    gpus.claim(machine, machine / "locks")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
