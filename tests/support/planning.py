"""A machine with round numbers, and the digits study, for tests of plans."""

from synscale.planning.hardware import Hardware
from synscale.study.load import load_study
from synscale.study.models import Study
from synscale.study.models.generators import PretrainedGenerator
from synscale.study.models.recipes import ImageCaptions, WordToSentence
from synscale.study.models.sources import SyntheticSource
from tests.support.workflow import ROOT

DIGITS = load_study(str(ROOT / "studies/digits.yaml"))
IMAGENET = load_study(str(ROOT / "studies/imagenet.yaml"))
FIGURE = {"value": 1.0, "origin": "of this test"}
MACHINE = Hardware(
    title="test machine",
    currency="EUR",
    price_per_core_hour=FIGURE,
    price_per_gpu_hour=FIGURE | {"value": 2.0},
    watts_per_core=FIGURE | {"value": 10.0},
    watts_per_gpu=FIGURE | {"value": 500.0},
    co2_kg_per_kwh=FIGURE | {"value": 0.5},
    cpu_partition="cpu",
    gpu_partition="gpu",
    rates=[
        {"rule": "train_classifiers", "unit": "step", "seconds": 0.01, "origin": "assumed"},
        {"rule": "generate", "unit": "image", "seconds": 0.01, "origin": "assumed"},
        {"rule": "*", "unit": "job", "seconds": 10, "origin": "assumed"},
        {"rule": "*", "unit": "run", "seconds": 0, "origin": "assumed"},
        {"rule": "*", "unit": "image", "seconds": 0, "origin": "assumed"},
        {"rule": "*", "unit": "curve", "seconds": 0, "origin": "assumed"},
    ],
)


def pretrained(model: str, size: int, steps: int, **keys) -> PretrainedGenerator:
    """Return a generator of the hub."""
    return PretrainedGenerator(
        kind="pretrained", model=model, revision="0" * 40, size=size, steps=steps, **keys
    )


UPSCALER = {"model": "DeepFloyd/IF-II-L-v1.0", "size": 256, "steps": 40, "guidance": 4.0}
GENERATORS = {
    "sd": pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5", 512, 50),
    "if": pretrained("DeepFloyd/IF-I-XL-v1.0", 64, 50, upscaler=UPSCALER),
    "amused": pretrained("amused/amused-512", 512, 12),
}


def with_released(images: dict[float, int]) -> Study:
    """Return the digits with a source `{name}_images` of each released generator.

    Two recipes are language models.
    """
    sources = {}
    for name in GENERATORS:
        sources[f"{name}_images"] = SyntheticSource(
            kind="synthetic", generator=name, recipe="class_names", images=images
        )
    recipes = {
        "written": WordToSentence(kind="word_to_sentence", model="owner/name", texts=2),
        "blip": ImageCaptions(kind="image_captions", model="owner/name"),
    }
    changes = {
        "generators": DIGITS.generators | GENERATORS,
        "sources": DIGITS.sources | sources,
        "recipes": DIGITS.recipes | recipes,
        "images_per_shard": 100,
    }
    return DIGITS.model_copy(update=changes)
