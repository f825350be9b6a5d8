"""The line at the start of a run, and the command of a plan's page."""

import pytest

from synscale.planning import hardware
from synscale.planning.run_plan import RunPlan, page_command, start_line


@pytest.mark.parametrize(
    ("targets", "command"),
    [
        ([], "snakemake plan/digits/all.html"),
        (["all"], "snakemake plan/digits/all.html"),
        (["figures/imagenet/teaser.pdf"], "snakemake plan/imagenet/teaser.html"),
        (
            ["figures/a/x.pdf", "figures/a/x.svg", "tables/a/y.csv"],
            "snakemake plan/a/x.html plan/a/y.html",
        ),
        (
            ["results/a/laws/clip.json"],
            "python -m scripts.plan --html plan.html --target results/a/laws/clip.json",
        ),
        (
            [f"figures/a/{name}.pdf" for name in "wxyz"],
            "snakemake plan/a/w.html plan/a/x.html plan/a/y.html ...",
        ),
    ],
)
def test_page_command_is_that_of_the_targets(targets, command):
    assert page_command(targets, "digits") == command


@pytest.fixture
def plan() -> RunPlan:
    total = {"jobs": 113, "core_hours": 0.5, "chain_hours": 0.1}
    return RunPlan([total, {"jobs": 4}], hardware.load("laptop"), "laptop", [])


def test_start_line_counts_results_and_minutes(plan):
    outputs = [
        f"{path}{end}" for path in ("figures/a/x", "figures/a/y") for end in (".pdf", ".csv")
    ]
    outputs += ["tables/a/z.csv", "tables/a/z.md", "results/a/images/s/00000.tar"]
    expected = "2 figures and 1 table: 113 jobs to run, 4 done already, about 15 min on 2 cores"
    assert start_line(plan, outputs, 2) == f"{expected} (one core of a laptop, hardware: laptop)"


def test_start_line_is_limited_by_the_longest_chain(plan):
    assert "about 6 min on 64 cores" in start_line(plan, [], 64)
    line = start_line(plan, [], None)
    assert line.startswith("No figure or table: ")
    assert "about 6 min with any number of machines" in line


def test_gpu_problem_only_if_jobs_request_gpus(plan):
    assert plan.gpu_problem() == ""
    on_gpus = RunPlan(plan.rows, plan.machine, "laptop", ["imagenet"])
    assert "jobs of studies/imagenet.yaml request GPUs; choose a file" in on_gpus.gpu_problem()
    h100 = RunPlan(plan.rows, hardware.load("h100"), "h100", ["imagenet"])
    assert h100.gpu_problem() == ""
