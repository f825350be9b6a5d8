"""Fault injection on a cluster: every job ends with the same bytes, or reports how to fix it."""

import os
import signal
import subprocess
import time

import pytest

from tests.support.slurm.cluster import ACCOUNT, GPUS, wait_for
from tests.support.slurm.faults import STAGES, long_study, node_down, outputs, ready, storm
from tests.support.slurm.workflows import SITE, OnCluster
from tests.support.workflow import Workflow


@pytest.fixture(scope="module")
def study(cluster, tmp_path_factory):
    """A study with jobs of some seconds. `expected` has all outputs of STAGES, created undisturbed,
    on this machine and not by SLURM.
    """
    workflow = long_study(tmp_path_factory.mktemp("faults") / "workflow", cluster)
    Workflow.run(workflow, *(target for target, _ in STAGES.values()))
    workflow.expected = outputs(workflow)
    return workflow


def forget(study, *stages) -> dict[str, str]:
    """Remove the outputs of these stages; return their digests."""
    for stage in stages:
        subprocess.run(["rm", "-r", study.folder / STAGES[stage][0]], check=True)
    return study.expected


def test_hit_jobs_resume_and_end_with_the_same_bytes(cluster, study):
    expected = forget(study, *STAGES)
    faults = {
        "train_generator": ["scancel"],
        "generate": ["SIGKILL"],
        "train_classifiers": ["out of memory"],
        "train_clip": ["time limit"],
    }
    hits = storm(study, faults)
    assert outputs(study) == expected
    study.assert_nothing_is_left_over()
    assert {hit.stage: hit.fault for hit in hits} == {
        stage: faults[0] for stage, faults in faults.items()
    }
    assert all(
        hit.lost < 30 for hit in hits if STAGES[hit.stage][1]
    )  # state is saved twice a second; the rest is a busy machine's
    for message in (
        "Error in rule generate:",
        "log: logs/smoke/generate/masked_captions-00000.log",
        "SLURM status is: 'TIMEOUT'",
        "SLURM status is: 'CANCELLED'",
    ):
        assert message in study.all_output
    assert not list((study.folder / ".state").rglob("*.state"))
    retried = [row for row in cluster.history() if "train_classifiers" in row["Comment"]]
    assert [row["State"] for row in retried[-2:]] == ["FAILED", "COMPLETED"]


def test_preempted_and_lost_jobs_resume_by_themselves(cluster, study):
    """Jobs of a higher partition take every GPU; then the node goes down and comes up again.
    Snakemake does not retry.
    """
    expected = forget(study, "train_classifiers")
    target, _ = STAGES["train_classifiers"]
    (study.folder / "profiles/slurm/site.yaml").write_text(SITE.replace("  gpu: ", "  preempt: "))
    snakemake = study.start(target, "--retries", "0")
    job, process = hit_when(study, "train_classifiers")
    urgent = cluster.call(
        "sbatch",
        "--parsable",
        "--output=/dev/null",
        "-p",
        "gpu",
        "-A",
        ACCOUNT,
        f"--gpus={GPUS}",
        "--mem=10",
        "--wrap",
        "sleep 3",
    ).strip()
    wait_for(lambda: not process.is_running(), "the job was not preempted")
    wait_for(lambda: urgent not in [job.id for job in cluster.jobs()], "the urgent job did not end")
    cluster.hasten()
    again, process = hit_when(study, "train_classifiers")
    assert again.id == job.id and again.partition == "preempt"
    node_down(cluster, again, process)
    assert study.assert_results_are_complete()
    assert snakemake.wait(120) == 0, study.all_output[-3000:]
    (study.folder / "profiles/slurm/site.yaml").write_text(SITE)
    assert outputs(study) == expected
    study.assert_nothing_is_left_over()


def hit_when(study, stage):
    """The job and the process of a stage, in the middle of its work."""

    def process_at_stage():
        job = study.job_of(stage, STAGES[stage][0])
        process = job and study.process_of(job)
        return (job, process) if process and ready(study, stage, process) else None

    return wait_for(
        process_at_stage, f"{stage} did not come so far: {study.all_output[-3000:]}", 90
    )


