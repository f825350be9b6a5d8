"""What planning costs grows with the number of shards, not with shards times what is made of them.
Counted, not timed: see benchmarks/planning.py.
"""

from collections import Counter
from itertools import pairwise

import pytest
import yaml

from benchmarks import planned_workflow, planning
from synscale.planning import dag
from synscale.study.load import load_study
from tests.support.workflow import ROOT

pytestmark = pytest.mark.slow

# Images in a shard: each study has twice as many shards as the one before.
BLOCKS = (400_000, 200_000, 100_000)


def large_study(shard: int) -> dict:
    return planned_workflow.sized(
        yaml.safe_load((ROOT / "studies/imagenet.yaml").read_text()), shard, 10 * shard
    )


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Jobs of all figures and tables of studies of growing size, as Snakemake plans them."""
    outputs = []
    with pytest.MonkeyPatch.context() as patch:
        for shard in BLOCKS:
            folder = tmp_path_factory.mktemp("scale")
            planned_workflow.create(folder, large_study(shard))
            patch.chdir(folder)
            load_study.cache_clear()  # by its path, which is the same in each folder
            outputs.append(dag.ask(["provenance/planning.html"]))
    return outputs


def shards(jobs) -> int:
    return sum(job.rule in ("generate", "prepare_data") for job in jobs)


def test_edges_grow_as_shards_do(plans):
    edges = [sum(len(job.needs) for job in jobs) for jobs in plans]
    for (few, fewer_edges), (many, more_edges) in pairwise(
        zip(map(shards, plans), edges, strict=True)
    ):
        # A shard is generated from a generator and prompts, and is in the list of each size that
        # contains it.
        assert 0 < more_edges - fewer_edges <= 6 * (many - few)


def test_no_job_of_many_inputs_is_needed_by_many(plans):
    """Snakemake looks through a job's inputs once for each job that needs it."""
    looks = []
    for jobs in plans:
        needed = Counter(need for job in jobs for need in job.needs)
        looks.append(sum(len(job.needs) * needed[job.key] for job in jobs))
    for few, many in pairwise(looks):
        assert many < 2.5 * few  # four times as many, if it were the square


def test_training_job_has_few_inputs_at_any_size(plans):
    for jobs in plans:
        inputs = {len(job.needs) for job in jobs if job.rule in ("train_classifiers", "train_clip")}
        assert max(inputs) <= 3  # a list for each source of a mixture, and the held-out set


def test_plain_snakefile_has_the_same_jobs(tmp_path):
    """The peer of benchmarks/planning.py; `measure` raises Disagreement otherwise."""
    study = yaml.safe_load((ROOT / "studies/digits.yaml").read_text())
    planned_workflow.create(tmp_path, study)
    seconds, jobs = planning.measure(tmp_path, ["figures/planning/samples.pdf"], rounds=1)
    rows = {row["implementation"]: row for row in planning.ratio_rows(seconds, jobs)}
    assert jobs == 18 and planning.PEER in rows
    assert all(row["CPU s"] > 0 for row in rows.values())


def test_quiet_dry_run_shows_the_number_of_jobs(plans, tmp_path):
    planned_workflow.create(tmp_path, large_study(BLOCKS[-1]))
    *_, printed = planned_workflow.snakemake(tmp_path, "-n", "--quiet")
    assert planned_workflow.jobs_of(printed) > shards(plans[-1]) > 1000
    assert "train_classifiers" in printed
    assert "rule train_classifiers" not in printed
