"""Stand-ins for models that are not on disk: of the right size, loaded and timed like them."""

import pytest
import torch

from synscale.models import pipelines
from synscale.planning.cost_model import Work
from synscale.study.load import load_study
from synscale.study.models.generators import SafetyChecker, Upscaler
from synscale.study.models.recipes import ImageCaptions, WordToSentence
from synscale.timing import bench, calibration, stages, stand_ins
from synscale.timing import stand_ins_transformers as transformed
from tests.support import tiny_pipelines as tiny
from tests.support.calibrated import base, machine
from tests.support.workflow import ROOT

CPU = torch.device("cpu")


def tiny_amused():
    pipeline = tiny.amused()
    return stand_ins.amused(lambda: pipeline.transformer, lambda: pipeline.vqvae, (tiny.WIDTH, 1))


SMALL = {
    "stable_diffusion": lambda: stand_ins.stable_diffusion(16, (8, 16), 2, (16, 1), 4, (8, 8)),
    "amused": tiny_amused,
    "deepfloyd_if": lambda: stand_ins.deepfloyd_if(
        lambda: tiny.t5()[1], lambda: tiny.if_unet(sample_size=16, in_channels=3)
    ),
    "deepfloyd_if/upscaler": lambda: stand_ins.deepfloyd_if_upscaler(
        lambda: tiny.if_unet(sample_size=32, in_channels=6, class_embed_type="timestep")
    ),
}


@pytest.mark.parametrize("name", ["stable_diffusion", "amused", "deepfloyd_if"])
def test_stand_in_is_loaded_and_sampled(tmp_path, name):
    upscaler = None
    if name == "deepfloyd_if":
        upscaler = Upscaler(model="./second", size=32, steps=2, guidance=4.0)
    sampling = tiny.sampling(upscaler=upscaler)
    with stand_ins.in_place({str(tmp_path / place): build for place, build in SMALL.items()}, CPU):
        pipeline = pipelines.load(str(tmp_path / name), sampling, CPU)
    images = pipelines.sample(pipeline, ["a photo of a number 1"] * 2, [1, 2], 2.0, sampling)
    assert images.shape == ((2, 32, 32, 3) if name == "deepfloyd_if" else (2, 16, 16, 3))


# Millions of weights, from the cards of the models.
CARDS = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": ("unet", 860),
    "DeepFloyd/IF-I-XL-v1.0": ("unet", 4300),
    "DeepFloyd/IF-II-L-v1.0": ("unet", 1200),
    "amused/amused-512": ("transformer", 608),
    "amused/amused-256": ("transformer", 603),
}


@pytest.mark.parametrize("model", CARDS)
def test_stand_ins_have_the_size_of_the_models(model):
    with torch.device("meta"):
        built = stand_ins.of(model)()
    part, millions = CARDS[model]
    assert sum(weights.numel() for weights in getattr(built, part).parameters()) == pytest.approx(
        millions * 1e6, rel=0.02
    )


def test_unknown_model_has_no_stand_in():
    assert stand_ins.of("owner/name") is None


EYES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
QUERIES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
READERS = {
    "./t5": lambda: transformed.t5(16, 16, 1, 2, 300),
    "./blip2": lambda: transformed.blip2(16, 1, 2, 300, EYES, QUERIES, 4),
}


@pytest.fixture
def written(monkeypatch):
    """The digits with recipes by models that are not on disk."""
    for known in (transformed.WRITERS, transformed.CAPTIONERS):
        for name, build in READERS.items():
            monkeypatch.setitem(known, name, build)
    monkeypatch.setattr(
        transformed, "safety_checker", lambda of=transformed.safety_checker: of(16, 1, 2, 28)
    )
    recipes = {
        "written": WordToSentence(
            kind="word_to_sentence", model="./t5", texts=7, batch_size=4, max_tokens=6
        ),
        "again": WordToSentence(kind="word_to_sentence", model="./t5", texts=9),
        "seen": ImageCaptions(
            kind="image_captions", model="./blip2", batch_size=4, max_tokens=6, min_tokens=1
        ),
        "other": ImageCaptions(kind="image_captions", model="owner/name"),
    }
    checker = SafetyChecker(model="owner/name", batch_size=5)
    return load_study(str(ROOT / "studies/digits.yaml")).model_copy(
        update={"recipes": recipes, "safety_checker": checker}
    )


def test_prompts_and_flags_are_timed_with_stand_ins(written, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    a_bench = bench.Bench(ROOT / "studies/digits.yaml", written, CPU, tmp_path, seconds=0.01)
    timed = [
        t
        for stage in ("write_sentences", "caption_images", "flag_images")
        for t in stages.STAGES[stage](a_bench)
    ]
    assert [(t.rule, t.units) for t in timed if t.units and t.units != {"load": 1}] == [
        ("write_sentences", {"text": 7}),  # once of each model
        ("caption_images", {"image": 4}),
        ("flag_images", {"image": 5}),
    ]
    assert all("random weights" in t.note and t.seconds > 0 for t in timed if t.units)
    [other] = [t for t in timed if not t.units]
    assert (
        other.note == "not on disk, and there is no stand-in; fetch it: "
        "snakemake results/digits/prompt_models/other"
    )
    assert (
        not machine(timed)
        .rates_of("write_sentences", Work({"text": 1, "job": 1}))[0]
        .origin.startswith("assumed")
    )


def test_stages_without_work_give_a_reason(tmp_path):
    a_bench = bench.Bench(
        ROOT / "studies/digits.yaml", load_study(str(ROOT / "studies/digits.yaml")), CPU, tmp_path
    )
    timed = [
        t
        for stage in ("write_sentences", "caption_images", "flag_images")
        for t in stages.STAGES[stage](a_bench)
    ]
    printed_lines = calibration.format_timed(timed).splitlines()[1:]
    assert [(line.split()[0], line.split("not timed: ")[1]) for line in printed_lines] == [
        ("write_sentences", "the study has no recipe of kind word_to_sentence"),
        ("caption_images", "the study has no recipe of kind image_captions"),
        ("flag_images", "the study has no safety_checker"),
    ]
    assert machine(timed).rates == base().rates


# Millions of weights, from the cards of the models.
READ = {
    "t5-base": 223,
    "t5-large": 738,
    "Salesforce/blip2-opt-2.7b": 3745,
    "Salesforce/blip2-opt-6.7b": 7753,
    "checker": 304,
}


@pytest.mark.parametrize("model", READ)
def test_transformers_stand_ins_have_the_right_size(model):
    known = transformed.WRITERS | transformed.CAPTIONERS | {"checker": transformed.safety_checker}
    _, build = transformed.of(model, known).values()
    with torch.device("meta"):
        stand_in = build()
    assert sum(weights.numel() for weights in stand_in.parameters()) == pytest.approx(
        READ[model] * 1e6, rel=0.005
    )