def test_killed_controller_restarts_while_its_jobs_run(cluster, study):
    """The job of the first snakemake continues. The second one reports that the folder is locked,
    and continues once that job is cancelled.
    """
    expected = forget(study, "train_classifiers")
    target, _ = STAGES["train_classifiers"]
    first = study.start(target)
    job, process = hit_when(study, "train_classifiers")
    locked = study.run(target, check=False)
    assert "locked" in locked and "--unlock" in locked
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert process.is_running()
    assert "locked" in study.run(target, check=False)
    cluster.call("scancel", job.id)
    wait_for(lambda: not cluster.jobs(), "the job is left")
    study.run("--unlock")
    study.run(target)
    assert outputs(study) == expected
    study.assert_nothing_is_left_over()


@pytest.fixture
def small_disk(study):
    """A separate small disk for the shards of one source."""
    folder = study.folder / "results/smoke/images/masked_captions"
    forget(study, "generate")
    for path in folder.iterdir():
        path.unlink()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_or_read_only_disk_leaves_no_output(cluster, study, small_disk):
    target, _ = STAGES["generate"]
    for fault, message in (
        (["size=16k"], "No space left on device"),
        (["size=1m,ro"], "Read-only file system"),
    ):
        subprocess.run(["mount", "-o", f"remount,{fault[0]}", small_disk], check=True)
        output = study.run(target, "--retries", "0", check=False)
        assert message in output, output[-3000:]
        assert "logs/smoke/generate/masked_captions-00000.log" in output or fault[0].endswith("ro")
        assert not list(small_disk.glob("0*"))
    subprocess.run(["mount", "-o", "remount,size=1m,rw", small_disk], check=True)
    study.run(target)
    assert outputs(study) == study.expected


def test_late_output_is_waited_for(study):
    """As on a network file system, the pool of texts appears three seconds after its job ended."""
    pool = "{output.pool:q}"
    move = f"mv {pool} {pool}.late; sleep 3; mv {pool}.late {pool}"
    later = f"(setsid sh -c '{move}' > /dev/null 2>&1 &); sleep 0.2"
    study.edit('"> {log:q} 2>&1"', f'"> {{log:q}} 2>&1; {later}"', "rules/prompts.smk")
    began = time.monotonic()
    study.run("results/smoke/prompts/captions.parquet", "--force")
    assert time.monotonic() - began > 3
    assert study.assert_results_are_complete()


@pytest.mark.parametrize(
    ("clock", "rules", "output"),
    [
        ("1 hour ago", "rules/train.smk", "{output:q}"),
        ("1 hour", "rules/data.smk", "{output.tar:q}"),
    ],
    ids=["behind", "ahead"],
)
def test_wrong_clock_of_a_node_reruns_no_job(cluster, tmp_path, clock, rules, output):
    """A list that seems older than the shards in it, or shards that seem newer than their list."""
    workflow = OnCluster.create(tmp_path / "workflow", cluster)
    command = f"--output {output} > {{log:q}} 2>&1"
    workflow.edit(command, f"{command}; touch -d '{clock}' {{output:q}}", rules)
    listed = "results/smoke/shard_index/real/00001.csv"
    asked = (
        listed,
        "--max-checksum-file-size",
        "0",
    )  # if files are larger, as true shards are, Snakemake compares only the time
    workflow.run(*asked)
    assert "Nothing to be done" in workflow.run("-n", *asked)
    os.utime(workflow.folder / listed, (1e9, 1e9))  # had the time stayed wrong, it would be seen
    assert "Nothing to be done" not in workflow.run("-n", *asked)


def test_without_a_site_file_jobs_go_to_the_default_partition(cluster, tmp_path):
    workflow = OnCluster.create(tmp_path / "workflow", cluster, gpus=0)
    (workflow.folder / "profiles/slurm/site.yaml").unlink()
    workflow.run("results/smoke/prompts/class_names.parquet")
    assert cluster.history()[-1]["Partition"] == "cpu"


def test_site_file_with_an_unknown_key_is_refused(cluster, tmp_path):
    workflow = OnCluster.create(tmp_path / "workflow", cluster, site="acount: lab\n")
    output = workflow.run("-n", check=False)
    assert "slurm/site.yaml" in output and "acount" in output and "account" in output
