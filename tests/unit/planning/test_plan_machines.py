"""Every rule has a work that is known and a speed on every type of machine; released generators
have the FLOPs that torch counts.
"""

import pytest

from scripts import count_flops
from synscale.planning import dag, hardware, summary
from synscale.planning import flops as generators
from synscale.planning.cost_model import PlanError, Work, known, work
from synscale.study.load import load_study
from synscale.study.models import Study
from synscale.study.models.author_checkpoints import AuthorCheckpoint
from synscale.study.models.data import FilesData
from synscale.study.models.generators import PretrainedGenerator
from synscale.study.models.recipes import ImageCaptions, WordToSentence
from synscale.study.models.sources import SyntheticSource
from synscale.workflow import rule_names
from tests.support.workflow import MACHINES, ROOT

RULES = set(rule_names.rules())
DIGITS = load_study(str(ROOT / "studies/digits.yaml"))


def test_the_work_of_every_rule_is_known():
    assert {rule for rule in RULES if not known(rule)} == dag.APART
    with pytest.raises(PlanError, match="rule 'paint': nothing is known of its work"):
        work(DIGITS, "paint", {})


def released(model, size, steps, **more):
    return PretrainedGenerator(
        kind="pretrained", model=model, revision="0" * 40, size=size, steps=steps, **more
    )


GENERATORS = {
    "sd": released("stable-diffusion-v1-5/stable-diffusion-v1-5", 512, 50),
    "if": released(
        "DeepFloyd/IF-I-XL-v1.0",
        64,
        50,
        upscaler={"model": "DeepFloyd/IF-II-L-v1.0", "size": 256, "steps": 40, "guidance": 4.0},
    ),
    "amused": released("amused/amused-512", 512, 12),
}


def with_released(images: dict) -> Study:
    """The digits with a source `{name}_images` of each released generator, and recipes that are
    models.
    """
    made = {
        f"{name}_images": SyntheticSource(
            kind="synthetic", generator=name, recipe="class_names", images=images
        )
        for name in GENERATORS
    }
    recipes = {
        "written": WordToSentence(kind="word_to_sentence", model="owner/name", texts=2),
        "blip": ImageCaptions(kind="image_captions", model="owner/name"),
    }
    return DIGITS.model_copy(
        update={
            "generators": DIGITS.generators | GENERATORS,
            "sources": DIGITS.sources | made,
            "recipes": DIGITS.recipes | recipes,
            "images_per_shard": 100,
        }
    )


