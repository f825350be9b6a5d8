"""`snakemake calibrate`, as a user types it: a hardware file of this machine, before anything is made."""

from scripts.lib.plans import hardware
from tests.conftest import Workflow

STAGES = {"train_generator", "generate", "train_classifiers", "evaluate", "train_clips", "evaluate_clips", "score"}


def test_one_command_writes_a_file_that_plans_are_made_with(tmp_path):
    workflow = Workflow.create(tmp_path / "workflow", copied=("profiles",))
    assert workflow.planned("calibrate") == {"calibrate": 1}
    told = workflow.run("calibrate")
    assert "profiles/hardware/measured_smoke.yaml: to plan with it, say `hardware: measured_smoke` in config.yaml" in told

    own, base = (hardware.load(name, workflow.folder / "profiles/hardware") for name in ("measured_smoke", "laptop"))
    measured = {rate.rule for rate in own.rates if rate.origin.startswith("measured (snakemake calibrate, ") and rate.seconds > 0}
    assert measured == STAGES
    assert {(rate.rule, rate.unit) for rate in own.rates} >= {(rate.rule, rate.unit) for rate in base.rates if rate.rule not in STAGES}
    assert own.watts_per_core == base.watts_per_core

    workflow.edit("hardware: laptop", "hardware: measured_smoke", "config.yaml")
    workflow.run("plan/smoke/all.html")
    page = (workflow.folder / "plan/smoke/all.html").read_text()
    assert own.title in page and "snakemake calibrate, " in page
    assert not (workflow.folder / "results").exists() and not list(workflow.folder.rglob("*.part"))
    assert workflow.planned("calibrate") == {"calibrate": 1}  # it is never done: it is asked for to measure anew
