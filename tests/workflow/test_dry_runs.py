"""What a dry run prints: a short listing of jobs, and the table of the plan at its end."""

import os
import re
import shutil

import pytest
import yaml

from scripts import plan as plan_command
from synscale.planning import dag, summary
from synscale.study.load import load_study
from tests.support.workflow import Workflow, in_fork

FIGURE = "figures/smoke/samples.pdf"
COMMAND = "Full page, with the same options: snakemake plan/smoke/samples.html"
HEADINGS = ["stage", "jobs", "core-hours", "longest chain", "disk kept, GB", "EUR"]


def table(printed: str) -> dict[str, list[str]]:
    """Return the rows of the plan's table by their first cell."""
    lines = printed.split("jobs to run on", 1)[1].splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    return {row[0]: row[1:] for row in rows if len(row) > 4}


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--profile", "slurm"]])
def test_dry_run_ends_with_the_plan(workflow: Workflow, options):
    printed = workflow.dry_run(FIGURE, *options)
    assert printed.rstrip().endswith(COMMAND)
    assert printed.count(COMMAND) == 1
    assert "one core of a laptop" in printed and "profiles/hardware/laptop.yaml" in printed
    rows = table(printed)
    assert [rows["stage"], rows["total"][0]] == [HEADINGS[1:], "7"]
    assert rows["generate"][0] == "1"


def test_table_is_that_of_the_plan_command(workflow: Workflow):
    def plan():
        os.chdir(workflow.folder)
        plan_command.main(["--target", FIGURE])

    assert table(workflow.dry_run(FIGURE, "--quiet")) == table(in_fork(plan)[1])


def test_dry_run_without_show_plan_prints_no_table(workflow: Workflow):
    printed = workflow.dry_run(FIGURE, "--quiet", "--config", "show_plan=false")
    assert "prepare_data" in printed and "Plan of" not in printed


def test_show_plan_must_be_true_or_false(workflow: Workflow):
    printed = workflow.dry_run(FIGURE, "--config", "show_plan=never", check=False)
    assert "show_plan: not a switch ('never', expected true or false)" in printed


def test_plan_names_hardware_with_gpus(workflow: Workflow):
    workflow.edit("gpus: 0", "gpus: 1")
    printed = " ".join(workflow.dry_run(FIGURE, "--quiet").split())
    assert "GPU-hours" in printed
    assert "hardware = 'laptop': is a machine without GPU" in printed
    assert "profiles/hardware with GPUs (a100, h100)" in printed
    printed = workflow.dry_run(FIGURE, "--quiet", "--config", "hardware=h100")
    assert "GPU-hours" in printed and "without GPU" not in printed


def test_missing_speed_is_reported_instead_of_the_table(workflow: Workflow):
    path = workflow.folder / "profiles/hardware/laptop.yaml"
    rows = yaml.safe_load(path.read_text())
    rows["rates"] = [rate for rate in rows["rates"] if rate["rule"] != "train_generator"]
    (path.parent / "new.yaml").write_text(yaml.safe_dump(rows))
    printed = workflow.dry_run(FIGURE, "--quiet", "--config", "hardware=new")
    assert "No plan: one core of a laptop: no speed for rule 'train_generator'" in printed


def test_finished_targets_have_no_table(workflow: Workflow):
    target = workflow.folder / "results/smoke/data/one_writer/00000.tar"
    target.parent.mkdir(parents=True)
    target.touch()
    printed = workflow.dry_run("plan/smoke/samples.html", "--quiet")
    assert "Plan of" not in printed


def test_listing_is_short(workflow: Workflow):
    header, _, printed = workflow.dry_run().partition("Building DAG of jobs...")
    lines = printed.splitlines()
    assert "Command:" in header and max(map(len, lines)) <= 200
    jobs = [line for line in lines if re.match(r"\w+: study=smoke", line)]
    rules = [line.partition(":")[0] for line in jobs]
    assert {rules.count(rule) for rule in rules} == {1, 2, 3}
    assert rules.count("prepare_data") == 3
    assert "missing output files; threads=1" in jobs[0] and "mem_mb=" in jobs[0]
    assert sum(line == "Job stats:" for line in lines) == 1


def test_p_lists_every_job_in_full(workflow: Workflow):
    printed = workflow.dry_run(FIGURE, "-p")
    assert printed.count("rule prepare_data:") == 3
    assert "reason: Missing output files" in printed
    assert "python -m scripts.prepare_data" in printed


def test_resources_of_shards_are_evaluated_once(workflow: Workflow, monkeypatch):
    monkeypatch.chdir(workflow.folder)
    load_study.cache_clear()
    workflow.edit("images_per_shard: 20", "images_per_shard: 5")
    evaluated = []
    requests = dag._requests
    monkeypatch.setattr(dag, "_requests", lambda job: evaluated.append(job) or requests(job))
    jobs = dag.ask(["results/smoke/images/diffusion_class_names/00003.tar"])
    jobs += dag.ask(["results/smoke/shard_index/diffusion_class_names/00007.csv"])
    shards = [job for job in jobs if job.rule == "generate"]
    assert len(shards) > 3 and len({job.runtime for job in shards}) == 1
    assert sum(job.rule.name == "generate" for job in evaluated) == 2  # once for each graph


def test_plan_without_requests_costs_the_same(workflow: Workflow, monkeypatch):
    monkeypatch.chdir(workflow.folder)
    load_study.cache_clear()
    scheduled = dag.from_snakemake
    graphs = []
    monkeypatch.setattr(dag, "from_snakemake", lambda graph: graphs.append(graph) or graph)
    dag.ask(["figures/smoke/supervised_scaling.pdf"])
    studies = {"smoke": load_study("studies/smoke.yaml")}
    machine = plan_command.hardware.load("laptop")
    costs = [
        summary.costs(scheduled(graphs[0], scheduled=every), studies, machine)
        for every in (True, False)
    ]
    assert costs[0] == costs[1] and len(costs[0]) > 10


def test_run_starts_with_the_estimated_time(workflow: Workflow):
    target = "tables/smoke/hyperparameters.csv"
    printed = workflow.run(target, "--cores", "2")
    assert re.search(r"1 table: 1 jobs to run, about \d+ s on 2 cores \(one core of a", printed)
    shutil.rmtree(workflow.folder / "tables")
    printed = workflow.run(target, "--cores", "1", "--config", "show_plan=false")
    assert "to run, about" not in printed
