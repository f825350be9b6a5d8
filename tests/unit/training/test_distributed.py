"""Several processes train as one, end together, and leave a state for any number of processes."""

import contextlib
import io
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from synscale.runtime import launch
from tests.support.classifier_runs import classifier_arguments, classifier_job
from tests.support.processes import assert_same_models, start
from tests.support.workflow import SMOKE

# A rank is killed when it asks for its fourth batch, while rank 0 saves its state after every step.
DYING = """
import os, signal
from scripts import train_classifiers
from synscale.training import checkpoint, stream

def dying(*arguments, batches=stream.iter_training, **named):
    for count, batch in enumerate(batches(*arguments, **named)):
        if count == 3 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

stream.iter_training = dying
checkpoint.CHECKPOINT_INTERVAL = 0.0
train_classifiers.main()
"""
WAITING = """
import os, sys, time
from pathlib import Path
from synscale.training import distributed
from synscale.runtime.atomic import atomic_write

with distributed.process_group(1) as processes:
    with atomic_write(Path(sys.argv[1]) / f"pid{processes.rank}") as (part,):
        part.write_text(str(os.getpid()))
    time.sleep(600)
"""


def job(
    folder: Path, name: str, script: str = "scripts.train_classifiers", study: Path = SMOKE
) -> list[str]:
    """Return the script and arguments of the job that `classifier_job` runs in this process."""
    return [script, *classifier_arguments(folder, name, study)]


def losses(output: str) -> dict[str, float]:
    """Last training loss of each run."""
    return {
        name: float(loss)
        for name, loss in re.findall(
            r"^real (\S+): 5 steps, last training loss (\S+)$", output, re.MULTILINE
        )
    }


@pytest.fixture(scope="module")
def reference_run(tmp_path_factory):
    """A folder where one process has trained, and its output."""
    folder, said = tmp_path_factory.mktemp("reference_run"), io.StringIO()
    with contextlib.redirect_stdout(said):
        classifier_job(folder, "reference_run")
    (folder / "said.txt").write_text(said.getvalue())
    return folder


@pytest.mark.slow
def test_two_nodes_train_as_one_process_does(reference_run):
    """Each node has its own torchrun; here both are on this machine."""
    nodes = [
        start(
            [*launch.torchrun(2, 2, "localhost", os.getpid()), "-m", *job(reference_run, "two")],
            reference_run,
        )
        for _ in range(2)
    ]
    outputs = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "".join(outputs)
    assert losses("".join(outputs)) == pytest.approx(
        losses((reference_run / "said.txt").read_text()), abs=2e-4
    )
    assert len(losses("".join(outputs))) == 6
    assert_same_models(reference_run / "reference_run", reference_run / "two")
    assert not (reference_run / "state_two").exists()


@pytest.mark.slow
def test_compiled_micro_batches_of_two_processes_train_as_one(reference_run, tmp_path):
    study = tmp_path / "fast.yaml"
    study.write_text(
        SMOKE.read_text().replace(
            "  label_smoothing: 0.1\n",
            "  label_smoothing: 0.1\n  compile: aot_eager\n  micro_batch_size: 4\n",
            1,
        )
    )
    process = start(launch.command(2, 1, 2, job(reference_run, "fast", study=study)), reference_run)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert losses(output) == pytest.approx(
        losses((reference_run / "said.txt").read_text()), abs=2e-4
    )
    assert_same_models(reference_run / "reference_run", reference_run / "fast")


@pytest.mark.slow
def test_killed_process_ends_the_job_and_one_process_resumes(reference_run):
    (reference_run / "dying.py").write_text(DYING)
    killed = start(launch.command(2, 1, 2, job(reference_run, "killed", "dying")), reference_run)
    output, _ = killed.communicate(
        timeout=300
    )  # not the hour for which processes wait for one another
    assert killed.returncode != 0
    assert "SIGKILL" in output
    assert not (reference_run / "killed").exists()
    (state,) = (reference_run / "state_killed").rglob("*.state")
    assert torch.load(state, weights_only=True)["step"] == 3
    classifier_job(reference_run, "killed")
    assert_same_models(reference_run / "reference_run", reference_run / "killed")


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux signals a process whose parent was killed"
)
def test_processes_do_not_outlive_a_killed_launcher(tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING)
    launcher = start(launch.command(2, 1, 2, ["waiting", str(tmp_path)]), tmp_path)
    deadline = time.monotonic() + 300
    while len(files := list(tmp_path.glob("pid?"))) < 2:
        assert launcher.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    processes = [int(file.read_text()) for file in files]
    launcher.send_signal(signal.SIGKILL)
    launcher.communicate()
    while any(map(alive, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_gpu_or_none_needs_no_launcher():
    assert (
        launch.command(0, 1, 1, ["scripts.x", "--a"])
        == launch.command(1, 1, 1, ["scripts.x", "--a"])
        == [sys.executable, "-m", "scripts.x", "--a"]
    )


def test_srun_starts_one_launcher_on_each_node(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12345")
    command = launch.command(16, 2, 64, ["scripts.x"])
    assert command[0] == "srun"
    assert {
        "--nodes=2",
        "--ntasks=2",
        "--cpus-per-task=64",
        "--gpus-per-node=8",
        "--kill-on-bad-exit=1",
    } <= set(command)
    assert command[command.index("--nproc-per-node") + 1] == "8"
    assert "--rdzv-id" in command and "12345" in command


def test_nodes_with_different_numbers_of_gpus_are_refused():
    with pytest.raises(SystemExit, match=r"gpu \(3\) must be divisible by nodes \(2\)"):
        launch.command(3, 2, 1, ["scripts.x"])
