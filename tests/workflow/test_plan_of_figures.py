"""The plan of a figure as a user asks for it: Snakemake's graph, sums done by hand, budgets."""

import csv
import os
from pathlib import Path

import pytest
import yaml

from scripts import plan as plan_command
from tests.support.workflow import ROOT, Workflow, in_fork

FACTORS = (
    "price_per_core_hour",
    "price_per_gpu_hour",
    "watts_per_core",
    "watts_per_gpu",
    "co2_kg_per_kwh",
)
MACHINE = {
    "title": "test machine",
    "currency": "EUR",
    **{name: {"value": 1.0, "origin": "of this test"} for name in FACTORS},
    "cpu_partition": "cpu",
    "gpu_partition": "gpu",
    "rates": [
        {"rule": rule, "unit": unit, "seconds": seconds, "origin": "assumed"}
        for rule, unit, seconds in [
            ("train_generator", "step", 0.1),
            ("generate", "image", 0.01),
            ("index_shards", "image", 0),
            ("train_classifiers", "step", 0.01),
            ("*", "job", 10),
            ("*", "run", 0),
        ]
    ],
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Workflow:
    """The digits study before its first job on a machine with round numbers, and two plans.

    Read-only.
    """
    workflow = Workflow.create(tmp_path_factory.mktemp("plan") / "workflow")
    workflow.study.unlink()
    (workflow.folder / "studies/digits.yaml").write_text((ROOT / "studies/digits.yaml").read_text())
    (workflow.folder / "config.yaml").write_text("study: digits\nhardware: round\n")
    (workflow.folder / "profiles/hardware/round.yaml").write_text(yaml.safe_dump(MACHINE))
    workflow.run("plan/digits/samples.html", "plan/digits/exchange_rate.html")
    return workflow


@pytest.fixture
def copied(digits, tmp_path) -> Workflow:
    return digits.copy(tmp_path / "workflow")


def plan(workflow: Workflow, name: str, *arguments: str) -> str:
    """Return what the plan of a figure prints, with the arguments of the rule `plan`."""

    def run():
        os.chdir(workflow.folder)
        folder = Path("plan/digits")
        files = ["--html", str(folder / f"{name}.html"), "--csv", str(folder / f"{name}.csv")]
        plan_command.main(
            ["--target", f"figures/digits/{name}.pdf", "--allow-over-budget", *files, *arguments]
        )

    return in_fork(run)[1]


def rows(workflow: Workflow, name: str) -> dict[str, dict]:
    with (workflow.folder / f"plan/digits/{name}.csv").open() as file:
        return {row["stage"]: row for row in csv.DictReader(file)}


def test_plans_match_sums_done_by_hand(digits):
    assert not (digits.folder / "results").exists()

    # samples: 3 splits of the data (one for the held-out loss of the generator), 6 recipes, 1 list
    # of real images for captions, 1 generator, 6 sources, 1 figure = 18 jobs. Images: class names
    # 3 x 3,840 + 2 x 480 = 12,480; description, hypernyms, sentences 5 x 480 = 2,400 each; CLIP
    # templates and captions 3,840 + 4 x 480 = 5,760 each; together 12,480 + 7,200 + 11,520 =
    # 31,200. Seconds: 18 x 10 + 1,000 x 0.1 + 31,200 x 0.01 = 180 + 100 + 312 = 592. Chain: data
    # 10, generator 10 + 100, class names 10 + 124.8, figure 10 = 264.8.
    total = rows(digits, "samples")["total"]
    assert (int(total["jobs"]), int(total["images"])) == (18, 31_200)
    assert float(total["core_hours"]) * 3600 == pytest.approx(592, rel=1e-4)
    assert float(total["chain_hours"]) * 3600 == pytest.approx(264.8, rel=1e-4)

    # exchange_rate: 7 splits, 3 recipes, 2 generators, 5 sources, indexes of these and of real
    # images, 8 groups trained and evaluated, 1 figure = 40 jobs.
    # Images: 12,480 + 2 x 5,760 of diffusion, 2 x (3,840 + 3 x 480) of masked = 24,000 + 10,560
    #   = 34,560.
    # Iterations of all 8 sizes 1,650, of the 5 up to 480 700, of 480 only 200; 3 seeds:
    #   real 3 x 700, on two architectures                                       4,200
    #   class names 3 x (3 x 1,650 + 2 x 200), large 3 x 1,650           16,050 + 4,950
    #   CLIP templates, captions 3 x (1,650 + 4 x 200) each                     14,700
    #   masked class names, captions 3 x (1,650 + 3 x 200) each                 13,500
    #   together                                                                53,400
    # Seconds: 40 x 10 + 2 x 1,000 x 0.1 + 34,560 x 0.01 + 53,400 x 0.01 = 400 + 200 + 345.6 + 534
    #   = 1,479.6.
    # Chain: data 10, generator 110, class names 134.8, index 10, small ViTs 10 + 160.5, evaluated
    #   10, figure 10 = 455.3.
    table = rows(digits, "exchange_rate")
    total, halved = table["total"], table["half the training iterations"]
    assert (int(total["jobs"]), int(total["images"])) == (40, 34_560)
    assert float(total["core_hours"]) * 3600 == pytest.approx(1479.6, rel=1e-4)
    assert float(total["chain_hours"]) * 3600 == pytest.approx(455.3, rel=1e-4)
    assert float(halved["core_hours"]) * 3600 == pytest.approx(1479.6 - 267, rel=1e-4)


def test_plan_leaves_out_what_is_on_disk(copied):
    for ending in ("tar", "parquet"):
        path = copied.folder / f"results/digits/data/classifier_training/00000.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    # A plan is always written again, even if none of its inputs has changed.
    copied.run("plan/digits/samples.csv", "--config", "budget={core_hours: 0.1}")
    planned = rows(copied, "samples")
    jobs = [planned[stage]["jobs"] for stage in ("total", "done already", "prepare_data")]
    assert jobs == ["17", "1", "2"]
    page = (copied.folder / "plan/digits/samples.html").read_text()
    assert "core_hours 0.1617, but the budget has 0.1" in page  # (592 - 10) / 3,600


def test_budget_stops_a_run_before_its_first_job(workflow):
    output = workflow.run(
        "figures/smoke/samples.pdf", "--config", "budget={core_hours: 0.001}", check=False
    )
    assert "config.yaml: budget: the plan of " in output
    assert "but the budget has 0.001" in output
    assert "No job was started" in output
    assert "Traceback" not in output
    assert not (workflow.folder / "results").exists()


def test_plan_of_an_unknown_figure_is_refused(workflow):
    output = workflow.dry_run("plan/smoke/portrait.html", check=False)
    assert "no figure or table to plan 'portrait'; known: all, " in output


def test_override_changes_the_plan_and_is_on_its_page(digits, copied):
    before = rows(digits, "samples")
    plan(copied, "samples", "--override", "{digits.sources.diffusion_hypernyms.images: {1.5: 960}}")
    after = rows(copied, "samples")
    assert int(after["total"]["images"]) - int(before["total"]["images"]) == 960 - 480
    override = "{digits: {sources: {diffusion_hypernyms: {images: {1.5: 960}}}}}"
    assert after["total"]["override"] == override
    assert "override" not in before["total"]
    assert f"override = {override}" in (copied.folder / "plan/digits/samples.html").read_text()
    assert not (copied.folder / "results/digits").exists()


def test_invalid_override_is_reported_before_any_job(digits):
    output = digits.dry_run(
        "plan/digits/samples.html",
        "--config",
        "override={digits.generators.diffusion.stepz: 10}",
        check=False,
    )
    problem = "override of studies/digits.yaml: generators.diffusion.stepz = 10: unknown key"
    assert f"{problem}; did you mean 'steps'?" in output
    assert "Traceback" not in output and "rule plan" not in output


def test_override_is_refused_for_a_run(digits):
    override = "override={digits.generators.diffusion.steps: 10}"
    arguments = ("figures/digits/samples.pdf", "--config", override)
    output = digits.run(*arguments, check=False)
    assert "a changed study is for plans and dry runs only, but jobs would run (gen" in output
    assert "Edit studies/digits.yaml, or remove override" in output
    assert "Traceback" not in output
    assert not (digits.folder / "results/digits").exists()
    assert "generate" in digits.planned(*arguments)


def test_override_of_an_unplanned_study_is_refused(copied):
    (copied.folder / "studies/other.yaml").write_text((ROOT / "studies/digits.yaml").read_text())
    output = plan(copied, "samples", "--override", "{other.generators.diffusion.steps: 10}")
    assert "the plan has no job of study other; name the study that is planned" in output
