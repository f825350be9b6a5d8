"""A training on several nodes of SLURM, as docs/many_gpus.md has it: srun starts one torchrun on each, and they train as one process does."""

import re

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT, Workflow
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.faults import STAGES, long_study, node_down, ready
from tests.slurm.workflows import SITE

TARGET, _ = STAGES["train_classifiers"]
NODES = 2


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("nodes"), NODES).start()
    yield running
    running.stop()
    assert not running.leftovers()


def documented() -> str:
    """The lines of docs/many_gpus.md for several nodes, of two GPUs in all."""
    text = (ROOT / "docs/many_gpus.md").read_text().split("## Several nodes")[1]
    lines = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    for written, here in (("gpu: 16", "gpu: 2"), ("64", "2")):
        assert written in lines
        lines = lines.replace(written, here)
    return lines


@pytest.fixture(scope="module")
def study(nodes, tmp_path_factory):
    """A training of some seconds, done by one process in `alone`, and to be done by two nodes in its own place."""
    workflow = long_study(tmp_path_factory.mktemp("study") / "workflow", nodes)
    workflow.edit("iterations: {10: 500, 20: 500, 40: 500}", "iterations: {10: 100, 20: 100, 40: 100}")  # two processes wait for each other at each
    Workflow.run(workflow, TARGET)
    workflow.alone = (workflow.folder / TARGET).rename(workflow.folder / "alone")
    (workflow.folder / "profiles/slurm/site.yaml").write_text(SITE + documented())
    return workflow


def last_job(study) -> dict[str, str]:
    fields = "AllocNodes,AllocTRES,State"
    rows = study.cluster.call("sacct", "-X", "-D", "-n", "-P", f"--format={fields},Comment").splitlines()
    return dict(zip(fields.split(","), [row for row in rows if "train_classifiers" in row][-1].split("|"), strict=False))


def assert_same_models(study) -> None:
    """Up to rounding: two processes add their gradients in another order."""
    for path in sorted(study.alone.iterdir()):
        one, two = load_file(path), load_file(study.folder / TARGET / path.name)
        assert all(torch.allclose(one[name], two[name], atol=2e-3) for name in one), path.name


def test_two_nodes_share_a_job_and_train_as_one_process_does(study):
    study.run(TARGET)
    job = last_job(study)
    assert (job["AllocNodes"], job["State"]) == ("2", "COMPLETED")
    assert "gres/gpu=2" in job["AllocTRES"]
    assert_same_models(study)
    study.assert_nothing_is_left_over()


def test_a_node_that_goes_down_takes_the_job_back_to_the_queue_and_it_goes_on(study):
    (study.folder / TARGET).rename(study.folder / "before")
    snakemake = study.start(TARGET, "--retries", "0")

    def found():
        job = study.job_of("train_classifiers", TARGET)
        process = job and study.process_of(job)
        return (job, process) if process and ready(study, "train_classifiers", process) else None

    job, process = wait_for(found, f"the training did not come so far: {study.told[-3000:]}", 120)
    node_down(study.cluster, job, process)
    assert snakemake.wait(180) == 0, study.told[-3000:]
    assert_same_models(study)
    study.assert_nothing_is_left_over()
