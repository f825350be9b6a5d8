"""From nothing to figures through `snakemake --profile slurm`: what is submitted, where, and with which GPUs."""

import contextlib
import re
import threading
import time

import psutil
import pytest

from tests.support.slurm.cluster import ACCOUNT, GPUS
from tests.support.slurm.workflows import OnCluster

FIGURE, ANOTHER = "figures/smoke/supervised_scaling.pdf", "figures/smoke/clip_scaling.pdf"
GPU_RULES = {"train_generator", "generate", "train_classifiers", "evaluate", "train_clips", "evaluate_clips"}


def watch(workflow, stop: threading.Event) -> None:
    """Note the GPUs that each job's script may use (`seen`: SLURM's id -> CUDA_VISIBLE_DEVICES), and those in use at each look (`busy`)."""
    workflow.seen, workflow.busy = {}, []
    while not stop.wait(0.2):
        now = {}
        for job, process in workflow.scripts().items():
            with contextlib.suppress(psutil.Error):
                now[job] = process.environ().get("CUDA_VISIBLE_DEVICES", "")
        workflow.seen |= now
        workflow.busy.append([gpu for gpu in now.values() if gpu])


@pytest.fixture(scope="module")
def made(cluster, tmp_path_factory):
    """Two figures, one after the other, by a workflow that found nothing; `first` and `second` are accounting's rows of their jobs."""
    workflow = OnCluster.create(tmp_path_factory.mktemp("dispatch") / "workflow", cluster)
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(workflow, stop))
    watcher.start()
    try:
        workflow.planned_first = workflow.run(FIGURE, "-n")
        workflow.run(FIGURE)
        workflow.first = cluster.history()
        workflow.run(ANOTHER)
        workflow.second = cluster.history()[len(workflow.first) :]
    finally:
        stop.set()
        watcher.join()
    return workflow


def rule_of(row: dict) -> str:
    return re.match(r"rule_(\w+?)_wildcards_", row["Comment"])[1]


def test_figures_are_made_from_nothing(made):
    for figure in (FIGURE, ANOTHER):
        assert (made.folder / figure).read_bytes().startswith(b"%PDF")
    made.assert_nothing_is_left_over()
    assert made.assert_nothing_passes_for_whole() > 20


def test_one_figure_alone_submits_its_own_jobs_and_no_other(made):
    planned = re.findall(r"^rule (\w+):\n(?:.*\n)*?    wildcards: (.*)$", made.planned_first, re.MULTILINE)
    wanted = sorted(f"rule_{rule}_wildcards_{'_'.join(pair.split('=')[1] for pair in wildcards.split(', '))}" for rule, wildcards in planned)
    assert sorted(row["Comment"] for row in made.first) == wanted
    assert "train_clips" in {rule_of(row) for row in made.second}


def test_jobs_that_ask_for_a_gpu_go_to_the_gpu_partition_and_get_one(made):
    rows = made.first + made.second
    assert {rule_of(row) for row in rows if row["Partition"] == "gpu"} == GPU_RULES
    for row in rows:
        assert row["State"] == "COMPLETED"
        assert ("gres/gpu=1" in row["AllocTRES"]) == (rule_of(row) in GPU_RULES), row
        assert row["Partition"] == ("gpu" if rule_of(row) in GPU_RULES else "cpu")
        assert row["Account"] == ACCOUNT and row["JobName"].startswith("synthetic-scaling_")


def test_each_job_sees_its_own_gpu_and_others_none(made):
    jobs = {row["JobID"]: rule_of(row) for row in made.first + made.second}
    assert len(made.seen) > len(jobs) / 2
    for job, gpu in made.seen.items():
        assert gpu in map(str, range(GPUS)) if jobs[job] in GPU_RULES else not gpu, (jobs[job], gpu)
    assert all(len(now) == len(set(now)) for now in made.busy)
    assert 1 < max(map(len, made.busy)) <= GPUS


def test_jobs_beyond_the_gpus_wait(cluster, made):
    """Six jobs of one GPU each: four run, two wait for them."""
    ids = [
        cluster.call("sbatch", "--parsable", "--output=/dev/null", "-p", "gpu", "-A", ACCOUNT, "--gpus=h100:1", "--mem=10", "--wrap", "sleep 60").strip()
        for _ in range(GPUS + 2)
    ]
    time.sleep(3)
    states = [job.state for job in cluster.jobs() if job.id in ids]
    cluster.call("scancel", *ids)
    assert (states.count("RUNNING"), states.count("PENDING")) == (GPUS, 2)


def test_a_second_run_submits_nothing(made):
    assert "Nothing to be done" in made.run(FIGURE, ANOTHER)
