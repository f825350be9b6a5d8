"""From nothing to figures through `snakemake --profile slurm`: what is submitted, where, and with
which GPUs.
"""

import contextlib
import re
import threading
import time

import psutil
import pytest

from tests.support.slurm.cluster import ACCOUNT, GPUS
from tests.support.slurm.workflows import OnCluster
from tests.support.workflow import ROOT

FIGURE, ANOTHER = "figures/smoke/supervised_scaling.pdf", "figures/smoke/clip_scaling.pdf"
GPU_RULES = {
    "train_generator",
    "generate",
    "train_classifiers",
    "evaluate",
    "train_clip",
    "evaluate_clip",
}


def watch(workflow, stop: threading.Event) -> None:
    """Note the GPUs that each job's script may use (`seen`: SLURM's id -> CUDA_VISIBLE_DEVICES),
    and those in use at each look (`busy`).
    """
    workflow.seen, workflow.busy = {}, []
    while not stop.wait(0.2):
        now = {}
        for job, process in workflow.scripts().items():
            with contextlib.suppress(psutil.Error):
                now[job] = process.environ().get("CUDA_VISIBLE_DEVICES", "")
        workflow.seen |= now
        workflow.busy.append([gpu for gpu in now.values() if gpu])


def documented_commands() -> list[str]:
    """Return the commands of docs/guides/slurm.md up to the figure, for the smoke study."""
    section = (
        (ROOT / "docs/guides/slurm.md")
        .read_text()
        .split("## Run a figure on SLURM")[1]
        .split("\n## ")[0]
    )
    shards = re.findall(r"^   ```(\w*)\n(.*?)^   ```$", section, re.MULTILINE | re.DOTALL)
    lines = [
        line.strip() for language, shard in shards if not language for line in shard.splitlines()
    ]
    environment = ["make figures", "source .venv/bin/activate"]
    assert lines[:2] == environment  # exists already: the Python that runs the tests
    return [line.replace("/imagenet/", "/smoke/") for line in lines[2:]]


def edit_site(workflow: OnCluster) -> None:
    """Edit the copy of site.example.yaml for the test cluster: a training requests 8 threads."""
    changes = {
        "my_project": ACCOUNT,
        "gpu_model: a100": "gpu_model: h100",
        "max_mem_mb: 250000": "max_mem_mb: 60000",
        "max_mem_mb: 1000000": "max_mem_mb: 60000",
        "max_gpu: 8": f"max_gpu: {GPUS}",
        "# set-threads:\n#   train_classifiers: 64": "set-threads:\n  train_classifiers: 8",
        "# constraint: nvlink": "constraint: nvlink",
        "# default-resources:\n#   slurm_extra": "default-resources:\n  slurm_extra",
    }
    for old, new in changes.items():
        workflow.edit(old, new, "profiles/slurm/site.yaml")


@pytest.fixture(scope="module")
def finished_runs(cluster, tmp_path_factory):
    """Two figures by a workflow that found nothing, submitted from a head node of one core.

    The first one is run by the commands of docs/guides/slurm.md. `printed` has the output of each;
    `first` and `second` are the rows of accounting for the jobs of each figure.
    """
    workflow = OnCluster.create(tmp_path_factory.mktemp("dispatch") / "workflow", cluster)
    (workflow.folder / "profiles/slurm/site.yaml").unlink()
    head_node = tmp_path_factory.mktemp("head_node")
    OnCluster.put_snakemake(head_node, "taskset", "--cpu-list", "0")
    copy, plan, run, look = documented_commands()
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(workflow, stop))
    workflow.shell(copy, head_node)
    edit_site(workflow)
    watcher.start()
    try:
        workflow.printed = {"plan": workflow.shell(plan, head_node), "look": ""}
        workflow.planned_first = workflow.shell(f"{plan} -p", head_node)
        running = threading.Thread(
            target=lambda: workflow.printed.update(run=workflow.shell(run, head_node))
        )
        running.start()
        while running.is_alive() and "RUNNING" not in workflow.printed["look"]:
            workflow.printed["look"] = workflow.shell(look, head_node)
            time.sleep(0.5)
        running.join()
        workflow.first = cluster.history()
        workflow.run(ANOTHER)
        workflow.second = cluster.history()[len(workflow.first) :]
    finally:
        stop.set()
        watcher.join()
    return workflow


