"""Faults to inject, as clusters have them, and a study whose jobs run long enough to be hit."""

import contextlib
import hashlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.shared import digests
from tests.support.slurm.cluster import Cluster, Job, wait_for
from tests.support.slurm.workflows import OnCluster

# What each stage is asked for, and where it keeps the state that a retry resumes from.
STAGES = {
    "train_generator": ("results/smoke/generators/diffusion", ".state/smoke/generators/diffusion"),
    "generate": (
        "results/smoke/images/masked_captions/00000.tar",
        ".state/smoke/images/masked_captions/00000",
    ),
    "train_classifiers": (
        "results/smoke/classifiers/real/vit_tiny",
        ".state/smoke/classifiers/real/vit_tiny",
    ),
    "train_clip": ("results/smoke/clip/real/clip_tiny", ".state/smoke/clip/real/clip_tiny"),
}
HOG = """
    import signal, time
    def hog(*_):
        kept = []
        while True:
            kept.append(b"x" * (256 << 20))
            time.sleep(0.1)
    signal.signal(signal.SIGUSR1, hog)
"""


def with_one_thread(workflow: OnCluster) -> None:
    """Let trainings have one thread: on a CPU, other numbers of threads change the last digits."""
    for rules in ("rules/train.smk", "rules/clip.smk"):
        workflow.edit("threads: resources.training_threads", "threads: 1", rules)


def long_study(folder: Path, cluster: Cluster) -> OnCluster:
    """The smoke study with jobs of some ten seconds that save their state twice a second, and take
    too much memory on request.
    """
    workflow = OnCluster.create(folder, cluster)
    with_one_thread(workflow)
    workflow.edit(
        "iterations: 20, batch_size: 16, learning_rate: 2.0e-3",
        "iterations: 400, batch_size: 16, learning_rate: 2.0e-3",
    )
    workflow.edit("steps: 2\n    temperature", "steps: 100\n    temperature")
    workflow.edit("iterations: {10: 5, 20: 5, 40: 5}", "iterations: {10: 500, 20: 500, 40: 500}")
    workflow.edit(
        "iterations: {10: 4, 20: 4, 40: 4, 80: 4}",
        "iterations: {10: 300, 20: 300, 40: 300, 80: 300}",
    )
    workflow.edit(
        "CHECKPOINT_INTERVAL = 300.0",
        "CHECKPOINT_INTERVAL = 0.5",
        "synscale/training/checkpoint.py",
    )
    workflow.edit(
        "batch_size: int = Field(default=64",
        "batch_size: int = Field(default=4",
        "synscale/workflow/settings/generation.py",
    )
    workflow.edit(
        '    os.environ.setdefault("CUBLAS',
        f'{HOG}\n    os.environ.setdefault("CUBLAS',
        "synscale/runtime/torch_setup.py",
    )
    return workflow


def cancelled(cluster: Cluster, job: Job, process) -> None:
    """Cancel the job, as its user or an administrator does."""
    cluster.call("scancel", job.id)


def killed(cluster: Cluster, job: Job, process) -> None:
    process.send_signal(signal.SIGKILL)


def out_of_time(cluster: Cluster, job: Job, process) -> None:
    """Let the job hang until its limit ends it; SLURM's shortest limit is a minute."""
    process.suspend()
    cluster.call("scontrol", "update", f"JobId={job.id}", "TimeLimit=1")


def out_of_memory(cluster: Cluster, job: Job, process) -> None:
    process.send_signal(signal.SIGUSR1)


def requeued(cluster: Cluster, job: Job, process) -> None:
    """Requeue the job, as a preemption does. SLURM lets such a job wait for two minutes; it may
    start at once here.
    """
    cluster.call("scontrol", "requeue", job.id)
    cluster.hasten()


def node_down(cluster: Cluster, job: Job, process) -> None:
    """Take the node down and up again; all its jobs return to the queue."""
    cluster.node("DOWN")
    wait_for(lambda: not process.is_running(), "the job outlived its node")
    # A node that takes a job again while its old one still ends is drained, and the job held
    # ("Duplicate jobid"): an administrator must fix it.
    wait_for(lambda: not cluster.steps(), "the node did not end its jobs")
    time.sleep(8)  # slurmd forgets the jobs some seconds later, and shows this nowhere
    cluster.node("RESUME")
    cluster.hasten()


FAULTS: dict[str, Callable] = {
    "scancel": cancelled,
    "SIGKILL": killed,
    "time limit": out_of_time,
    "out of memory": out_of_memory,
    "requeue": requeued,
    "node down": node_down,
}


@dataclass
class Hit:
    """A fault that was injected."""

    stage: str
    fault: str
    job: str
    lost: float  # seconds of work since the last save


def ready(workflow: OnCluster, stage: str, process) -> bool:
    """Whether a job is in the middle of its work: it has saved some in this attempt."""
    return workflow.saved(process, STAGES[stage][1]) > process.create_time()


def outputs(workflow: OnCluster) -> dict[str, str]:
    """sha256 of every file that the stages wrote."""
    digests_by_file = {}
    for target, _ in STAGES.values():
        path = workflow.folder / target
        one = (
            {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
            if path.is_file()
            else digests(path)
        )
        digests_by_file |= {f"{target}/{name}": digest for name, digest in one.items()}
    return digests_by_file


def storm(
    workflow: OnCluster,
    planned: dict[str, list[str]],
    delay=lambda: 0.0,
    *arguments: str,
    seconds: float = 900,
) -> list[Hit]:
    """Run the stages of `planned` with these faults, one after the other as each job comes up
    again; return the hits.

    delay: seconds from when a job could be hit to when it is. Fails if snakemake does. A fault
    whose job ended too soon is not injected.
    """
    left, due, hits, done = (
        {stage: list(faults) for stage, faults in planned.items()},
        {},
        [],
        set(),
    )
    tries = (
        max(map(len, planned.values())) + 2
    )  # a fault of the node hits the others' jobs too, and shortened limits outlive a requeue
    snakemake, end = (
        workflow.start(
            *(STAGES[stage][0] for stage in planned), "--retries", str(tries), *arguments
        ),
        time.monotonic() + seconds,
    )
    while snakemake.poll() is None:
        if time.monotonic() > end:
            snakemake.terminate()
            raise TimeoutError(
                f"after {seconds} s, with {left} still to come:\n{workflow.all_output[-3000:]}"
            )
        for stage in [stage for stage, faults in left.items() if faults]:
            job = workflow.job_of(stage, STAGES[stage][0])
            process = job and workflow.process_of(job)
            with contextlib.suppress(
                psutil.NoSuchProcess, FileNotFoundError
            ):  # over before it was hit; the next attempt is hit, or the run ends without a hit
                if not process or process in done or not ready(workflow, stage, process):
                    continue
                if time.monotonic() < due.setdefault(process, time.monotonic() + delay()):
                    continue
                lost, name = time.time() - workflow.saved(process, STAGES[stage][1]), left[stage][0]
                FAULTS[name](workflow.cluster, job, process)
                done.add(process)
                left[stage].pop(0)
                hits.append(Hit(stage, name, job.id, lost))
                workflow.assert_results_are_complete()
        time.sleep(0.2)
    assert snakemake.returncode == 0, workflow.all_output[-5000:]
    return hits
