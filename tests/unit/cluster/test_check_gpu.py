"""A job that was given a GPU which torch cannot use stops at once, and a command tests a node."""

import os
from functools import partial

import pytest
import torch

from scripts import check_gpu
from synscale.models import classifier
from synscale.runtime import gpu_lock, torch_setup

TINY = {"patch_size": 8, "width": 16, "depth": 1, "heads": 2, "pool": "token"}


@pytest.fixture
def node(monkeypatch):
    """A node where torch finds no CUDA device, in a job that was given one GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("LOCAL_WORLD_SIZE", gpu_lock.CPU):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(gpu_lock.ASSIGNED, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    return monkeypatch


@pytest.fixture
def nvidia_smi(tmp_path, node):
    """Return a function that puts a command `nvidia-smi` in place of the machine's."""
    node.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def create(script: str) -> None:
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return create


def test_gpu_job_without_cuda_stops_with_versions(node, nvidia_smi):
    nvidia_smi("echo 470.82.01")
    node.setattr(torch.version, "cuda", None)
    with pytest.raises(SystemExit) as stop:
        torch_setup.deterministic(1)
    message = str(stop.value)
    assert "torch cannot use the GPUs of this job (0 usable, expected 1)" in message
    assert f"this build of torch has no CUDA (torch {torch.__version__}" in message
    assert "driver: 470.82.01, CUDA_VISIBLE_DEVICES='3'" in message
    assert "install its CUDA build of the same version" in message
    assert "To run on the CPU on purpose, set SYNTHETIC_SCALING_CPU=allow" in message


def test_old_driver_is_reported_in_its_own_words(node):
    def old():
        raise RuntimeError("The NVIDIA driver is too old (found version 11040).\nMore.")

    node.setattr(torch.version, "cuda", "13.0")
    node.setattr(torch.cuda, "init", old)
    node.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"too old \(found version 11040\)\. .*no nvidia-smi"):
        torch_setup.require_cuda(1)


def test_broken_driver_is_reported(node, nvidia_smi):
    nvidia_smi("echo Driver/library version mismatch; exit 18")
    assert torch_setup.driver() == "unknown (nvidia-smi: Driver/library version mismatch)"


def test_cpu_is_used_if_it_is_allowed_or_no_gpu_was_given(node):
    node.setenv(gpu_lock.CPU, "allow")
    torch_setup.require_cuda(1)
    node.delenv(gpu_lock.CPU)
    torch_setup.require_cuda(0)
    with pytest.raises(SystemExit):
        torch_setup.require_cuda(1)


@pytest.mark.parametrize(
    ("given", "here", "enough"),
    [("4", None, False), ("2", None, True), ("4", "2", True)],
)
def test_all_gpus_of_a_job_are_needed_on_its_node(node, given, here, enough):
    node.setattr(torch.cuda, "is_available", lambda: True)
    node.setattr(torch.cuda, "device_count", lambda: 2)
    node.setenv(gpu_lock.ASSIGNED, given)
    if here:
        node.setenv("LOCAL_WORLD_SIZE", here)
    if enough:
        assert torch_setup.deterministic(1).type == "cuda"
    else:
        with pytest.raises(SystemExit, match=r"2 usable, expected 4\): fewer devices than GPUs"):
            torch_setup.deterministic(1)


def test_check_passes_where_jobs_can_run(node, tmp_path, capsys):
    node.setenv(gpu_lock.CPU, "allow")
    node.setattr(check_gpu, "compare", partial(check_gpu.compare, architecture=TINY, image_size=16))
    check_gpu.main(["--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    assert f"torch: {torch.__version__}" in printed
    assert "forward pass: largest difference 0.0" in printed
    assert f"write to {tmp_path}: 1 MB" in printed and printed.endswith("can run jobs.\n")
    assert not list(tmp_path.glob(".check_gpu*"))


def test_check_fails_without_cuda(node, tmp_path):
    with pytest.raises(SystemExit, match="torch cannot use the GPUs of this job"):
        check_gpu.main(["--folder", str(tmp_path)])


def test_check_fails_if_the_device_computes_wrong_numbers(node):
    class Wrong(torch.nn.Linear):
        """A layer that is another one after its move to a device."""

        def _apply(self, function):
            self.weight.data += 1
            return super()._apply(function)

    model = torch.nn.Sequential(torch.nn.Flatten(), Wrong(768, 4))
    node.setattr(classifier, "build", lambda *_, **__: model)
    with pytest.raises(SystemExit, match="cpu computes other numbers than the CPU"):
        check_gpu.compare(torch.device("cpu"), TINY, 16)


def test_check_fails_if_the_folder_cannot_be_written(node, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"file/results: cannot write \(.*mount the folder"):
        check_gpu.write(tmp_path / "file/results")
