"""GPUs of an allocation: shared by jobs within it, and required by jobs that asked for them."""

import subprocess
import sys

from synscale.runtime import gpu_lock
from tests.support.slurm.cluster import ACCOUNT
from tests.support.workflow import ROOT, SMOKE

WHERE = ("-p", "gpu", "-A", ACCOUNT, "--mem=2000", "--chdir", str(ROOT))
# A job that Snakemake would start within the allocation: it shows its GPU and keeps it a while.
SHOW = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(4)"
MODULE = "scripts_show"


def run(cluster, *command: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**cluster.environment, **variables}
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(["timeout", "120", *command], cwd=ROOT, env=environment, **pipes)


def test_jobs_within_one_allocation_use_different_gpus(cluster, tmp_path):
    (tmp_path / f"{MODULE}.py").write_text(SHOW)
    job = f"{sys.executable} -m synscale.runtime.launch 1 {MODULE}"
    both = f"{job} & {job} & wait"
    variables = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = run(cluster, "srun", *WHERE, "--gpus=h100:2", "bash", "-c", both, **variables)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 2, done.stdout + done.stderr


def test_two_allocations_do_not_wait_for_each_other(cluster, tmp_path):
    (tmp_path / f"{MODULE}.py").write_text(SHOW)
    variables = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    job = [
        "srun",
        *WHERE,
        "--gpus=h100:1",
        sys.executable,
        "-m",
        "synscale.runtime.launch",
        "1",
        MODULE,
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**cluster.environment, **variables}
    started = [subprocess.Popen(job, cwd=ROOT, env=environment, **pipes) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert len({output.strip() for output, _ in outputs}) == 2, outputs


def test_gpu_job_without_cuda_ends_at_once(cluster, tmp_path):
    """The GPUs of this cluster are pretend, so torch finds none."""
    script = ["scripts.train_generator", "--study", str(SMOKE), "--generator", "diffusion"]
    files = ("classes", "images", "history", "output", "state")
    script += [word for name in files for word in (f"--{name}", str(tmp_path / name))]
    launch = [sys.executable, "-m", "synscale.runtime.launch", "1", *script]
    done = run(cluster, "srun", *WHERE, "--gpus=h100:1", *launch, **{gpu_lock.CPU: ""})
    assert done.returncode != 0
    assert "torch cannot use the GPUs of this job (0 usable, expected 1)" in done.stderr
    assert not (tmp_path / "output").exists()


def test_check_of_a_node_as_documented(cluster, tmp_path):
    check = [sys.executable, "-m", "scripts.check_gpu", "--folder", str(tmp_path)]
    refused = run(cluster, "srun", *WHERE, "--gpus=h100:1", *check, **{gpu_lock.CPU: ""})
    assert refused.returncode != 0 and "torch cannot use the GPUs" in refused.stderr
    assert "GPUs: CUDA_VISIBLE_DEVICES='" in refused.stdout
    allowed = run(cluster, "srun", *WHERE, "--gpus=h100:1", *check)
    assert allowed.returncode == 0 and allowed.stdout.endswith("This node can run jobs.\n")
