"""Every rule has a speed on every type of machine; jobs without one are reported."""

import re

import pytest
import yaml

from synscale.planning import dag, hardware
from synscale.planning.cost_model import PlanError, Work, is_known, work
from synscale.planning.summary import cost
from synscale.study.load import load_study
from synscale.study.models.author_checkpoints import AuthorCheckpoint
from synscale.study.models.data import FilesData
from synscale.study.models.generators import FinetunedGenerator
from synscale.workflow import rule_names
from tests.support.planning import DIGITS, GENERATORS, IMAGENET, MACHINE, with_released
from tests.support.workflow import MACHINES, ROOT

RULES = set(rule_names.rules())
FILES = {
    "kind": "files",
    "training": {"classes": {"dataset": "imagenet_train"}},
    "evaluation": {"imagenet_val": {"dataset": "imagenet_val"}},
}


def test_work_of_every_rule_is_known():
    assert {rule for rule in RULES if not is_known(rule)} == dag.UNPLANNED
    with pytest.raises(PlanError, match="rule 'paint': its work is unknown; add it to RULES"):
        work(DIGITS, "paint", {})


@pytest.mark.parametrize("rates", [0, 1])
def test_rule_without_speed_is_reported(rates):
    """No rate at all, or one for the start only: the job would seem cheap."""
    slow = MACHINE.model_copy(update={"rates": MACHINE.rates[2 : 2 + rates]})
    problem = r"no speed for rule 'score'; .*`snakemake calibrate .*{rule: score, unit: image"
    with pytest.raises(hardware.HardwareError, match=problem):
        cost(DIGITS, "score", {"source": "real"}, slow)


def test_suggested_rate_of_a_generator_is_valid():
    job = Work({"job": 1, "image": 8, "tflop": 1}, "pretrained:./mine")
    empty = MACHINE.model_copy(update={"rates": []})
    with pytest.raises(hardware.HardwareError) as error:
        empty.seconds("generate", job)
    text = re.search(r"\{rule: .*\}", str(error.value))[0].replace("<a number>", "3")
    rate = hardware.Rate(**yaml.safe_load(text))
    assert empty.model_copy(update={"rates": [rate]}).seconds("generate", job) == 24


def test_unknown_machine_is_reported():
    problem = r"hardware = 'abacus': no file .*abacus.yaml; known: .*laptop"
    with pytest.raises(hardware.HardwareError, match=problem):
        hardware.load("abacus", ROOT / "profiles/hardware")


def test_pretrained_generators_have_speeds_by_name():
    machine = hardware.load("a100", ROOT / "profiles/hardware")
    job = work(with_released({2.0: 100}), "generate", {"source": "sd_images", "shard": "00000"})
    # 82.8 TFLOP an image, at 25 % of 312 TFLOP/s.
    seconds = 60 + 100 * 82.845 / (0.25 * 312)
    assert machine.seconds("generate", job) == pytest.approx(seconds, rel=0.01)
    with pytest.raises(hardware.HardwareError, match="kind 'pretrained:owner/other'"):
        machine.seconds("generate", Work(job.units, "pretrained:owner/other"))


@pytest.mark.parametrize("machine", ["a100", "h100"])
def test_evaluation_has_time_to_read_and_compute(machine):
    rates = hardware.load(machine, ROOT / "profiles/hardware")
    job = {"source": "laion", "group": "clip_base-n1000000-seed0"}
    seconds = cost(IMAGENET, "evaluate_clip", job, rates).seconds
    peak = {"a100": 19.5, "h100": 67}[machine]
    assert seconds > 434_372 * 0.0028 / 7 + 15_700 / peak  # 2.8 ms of a core an image, 7 readers
    assert seconds < 3600


def jobs_of_every_rule():
    """Yield (study, rule, wildcards), at least one of each rule.

    The studies are the digits and their extensions, one with released models, and one with data in
    files.
    """
    checkpoints = {"any": AuthorCheckpoint(kind="clip", file="any.pt", images=1)}
    models = with_released({2.0: 100}).model_copy(update={"author_checkpoints": checkpoints})
    tuning = {"rank": 8, "iterations": 200, "batch_size": 40, "learning_rate": 1e-3}
    images = {"source": "real", "images": 120}
    tuned = FinetunedGenerator(kind="finetuned", base="sd", data=images, lora=tuning)
    models = models.model_copy(update={"generators": models.generators | {"tuned": tuned}})
    files = DIGITS.model_copy(update={"data": FilesData(**FILES)})
    for source in ("diffusion_captions", "masked_captions"):
        yield DIGITS, "generate", {"source": source, "shard": "00000"}
    for name in GENERATORS:
        yield models, "generate", {"source": f"{name}_images", "shard": "00000"}
    for name in DIGITS.generators:
        yield DIGITS, "train_generator", {"generator": name}
    for split in DIGITS.data.evaluation:
        yield DIGITS, "prepare_data", {"split": split, "shard": "00000"}
    extensions = load_study(ROOT / "studies/digits_extensions.yaml")
    yield extensions, "select_images", {"source": "diverse", "shard": "00000"}
    for feature in ("reference", "dinov2", "clip"):
        scores = {"features": [feature], "measures": ["density"]}
        scores = extensions.scores.model_validate(extensions.scores.model_dump() | scores)
        study = extensions.model_copy(update={"scores": scores})
        yield study, "score_features", {"source": "diverse", "feature": feature}
    for rule in ("index_data", "prepare_data"):
        yield files, rule, {"split": "imagenet_val", "shard": "00000"}
    real = {"source": "real", "shard": "00000"}
    wildcards = {
        "train_classifiers": real | {"group": "vit_small"},
        "evaluate": real | {"group": "vit_small"},
        "train_clip": real | {"group": "clip_small"},
        "evaluate_clip": real | {"group": "clip_small"},
        "fit_laws": {"law": "clip"},
        "score": real,
        "index_shards": real,
        "flag_images": {"source": "sd_images", "shard": "00000"},
        "write_sentences": {"recipe": "written"},
        "caption_images": {"recipe": "blip", "shard": "00000"},
        "finetune_generator": {"generator": "tuned"},
        "fetch_generator": {"generator": "sd"},
        "fetch_model": {"recipe": "blip"},
        "fetch_start": {"architecture": "vit_small"},
        "fetch_feature_model": {"feature": "dinov2"},
        "convert_author_checkpoint": {"checkpoint": "any"},
        "evaluate_author_checkpoint": {"checkpoint": "any"},
    }
    several = {"generate", "train_generator", "prepare_data", "index_data", "select_images"}
    several.add("score_features")
    for rule in RULES - dag.UNPLANNED - several:
        yield models, rule, wildcards.get(rule, {})


@pytest.mark.parametrize("path", MACHINES.values(), ids=MACHINES)
def test_every_machine_has_a_speed_for_every_rule(path):
    machine = hardware.load(path.stem, path.parent)
    planned = set()
    for study, rule, wildcards in jobs_of_every_rule():
        assert cost(study, rule, wildcards, machine).seconds > 0
        planned.add(rule)
    assert planned == RULES - dag.UNPLANNED
