"""Partitions of a cluster: what jobs request, and what is reported before the first one is
submitted.
"""

import re

import pytest

from synscale.cluster import site
from synscale.planning import dag
from synscale.study.load import load_study
from synscale.workflow.runs import run_groups
from tests.support.workflow import ROOT, in_fork, start_snakemake

SMALL = "partitions: {cpu: {max_mem_mb: 2500, max_runtime: 5m}}\n"
TWO_HOURS = """
partitions:
  cpu: {max_runtime: 2h, max_mem_mb: 250000, max_threads: 64}
  gpu: {max_runtime: 2h, max_mem_mb: 1000000, max_threads: 64, max_gpu: 8}
set-resources:
  train_classifiers: {gpu: 8}
set-threads:
  train_classifiers: 64
"""
STAGES = ("train_classifiers", "evaluate")
CLASSIFIERS = "results/smoke/classifiers/real/vit_tiny"


@pytest.fixture
def at_site(monkeypatch, tmp_path):
    """Write a site file that counts as that of the run."""

    def write(text: str) -> None:
        (tmp_path / "site.yaml").write_text(text)
        monkeypatch.setenv(site.VARIABLE, str(tmp_path / "site.yaml"))

    return write


def test_dry_run_reports_jobs_that_fit_nowhere(workflow, at_site):
    at_site(SMALL)
    printed = workflow.dry_run(CLASSIFIERS, "--quiet")
    problem = "(mem_mb 4,000 MB, expected at most 2,500 in 'cpu')"
    assert f"no partition takes 1 job of train_classifiers {problem}" in printed
    assert "of prepare_data" not in printed  # 2,000 MB and 10 minutes, which are cut to 5


def test_run_with_a_job_that_fits_nowhere_stops_before_the_first(workflow, at_site):
    at_site(SMALL)
    status, printed = in_fork(start_snakemake, workflow.folder, [CLASSIFIERS, "--cores", "1"])
    assert status == 1
    assert (
        "no partition takes 1 job of train_classifiers" in printed
        and "No job was started." in printed
    )
    assert not (workflow.folder / "results").exists()


def test_plan_counts_gpus_of_the_command_line(workflow):
    """The rule `plan` hands them on to scripts.plan."""
    options = ("--set-resources", "generate:gpu=4", "--set-threads", "generate=8")
    printed = workflow.dry_run("plan/smoke/samples.html", *options, "-p")
    assert re.search(r"--set-resources generate:gpu=4 .*--set-threads generate=8 ", printed)


@pytest.mark.slow
def test_imagenet_fits_a_partition_of_two_hours(workflow, at_site):
    """Every job of a figure, of which the longest takes days; threads and GPUs are those of
    site.yaml.
    """
    at_site(TWO_HOURS)
    workflow.study.unlink()
    (workflow.folder / "studies/imagenet.yaml").write_text(
        (ROOT / "studies/imagenet.yaml").read_text()
    )
    (workflow.folder / "config.yaml").write_text("study: imagenet\nhardware: a100\n")
    printed = workflow.dry_run("figures/imagenet/supervised_scaling.pdf", "-p")
    assert "no partition takes" not in printed
    assert re.search(
        r"train_classifiers: 216 jobs .* takes \d+ h in \d+ allocations of 2 h", printed
    )
    minutes = [int(value) for value in re.findall(r"runtime=(\d+)", printed)]
    assert max(minutes) == 120
    sections = re.split(r"\n(?=rule |localrule )", printed)
    trainings = [text for text in sections if text.startswith("rule train_classifiers:")]
    assert len(trainings) == 216
    assert all("threads: 64" in text and re.search(r"\bgpu=8\b", text) for text in trainings)


def one_worker(graph) -> list:
    """Jobs of a Snakemake DAG in the order in which a single worker takes them.

    The next job is the ready one of highest priority; if several have it, one that does not train
    or evaluate.
    """
    left = {job: set(graph.dependencies[job]) for job in graph.needrun_jobs()}
    order = []
    while left:
        ready = [job for job, needs in left.items() if not needs & left.keys()]
        order.append(max(ready, key=lambda job: (job.priority, job.rule.name not in STAGES)))
        del left[order[-1]]
    return order


def test_trainings_that_are_ready_start_before_generation(workflow, monkeypatch):
    monkeypatch.setattr(dag, "from_snakemake", one_worker)
    monkeypatch.chdir(workflow.folder)
    order = [
        (job.rule.name, job.wildcards_dict)
        for job in dag.ask(["figures/smoke/supervised_scaling.pdf"])
    ]
    real = [
        n for n, (rule, names) in enumerate(order) if rule in STAGES and names["source"] == "real"
    ]
    generated = [n for n, (rule, _) in enumerate(order) if rule == "generate"]
    assert len(real) == 2 and len(generated) >= 2
    assert max(real) < min(generated)


@pytest.mark.slow
def test_documented_pilot_is_part_of_its_figures(workflow, monkeypatch):
    """Plan every target of the pilot in the guide; its trainings are runs of the figures."""
    workflow.study.unlink()
    (workflow.folder / "studies/imagenet.yaml").write_text(
        (ROOT / "studies/imagenet.yaml").read_text()
    )
    (workflow.folder / "config.yaml").write_text("study: imagenet\nhardware: a100\n")
    monkeypatch.chdir(workflow.folder)
    page = (ROOT / "docs/guides/run_the_paper.md").read_text()
    pilot = page.split("## Pilot")[1].split("\n## ")[0]
    targets = re.findall(r"`(results/imagenet/\S+)`", pilot)
    assert len(targets) == 10
    rules = {job.rule for job in dag.ask(targets)}
    assert {"generate", "train_classifiers", "evaluate", "train_clip", "evaluate_clip"} <= rules
    runs = run_groups(load_study("studies/imagenet.yaml"))
    trained = [target.split("/")[-2:] for target in targets if target.endswith(".parquet")]
    assert all((source, name.removesuffix(".parquet")) in runs for source, name in trained)
