"""A training on several nodes of SLURM, by the lines of docs/guides/several_gpus.md.

srun starts one torchrun on each node, and they train as one process does.
"""

import re
import shutil
import signal

import pytest

from tests.support.shared import digests
from tests.support.slurm.cluster import Cluster, wait_for
from tests.support.slurm.faults import STAGES, long_study, ready
from tests.support.slurm.workflows import SITE
from tests.support.workflow import ROOT, Workflow

TARGET, _ = STAGES["train_classifiers"]
NODES = 2


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("nodes"), NODES).start()
    yield running
    running.stop()
    assert not running.leftovers()


def documented() -> str:
    """Lines of docs/guides/several_gpus.md for several nodes, with two GPUs and a thread each.

    The machine has only two cores.
    """
    text = (ROOT / "docs/guides/several_gpus.md").read_text().split("## Several nodes")[1]
    lines = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    for written, here in (("gpu: 16", "gpu: 2"), ("64", "1")):
        assert written in lines
        lines = lines.replace(written, here)
    return lines


@pytest.fixture(scope="module")
def study(nodes, tmp_path_factory):
    """A training of some seconds, done by one process (`losses_of_one`), and to be done by two
    nodes.
    """
    workflow = long_study(tmp_path_factory.mktemp("study") / "workflow", nodes)
    workflow.edit(
        "iterations: {10: 500, 20: 500, 40: 500}", "iterations: {10: 100, 20: 100, 40: 100}"
    )  # in more, rounding becomes another model
    Workflow.run(workflow, TARGET)
    workflow.losses_of_one = last_losses(workflow)
    shutil.rmtree(workflow.folder / TARGET)
    (workflow.folder / "profiles/slurm/site.yaml").write_text(SITE + documented())
    return workflow


def last_losses(study) -> dict[str, float]:
    """Last training loss of each run."""
    said = (study.folder / "logs/smoke/train_classifiers/real-vit_tiny.log").read_text()
    return {
        name: float(loss)
        for name, loss in re.findall(
            r"^real (\S+): \d+ steps, last training loss (\S+)$", said, re.MULTILINE
        )
    }


def jobs(study) -> list[dict[str, str]]:
    return [job for job in study.cluster.history() if "train_classifiers" in job["Comment"]]


def test_two_nodes_share_a_job_and_train_as_one_process_does(study):
    study.run(TARGET)
    (job,) = jobs(study)
    assert job["State"] == "COMPLETED"
    assert {"node=2", "gres/gpu=2"} <= set(job["AllocTRES"].split(","))
    assert last_losses(study) == pytest.approx(study.losses_of_one, abs=0.01)
    assert len(study.losses_of_one) == 6
    study.assert_nothing_is_left_over()


def test_killed_process_ends_the_job_and_a_retry_resumes(study):
    undisturbed = digests((study.folder / TARGET).rename(study.folder / "undisturbed"))
    snakemake = study.start(TARGET)

    def trained_process():
        job = study.job_of("train_classifiers", TARGET)
        process = job and study.process_of(job)
        return process if process and ready(study, "train_classifiers", process) else None

    wait_for(trained_process, "the training did not come so far", 120).send_signal(signal.SIGKILL)
    assert snakemake.wait(180) == 0, study.all_output[-3000:]
    assert [job["State"] for job in jobs(study)[-2:]] == ["FAILED", "COMPLETED"]
    assert digests(study.folder / TARGET) == undisturbed
    study.assert_nothing_is_left_over()