def rule_of(row: dict) -> str:
    return re.match(r"rule_(\w+?)_wildcards_", row["Comment"])[1]


def test_documented_commands_print_what_the_page_shows(finished_runs):
    assert re.search(r"^Job stats:\njob +count\n", finished_runs.printed["plan"], re.MULTILINE)
    assert f"total {len(finished_runs.first)}" in " ".join(finished_runs.printed["plan"].split())
    header, *rows = finished_runs.printed["look"].splitlines()
    assert header.split() == ["JOBID", "STATE", "REASON", "PARTITION", "TIME", "COMMENT"]
    assert any("RUNNING None" in row and "_wildcards_smoke" in row for row in rows)
    assert "Results are in figures/smoke/" in finished_runs.printed["run"]


def test_head_node_with_one_core_requests_threads_as_written(finished_runs):
    """Eight threads and the memory that follows from them, in the dry run as in SLURM."""
    training = [row for row in finished_runs.first if rule_of(row) == "train_classifiers"]
    planned = re.findall(
        r"^rule train_classifiers:\n(?: .*\n)*?    threads: 8\n",
        finished_runs.planned_first,
        re.MULTILINE,
    )
    assert len(planned) == len(training) > 0
    for row in training:
        assert {"cpu=8", "mem=11000M"} <= set(row["AllocTRES"].split(","))


def test_figures_are_created_from_nothing(finished_runs):
    for figure in (FIGURE, ANOTHER):
        assert (finished_runs.folder / figure).read_bytes().startswith(b"%PDF")
    finished_runs.assert_nothing_is_left_over()
    assert finished_runs.assert_results_are_complete() > 20


def test_one_figure_submits_only_its_jobs(finished_runs):
    planned = re.findall(
        r"^rule (\w+):\n(?:.*\n)*?    wildcards: (.*)$", finished_runs.planned_first, re.MULTILINE
    )
    planned_jobs = sorted(
        f"rule_{rule}_wildcards_{'_'.join(pair.split('=')[1] for pair in wildcards.split(', '))}"
        for rule, wildcards in planned
    )
    assert sorted(row["Comment"] for row in finished_runs.first) == planned_jobs
    assert "train_clip" in {rule_of(row) for row in finished_runs.second}


def test_gpu_jobs_run_on_the_gpu_partition_with_one_gpu(finished_runs):
    rows = finished_runs.first + finished_runs.second
    assert {rule_of(row) for row in rows if row["Partition"] == "gpu"} == GPU_RULES
    for row in rows:
        assert row["State"] == "COMPLETED"
        assert ("gres/gpu=1" in row["AllocTRES"]) == (rule_of(row) in GPU_RULES), row
        assert row["Partition"] == ("gpu" if rule_of(row) in GPU_RULES else "cpu")
        assert row["Account"] == ACCOUNT and row["JobName"].startswith("synthetic-scaling_")


def test_each_job_sees_its_own_gpu_and_others_none(finished_runs):
    jobs = {row["JobID"]: rule_of(row) for row in finished_runs.first + finished_runs.second}
    assert len(finished_runs.seen) > len(jobs) / 2
    for job, gpu in finished_runs.seen.items():
        assert gpu in map(str, range(GPUS)) if jobs[job] in GPU_RULES else not gpu, (jobs[job], gpu)
    assert all(len(now) == len(set(now)) for now in finished_runs.busy)
    assert 1 < max(map(len, finished_runs.busy)) <= GPUS


def test_jobs_beyond_the_gpus_wait(cluster, finished_runs):
    """Six jobs of one GPU each: four run, two wait for them."""
    ids = [
        cluster.call(
            "sbatch",
            "--parsable",
            "--output=/dev/null",
            "-p",
            "gpu",
            "-A",
            ACCOUNT,
            "--gpus=h100:1",
            "--mem=10",
            "--wrap",
            "sleep 60",
        ).strip()
        for _ in range(GPUS + 2)
    ]
    time.sleep(3)
    states = [job.state for job in cluster.jobs() if job.id in ids]
    cluster.call("scancel", *ids)
    assert (states.count("RUNNING"), states.count("PENDING")) == (GPUS, 2)


def test_second_run_submits_nothing(finished_runs):
    assert "Nothing to be done" in finished_runs.run(FIGURE, ANOTHER)
