"""`snakemake calibrate` writes a hardware file of this machine before the first job."""

import pandas as pd
import pytest

from synscale.planning import hardware
from synscale.timing.stages import STAGES
from tests.support import tiny_models, tiny_pipelines
from tests.support.workflow import Workflow

pytestmark = pytest.mark.slow

MEASURED = set(STAGES) - {"starts", "reads", "prepare_data"}  # the last for data in files only
RECIPES = """recipes:
  written: {kind: word_to_sentence, model: ./t5, texts: 3, max_tokens: 6}
  seen: {kind: image_captions, model: ./blip2, max_tokens: 6, min_tokens: 1}
"""


def test_calibrate_writes_a_file_that_plans_use(tmp_path):
    workflow = Workflow.create(tmp_path / "workflow")
    tiny_pipelines.save("stable_diffusion_with_checker", workflow.folder / "model")
    tiny_models.save_t5(
        workflow.folder / "t5", pd.read_csv(workflow.folder / "data/digits_classes.csv")["name"]
    )
    tiny_models.save_blip2(workflow.folder / "blip2")
    workflow.edit("recipes:\n", RECIPES)
    workflow.edit("generators:\n", "safety_checker: {model: ./model}\ngenerators:\n")

    assert workflow.planned("calibrate") == {"calibrate": 1}
    output = workflow.run("calibrate")
    path = "profiles/hardware/measured_smoke.yaml"
    assert f"{path}: set `hardware: measured_smoke` in config.yaml to plan with it." in output
    models = ("write_sentences ", "caption_images ", "flag_images ")
    lines = [line for line in output.splitlines() if line.lstrip().startswith(models)]
    assert lines
    assert not [line for line in lines if "random weights" in line]

    folder = workflow.folder / "profiles/hardware"
    written, base = hardware.load("measured_smoke", folder), hardware.load("laptop", folder)
    origin = "measured (snakemake calibrate, "
    rates = [rate for rate in written.rates if rate.origin.startswith(origin) and rate.seconds]
    assert {rate.rule for rate in rates} == MEASURED
    others = {(rate.rule, rate.unit) for rate in base.rates if rate.rule not in MEASURED}
    assert {(rate.rule, rate.unit) for rate in written.rates} >= others
    assert written.watts_per_core == base.watts_per_core

    workflow.edit("hardware: laptop", "hardware: measured_smoke", "config.yaml")
    workflow.run("plan/smoke/all.html")
    page = (workflow.folder / "plan/smoke/all.html").read_text()
    assert written.title in page
    assert "snakemake calibrate, " in page
    assert not (workflow.folder / "results").exists()
    assert not list(workflow.folder.rglob("*.part"))
    assert workflow.planned("calibrate") == {"calibrate": 1}  # it measures each time
