"""The plan of a figure as a user asks for it: Snakemake's graph, sums done by hand, budgets."""

import csv

import pytest
import yaml

from tests.support.workflow import ROOT, Workflow

FACTORS = ("price_per_core_hour", "price_per_gpu_hour", "watts_per_core", "watts_per_gpu", "co2_kg_per_kwh")
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
            ("list_blocks", "image", 0),
            ("train_classifiers", "step", 0.01),
            ("*", "job", 10),
            ("*", "run", 0),
        ]
    ],
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Workflow:
    """The digits study with nothing made yet, on a machine of round numbers."""
    workflow = Workflow.create(tmp_path_factory.mktemp("plan") / "workflow", copied=("profiles",))
    workflow.study.unlink()
    (workflow.folder / "studies/digits.yaml").write_text((ROOT / "studies/digits.yaml").read_text())
    (workflow.folder / "config.yaml").write_text("study: digits\nhardware: round\n")
    (workflow.folder / "profiles/hardware/round.yaml").write_text(yaml.safe_dump(MACHINE))
    return workflow


def rows(workflow: Workflow, name: str) -> dict[str, dict]:
    with (workflow.folder / f"plan/digits/{name}.csv").open() as file:
        return {row["stage"]: row for row in csv.DictReader(file)}


def test_two_figures_against_sums_by_hand(digits):
    digits.run("plan/digits/samples.html", "plan/digits/exchange_rate.html")
    assert not (digits.folder / "results").exists()

    # samples: 2 splits of the data, 6 recipes, 1 list of real images for captions, 1 generator, 6 sources, 1 figure = 17 jobs.
    # Images: class names 3 x 3,840 + 2 x 480 = 12,480; description, hypernyms, sentences 5 x 480 = 2,400 each; CLIP templates and
    # captions 3,840 + 4 x 480 = 5,760 each; together 12,480 + 7,200 + 11,520 = 31,200.
    # Seconds: 17 x 10 + 1,000 x 0.1 + 31,200 x 0.01 = 170 + 100 + 312 = 582.
    # Chain: data 10, generator 10 + 100, class names 10 + 124.8, figure 10 = 264.8.
    total = rows(digits, "samples")["total"]
    assert (int(total["jobs"]), int(total["images"])) == (17, 31_200)
    assert float(total["core_hours"]) * 3600 == pytest.approx(582, rel=1e-4)
    assert float(total["chain_hours"]) * 3600 == pytest.approx(264.8, rel=1e-4)

    # exchange_rate: 7 splits, 3 recipes, 2 generators, 5 sources, lists of these and of real images, 8 batches trained and judged, 1 figure = 40 jobs.
    # Images: 12,480 + 2 x 5,760 of diffusion, 2 x (3,840 + 3 x 480) of masked = 24,000 + 10,560 = 34,560.
    # Iterations of all 8 sizes 1,650, of the 5 up to 480 700, of 480 alone 200; 3 seeds:
    #   real 3 x 700, on two architectures                                       4,200
    #   class names 3 x (3 x 1,650 + 2 x 200), large 3 x 1,650           16,050 + 4,950
    #   CLIP templates, captions 3 x (1,650 + 4 x 200) each                     14,700
    #   masked class names, captions 3 x (1,650 + 3 x 200) each                 13,500
    #   together                                                                53,400
    # Seconds: 40 x 10 + 2 x 1,000 x 0.1 + 34,560 x 0.01 + 53,400 x 0.01 = 400 + 200 + 345.6 + 534 = 1,479.6.
    # Chain: data 10, generator 110, class names 134.8, list 10, small ViTs 10 + 160.5, judged 10, figure 10 = 455.3.
    own = rows(digits, "exchange_rate")
    assert (int(own["total"]["jobs"]), int(own["total"]["images"])) == (40, 34_560)
    assert float(own["total"]["core_hours"]) * 3600 == pytest.approx(1479.6, rel=1e-4)
    assert float(own["total"]["chain_hours"]) * 3600 == pytest.approx(455.3, rel=1e-4)
    assert float(own["half the training iterations"]["core_hours"]) * 3600 == pytest.approx(1479.6 - 267, rel=1e-4)


