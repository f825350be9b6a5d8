"""`snakemake calibrate`, as a user types it: a hardware file of this machine, before anything is
made.
"""

import pandas as pd
import pytest

from synscale.planning import hardware
from synscale.timing.stages import STAGES
from tests.support import tiny_models, tiny_pipelines
from tests.support.workflow import Workflow

pytestmark = pytest.mark.slow

MEASURED = set(STAGES) - {"starts", "reads", "prepare_data"}  # the last of data in files alone
RECIPES = """recipes:
  written: {kind: word_to_sentence, model: ./t5, texts: 3, max_tokens: 6}
  seen: {kind: image_captions, model: ./blip2, max_tokens: 6, min_tokens: 1}
"""


def test_one_command_writes_a_file_that_plans_are_made_with(tmp_path):
    workflow = Workflow.create(tmp_path / "workflow")
    tiny_pipelines.save("stable_diffusion_with_checker", workflow.folder / "model")
    tiny_models.save_t5(
        workflow.folder / "t5", pd.read_csv(workflow.folder / "data/digits_classes.csv")["name"]
    )
    tiny_models.save_blip2(workflow.folder / "blip2")
    workflow.edit("recipes:\n", RECIPES)
    workflow.edit("generators:\n", "safety_checker: {model: ./model}\ngenerators:\n")

    assert workflow.planned("calibrate") == {"calibrate": 1}
    told = workflow.run("calibrate")
    assert (
        "profiles/hardware/measured_smoke.yaml: to plan with it, say `hardware: measured_smoke` in config.yaml"
        in told
    )
    of_models = [
        line
        for line in told.splitlines()
        if line.split() and line.split()[0] in ("write_sentences", "caption_images", "flag_images")
    ]
    assert of_models and not [line for line in of_models if "random weights" in line]

    own, base = (
        hardware.load(name, workflow.folder / "profiles/hardware")
        for name in ("measured_smoke", "laptop")
    )
    measured = {
        rate.rule
        for rate in own.rates
        if rate.origin.startswith("measured (snakemake calibrate, ") and rate.seconds > 0
    }
    assert measured == MEASURED
    assert {(rate.rule, rate.unit) for rate in own.rates} >= {
        (rate.rule, rate.unit) for rate in base.rates if rate.rule not in MEASURED
    }
    assert own.watts_per_core == base.watts_per_core

    workflow.edit("hardware: laptop", "hardware: measured_smoke", "config.yaml")
    workflow.run("plan/smoke/all.html")
    page = (workflow.folder / "plan/smoke/all.html").read_text()
    assert own.title in page and "snakemake calibrate, " in page
    assert not (workflow.folder / "results").exists() and not list(workflow.folder.rglob("*.part"))
    assert workflow.planned("calibrate") == {
        "calibrate": 1
    }  # it is never done: it is asked for to measure anew
