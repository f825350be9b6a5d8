"""A training that takes longer than its partition allows continues in several allocations."""

import shutil
import time

import pytest

from tests.support.shared import digests
from tests.support.slurm.cluster import ACCOUNT, GPUS
from tests.support.slurm.faults import STAGES, with_one_thread
from tests.support.slurm.workflows import OnCluster
from tests.support.workflow import Workflow

TARGET, STATE = STAGES["train_classifiers"]
LIMIT = 60  # seconds of partition `short`: SLURM's shortest
MARGIN = 25  # seconds of the limit, so that a test need not wait for a minute
STEP = 2.2  # seconds
RUNS, STEPS = 6, 4
# In each allocation a start of at least 5 s, and two steps that the margin adds: at most 11 of 24
# steps.
ALLOCATIONS = 3

SITE = f"""
account: {ACCOUNT}
partitions:
  cpu: {{max_mem_mb: 60000}}
  short: {{max_runtime: {LIMIT // 60}, max_mem_mb: 60000, max_gpu: {GPUS}}}
"""


@pytest.fixture(scope="module")
def study(cluster, tmp_path_factory):
    """Six short trainings, done on this machine without a limit: `expected`. Their steps take
    longer afterwards.
    """
    workflow = OnCluster.create(
        tmp_path_factory.mktemp("allocations") / "workflow", cluster, site=SITE
    )
    with_one_thread(workflow)
    workflow.edit(
        "iterations: {10: 5, 20: 5, 40: 5}",
        f"iterations: {{10: {STEPS}, 20: {STEPS}, 40: {STEPS}}}",
    )
    Workflow.run(workflow, TARGET)
    workflow.expected = digests(workflow.folder / TARGET)
    assert len(workflow.expected) == RUNS
    shutil.rmtree(workflow.folder / TARGET)
    due = "        now = time.monotonic()\n        if self._asked"
    workflow.edit(
        due,
        due.replace("now =", f"time.sleep({STEP})\n        now =", 1),
        "synscale/training/checkpoint.py",
    )
    return workflow


def test_training_continues_in_three_allocations(cluster, study, monkeypatch):
    monkeypatch.setenv("REQUEUE_MARGIN", str(MARGIN))
    earlier = {row["JobID"] for row in cluster.history()}
    began = time.monotonic()
    snakemake = study.start(TARGET, "--retries", "0")
    while snakemake.poll() is None and time.monotonic() < began + 400:
        cluster.start_pending()  # SLURM lets requeued jobs wait for two minutes
        time.sleep(1)
    assert snakemake.poll() == 0, study.all_output[-3000:]
    rows = [row for row in cluster.history() if row["JobID"] not in earlier]
    assert len({row["JobID"] for row in rows}) == 1
    assert {row["Partition"] for row in rows} == {"short"}
    assert len(rows) >= ALLOCATIONS
    assert [row["State"] for row in rows] == ["REQUEUED"] * (len(rows) - 1) + ["COMPLETED"]
    assert digests(study.folder / TARGET) == study.expected
    study.assert_nothing_is_left_over()
    assert not (study.folder / STATE).exists()
