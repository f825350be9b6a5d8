"""Jobs of one machine, or of one SLURM allocation, share its GPUs: each has its own."""

import os
import subprocess
import sys

import pytest

from synscale.runtime import gpu_lock
from tests.support.workflow import ROOT

# Take GPUs as launch does, print them from the program that replaces this one, and wait for input.
JOB = """
import os, pathlib, sys
from synscale.runtime import gpu_lock
folder = pathlib.Path(sys.argv[1])
machine = gpu_lock.Machine(folder, folder / "driver", folder / "locks")
gpu_lock.acquire_gpus(int(sys.argv[2]), machine)
show = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); input()"
os.execv(sys.executable, [sys.executable, "-c", show])
"""
UUIDS = [f"GPU-{digit * 8}-0000-0000-0000-{digit * 12}" for digit in "abcd"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Four GPUs without a scheduler; the driver lists no UUID."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in list(os.environ):
        if name.startswith(("SLURM_", "CUDA_", "SYNTHETIC_SCALING_")):
            del os.environ[name]
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    return gpu_lock.Machine(tmp_path, tmp_path / "driver", tmp_path / "locks")


@pytest.fixture
def start(machine):
    """Start a job in another process. Return the process and the GPUs it got, or its error."""
    jobs = []

    def begin(count: int = 1, **variables: str):
        environment = {**os.environ, **variables}
        command = [sys.executable, "-S", "-c", JOB, machine.devices, str(count)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        job = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)
        jobs.append(job)
        return job, job.stdout.readline().strip() or job.stderr.read()

    yield begin
    for job in jobs:
        job.kill()
        job.communicate()


def with_uuids(machine: gpu_lock.Machine) -> None:
    for number, uuid in enumerate(UUIDS):
        folder = machine.driver / f"0000:{number}0:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t Some\nGPU UUID: \t {uuid}\n")


def test_jobs_get_different_gpus_and_a_killed_job_frees_its_own(start):
    jobs = [start() for _ in range(4)]
    assert [devices for _, devices in jobs] == ["0", "1", "2", "3"]
    error = start()[1]
    assert "too few free GPUs for this job (0 of 4, expected 1)" in error
    assert f"GPU 0: process {jobs[0][0].pid}, " in error and "snakemake --resources gpu=4" in error
    jobs[2][0].kill()
    jobs[2][0].wait()
    assert start()[1] == "2"


def test_jobs_stay_within_the_mask(start):
    mask = {"CUDA_VISIBLE_DEVICES": "2,3"}
    assert [start(**mask)[1], start(**mask)[1]] == ["2", "3"]
    assert "(0 of 2, expected 1)" in start(**mask)[1]
    assert start(2)[1] == "0,1"


def test_job_locks_each_of_its_gpus(start):
    assert start(2)[1] == "0,1"
    assert "(2 of 4, expected 3)" in start(3)[1]
    assert start(2)[1] == "2,3"


def test_more_gpus_than_are_visible_are_refused(start):
    error = start(3, CUDA_VISIBLE_DEVICES="2,3")[1]
    assert "too few visible GPUs for this job (2, expected 3; CUDA_VISIBLE_DEVICES='2,3')" in error


def test_index_and_uuid_of_one_gpu_have_one_lock(machine, start):
    with_uuids(machine)
    assert start(CUDA_VISIBLE_DEVICES=UUIDS[1])[1] == UUIDS[1]
    assert start(CUDA_VISIBLE_DEVICES="1,2")[1] == "2"
    assert start(CUDA_VISIBLE_DEVICES=f"{UUIDS[2][:12]},{UUIDS[0][:12]}")[1] == UUIDS[0][:12]


def test_instances_of_a_divided_gpu_have_their_own_locks(start):
    mask = {"CUDA_VISIBLE_DEVICES": "MIG-1111,MIG-GPU-2222/1/0"}
    assert [start(**mask)[1], start(**mask)[1]] == ["MIG-1111", "MIG-GPU-2222/1/0"]


def test_jobs_of_one_allocation_share_it(start):
    allocation = {"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": "0,1"}
    assert [start(**allocation)[1], start(**allocation)[1]] == ["0", "1"]
    assert "(0 of 2, expected 1)" in start(**allocation)[1]
    step = allocation | {"SLURM_STEP_GPUS": "3", "CUDA_VISIBLE_DEVICES": "0"}
    assert "(0 of 1, expected 1)" in start(**step)[1]  # the same GPU under another number


def test_allocations_do_not_wait_for_each_other(start):
    """With cgroups, SLURM numbers the GPUs of each allocation from 0."""
    first = start(SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="0")
    second = start(SLURM_JOB_ID="8", CUDA_VISIBLE_DEVICES="0")
    assert first[1] == second[1] == "0"


def test_allocations_without_gpus_of_slurm_share_the_machine(start):
    """SLURM that does not know the GPUs of its nodes gives no job a mask."""
    assert [start(SLURM_JOB_ID="7")[1], start(SLURM_JOB_ID="8")[1]] == ["0", "1"]


def test_job_without_gpus_sees_none(machine):
    gpu_lock.acquire_gpus(0, machine)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_machine_without_gpus_gets_no_lock(machine, tmp_path):
    (tmp_path / "empty").mkdir()
    gpu_lock.acquire_gpus(
        1, gpu_lock.Machine(tmp_path / "empty", tmp_path / "driver", tmp_path / "locks")
    )
    assert "CUDA_VISIBLE_DEVICES" not in os.environ and not (tmp_path / "locks").exists()


@pytest.mark.parametrize(
    ("mask", "devices"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1,-1,2", ["1"]),
        (" 3 , 0", ["3", "0"]),
        ("1,1", ["1"]),
    ],
)
def test_mask_is_read_as_cuda_reads_it(machine, mask, devices):
    os.environ["CUDA_VISIBLE_DEVICES"] = mask
    assert [gpu.device for gpu in machine.visible()] == devices


def test_permission_to_use_the_cpu_has_one_spelling(machine):
    assert not gpu_lock.cpu_allowed()
    os.environ[gpu_lock.CPU] = "allow"
    assert gpu_lock.cpu_allowed()
    os.environ[gpu_lock.CPU] = "yes"
    with pytest.raises(SystemExit, match=r"SYNTHETIC_SCALING_CPU: unknown value \('yes', expected"):
        gpu_lock.cpu_allowed()