# TFLOP of 10 images with guidance and 1 without, by hand from the numbers of scripts.count_flops.
# IF: the upscaler is guided at 4 whatever the first stage is, and both texts are read once.
BY_HAND = {
    "sd": 10 * (100 * 0.8033 + 2.515) + (50 * 0.8033 + 2.515),
    "if": 10 * (100 * 2.879 + 80 * 3.090 + 2 * 0.7154) + (50 * 2.879 + 80 * 3.090 + 2 * 0.7154),
    "amused": 10 * (24 * 0.2274 + 1.909) + (12 * 0.2274 + 1.909),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_released_generators_have_flops_of_all_their_stages(name):
    own = work(
        with_released({2.0: 10, 1.0: 1}), "generate", {"source": f"{name}_images", "shard": "00000"}
    )
    assert own.units["tflop"] == pytest.approx(BY_HAND[name])
    assert own.units["pass"] == GENERATORS[name].steps * 21
    assert own.units["image"] == 11


def test_an_image_of_half_the_side_takes_a_quarter():
    whole, half = (
        generators.image_flops(GENERATORS["sd"].model_dump() | {"size": size}, 256, 2.0)
        for size in (512, 256)
    )
    assert half == pytest.approx(whole / 4)


def test_released_generators_have_speeds_by_name():
    machine = hardware.load("a100", ROOT / "profiles/hardware")
    made = with_released({2.0: 100})
    own = work(made, "generate", {"source": "sd_images", "shard": "00000"})
    # 82.8 TFLOP an image, at 25 % of 312 TFLOP/s.
    assert machine.seconds("generate", own) == pytest.approx(
        60 + 100 * 82.845 / (0.25 * 312), rel=0.01
    )
    with pytest.raises(hardware.HardwareError, match="kind 'pretrained:owner/other'"):
        machine.seconds("generate", Work(own.units, "pretrained:owner/other"))


def test_flops_of_released_generators_are_those_that_torch_counts():
    """And their parameters those of the models' cards: 860 million, 4.3 and 1.2 billion, 608
    million (scripts.count_flops).
    """
    counted = {name: count_flops.count(name) for name in count_flops.PARTS}
    known = generators.released
    for part, millions, flops in [
        ("Stable Diffusion 1.5, UNet", 860, known(GENERATORS["sd"].model).forward),
        ("Stable Diffusion 1.5, decoder", 49.5, known(GENERATORS["sd"].model).once),
        ("IF-I-XL, UNet", 4300, known(GENERATORS["if"].model).forward),
        ("IF-II-L, UNet", 1190, known(GENERATORS["if"].upscaler.model).forward),
        ("IF, T5-XXL", 4760, known(GENERATORS["if"].model).once / 2),
        ("aMUSEd-512, U-ViT", 608, known(GENERATORS["amused"].model).forward),
        ("aMUSEd-512, decoder", 87, known(GENERATORS["amused"].model).once),
    ]:
        assert counted.pop(part) == (
            pytest.approx(millions * 1e6, rel=0.01),
            pytest.approx(flops, rel=0.001),
        )
    assert not counted


IMAGENET = load_study(str(ROOT / "studies/imagenet.yaml"))
# Billions of multiplications and additions of a ViT-B/16, of its ViT-L/16, of CLIP's text encoder.
IMAGE, LARGE, TEXT = 17.6, 61.6, 2.97


@pytest.mark.parametrize(("name", "multiplications"), [("base", IMAGE), ("large", LARGE)])
def test_classifiers_see_every_image_of_the_sets_of_their_classes(name, multiplications):
    # ImageNet 50,000, V2 10,000, Sketch 50,889, R 30,000, A 7,500.
    job = {"source": "real", "group": f"vit_{name}-n125000-seed0"}
    own = work(IMAGENET, "evaluate", job)
    assert own.units["image"] == 148_389
    flops = 148_389 * 2 * multiplications * 1e9
    assert own.units["tflop"] == pytest.approx(flops / 1e12, rel=0.02)


def test_clip_sees_every_image_and_encodes_every_text():
    # 286,000 images more in the downstream sets; 80 texts of 1,000 classes and 10,636 of the sets.
    job = {"source": "laion", "group": "clip_base-n1000000-seed0"}
    own = work(IMAGENET, "evaluate_clip", job)
    assert own.units["image"] == 434_372
    flops = 2e9 * (434_372 * IMAGE + 90_636 * TEXT)
    assert own.units["tflop"] == pytest.approx(flops / 1e12, rel=0.02)


@pytest.mark.parametrize("machine", ["a100", "h100"])
def test_evaluation_has_time_to_read_and_compute(machine):
    rates = hardware.load(machine, ROOT / "profiles/hardware")
    job = {"source": "laion", "group": "clip_base-n1000000-seed0"}
    found = summary.cost(IMAGENET, "evaluate_clip", job, rates).seconds
    peak = {"a100": 19.5, "h100": 67}[machine]
    assert found > 434_372 * 0.0028 / 7 + 15_700 / peak  # 2.8 ms of a core an image, 7 readers
    assert found < 3600


FILES = {
    "kind": "files",
    "training": {"classes": {"dataset": "imagenet_train"}},
    "evaluation": {"imagenet_val": {"dataset": "imagenet_val"}},
}


def jobs_of_every_rule():
    """(study, rule, wildcards): at least one of each rule, of the digits, of released models, and
    of data in files.
    """
    checkpoint = AuthorCheckpoint(kind="clip", file="any.pt", images=1)
    models = with_released({2.0: 100}).model_copy(
        update={"author_checkpoints": {"any": checkpoint}}
    )
    files = DIGITS.model_copy(update={"data": FilesData(**FILES)})
    for source in ("diffusion_captions", "masked_captions"):
        yield DIGITS, "generate", {"source": source, "shard": "00000"}
    for name in GENERATORS:
        yield models, "generate", {"source": f"{name}_images", "shard": "00000"}
    for name in DIGITS.generators:
        yield DIGITS, "train_generator", {"generator": name}
    for split in DIGITS.data.evaluation:
        yield DIGITS, "prepare_data", {"split": split, "shard": "00000"}
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
        "fetch_generator": {"generator": "sd"},
        "fetch_model": {"recipe": "blip"},
        "convert_author_checkpoint": {"checkpoint": "any"},
        "evaluate_author_checkpoint": {"checkpoint": "any"},
    }
    yield from (
        (models, rule, wildcards.get(rule, {}))
        for rule in RULES
        - dag.APART
        - {"generate", "train_generator", "prepare_data", "index_data"}
    )


@pytest.mark.parametrize("path", MACHINES.values(), ids=MACHINES)
def test_each_type_of_machine_has_a_speed_for_every_rule(path):
    machine, planned = hardware.load(path.stem, path.parent), set()
    for study, rule, wildcards in jobs_of_every_rule():
        assert summary.cost(study, rule, wildcards, machine).seconds > 0
        planned.add(rule)
    assert planned == RULES - dag.APART