def test_what_is_on_disk_is_not_counted_again(digits):
    made = [digits.folder / f"results/digits/data/classifier_training/00000.{ending}" for ending in ("tar", "parquet")]
    made[0].parent.mkdir(parents=True)
    for path in made:
        path.touch()
    try:
        digits.run("plan/digits/samples.csv", "--config", "budget={core_hours: 0.1}")  # a plan is made anew though nothing that it was made from has changed
        own = rows(digits, "samples")
        assert (own["total"]["jobs"], own["done already"]["jobs"], own["prepare_data"]["jobs"]) == ("16", "1", "1")
        assert "core_hours 0.1589, but the budget has 0.1" in (digits.folder / "plan/digits/samples.html").read_text()  # (582 - 10) / 3,600
    finally:
        for path in made:
            path.unlink()
        made[0].parent.rmdir()
        made[0].parents[1].rmdir()
        made[0].parents[2].rmdir()


def test_a_budget_stops_a_run_before_any_job(workflow):
    output = workflow.run("figures/smoke/samples.pdf", "--config", "budget={core_hours: 0.001}", check=False)
    assert "but the budget has 0.001" in output and "No job was started" in output
    assert "Traceback" not in output
    assert not (workflow.folder / "results").exists()


def test_a_figure_that_the_study_does_not_have_is_told(workflow):
    assert "no figure or table 'portrait' to plan; there are: all, " in workflow.run("plan/smoke/portrait.html", check=False)


# -- a plan of a study that is changed for it --------------------------------------------------------------------------------------------


def test_a_changed_study_is_planned_and_its_page_says_so(digits):
    digits.run("plan/digits/samples.csv")
    before = rows(digits, "samples")
    digits.run("plan/digits/samples.csv", "--config", "override={digits.sources.diffusion_hypernyms.images: {1.5: 960}}")
    own = rows(digits, "samples")
    assert int(own["total"]["images"]) - int(before["total"]["images"]) == 960 - 480
    told = "{digits: {sources: {diffusion_hypernyms: {images: {1.5: 960}}}}}"
    assert own["total"]["override"] == told and "override" not in before["total"]
    assert f"override = {told}" in (digits.folder / "plan/digits/samples.html").read_text()
    assert not (digits.folder / "results/digits").exists()


def test_a_change_that_does_not_fit_is_told_before_any_job(digits):
    output = digits.run("plan/digits/samples.html", "--config", "override={digits.generators.diffusion.stepz: 10}", check=False)
    assert "override of studies/digits.yaml: generators.diffusion.stepz = 10: unknown key; did you mean 'steps'?" in output
    assert "Traceback" not in output and "rule plan" not in output


def test_a_changed_study_is_not_run(digits):
    chosen = ("figures/digits/samples.pdf", "--config", "override={digits.generators.diffusion.steps: 10}")
    output = digits.run(*chosen, check=False)
    assert "a changed study is for plans and dry runs alone, but jobs would run: generate, " in output
    assert "Copy studies/digits.yaml to a new name" in output and "Traceback" not in output
    assert not (digits.folder / "results/digits").exists()
    assert "generate" in digits.planned(*chosen)


def test_a_change_of_a_study_that_is_not_planned_is_told(digits):
    (digits.folder / "studies/other.yaml").write_text((ROOT / "studies/digits.yaml").read_text())
    output = digits.run("plan/digits/samples.html", "--config", "override={other.generators.diffusion.steps: 10}", check=False)
    (digits.folder / "studies/other.yaml").unlink()
    assert "no job of the plan is of the study other: name the study that is planned" in output
