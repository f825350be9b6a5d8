"""The price of a synthetic image is the money of the plan over the images of its job."""

import pytest

from synscale.planning import hardware, summary
from synscale.planning.cost_model import PlanError
from synscale.planning.image_price import price_of_image
from synscale.planning.summary import Job
from synscale.study.load import load_study
from tests.support.workflow import ROOT

DIGITS = load_study(ROOT / "studies/digits.yaml")
IMAGENET = load_study(ROOT / "studies/imagenet.yaml")


@pytest.mark.parametrize(
    ("study", "source", "guidance", "machine"),
    [
        (DIGITS, "diffusion_class_names", 1.5, "laptop"),
        (IMAGENET, "sd_class_names", 2.0, "a100"),
    ],
)
def test_price_of_an_image_is_its_part_of_the_money_of_a_job(study, source, guidance, machine):
    machine = hardware.load(machine, ROOT / hardware.FOLDER)
    price = price_of_image(study, source, guidance, machine)
    shards = "00000" if study is DIGITS else f"g{guidance:g}-00000"
    names = {"study": study.name, "source": source, "shard": shards}
    job = Job("a", "generate", names)
    costs = summary.costs([job], {study.name: study}, machine)
    row = summary.row("generate", [job], costs, machine)
    assert price == pytest.approx(row["money"] / row["images"])
    assert 0 < price < 0.01


def test_machine_without_a_speed_has_no_price():
    machine = hardware.load("laptop", ROOT / hardware.FOLDER).model_copy(update={"rates": []})
    with pytest.raises(PlanError, match="no speed for rule 'generate'"):
        price_of_image(DIGITS, "diffusion_class_names", 1.5, machine)
