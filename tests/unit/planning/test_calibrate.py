"""Speeds that are measured before any run: how a hardware file is made of what was timed, and what
stands in for models that are not on disk.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts import calibrate
from synscale.models import pipelines
from synscale.planning import hardware
from synscale.planning.cost_model import Work
from synscale.study.load import load_study
from synscale.study.models.generators import SafetyChecker, Upscaler
from synscale.study.models.recipes import ImageCaptions, WordToSentence
from synscale.timing import bench, stages, stand_ins
from synscale.timing import stand_ins_transformers as transformed
from synscale.timing.bench import Timed
from tests.support import tiny_pipelines as tiny
from tests.support.workflow import ROOT

CPU = torch.device("cpu")
BASES = ("laptop", "a100")


def base(name="a100"):
    return hardware.load(name, ROOT / "profiles/hardware")


def machine(found, name="a100"):
    own = base(name)
    return own.model_copy(update={"rates": calibrate.rates(found, own, "a test")})


def test_what_is_timed_of_a_rule_has_its_units():
    assert calibrate.FITTED.keys() == stages.STAGES.keys() - {"starts", "reads"}


seconds = st.floats(0.01, 1e4)


@pytest.mark.parametrize("name", BASES)
@given(
    steps=st.integers(1, 1000),
    tflop=st.floats(0.1, 1e6),
    took=seconds,
    start=seconds,
    beside=seconds,
)
def test_a_plan_of_what_was_timed_takes_what_it_took(name, steps, tflop, took, start, beside):
    """Of a single model, whatever the base says of it."""
    units = {"step": steps, "tflop": tflop}
    found = [
        Timed("train_classifiers", "", "one", units, took),
        Timed("train_classifiers", "", "start", {"job": 1}, start),
        Timed("train_classifiers", "", "beside", {"run": 1}, beside),
    ]
    planned = machine(found, name).seconds("train_classifiers", Work(units | {"job": 1, "run": 3}))
    assert planned == pytest.approx(took + start + 3 * beside, rel=0.02)  # three digits of each


def test_two_models_tell_steps_and_arithmetic_apart():
    found = [
        Timed("train_clip", "", str(tflop), {"step": 100, "tflop": tflop}, 100 * 0.01 + tflop * 0.5)
        for tflop in (3.0, 40.0)
    ]
    own = machine(found)
    assert own.seconds("train_clip", Work({"step": 7, "tflop": 5.0})) == pytest.approx(
        7 * 0.01 + 5 * 0.5, rel=0.01
    )


def test_generators_have_speeds_by_kind_and_others_keep_those_of_the_base():
    kind = "pretrained:stable-diffusion-v1-5/stable-diffusion-v1-5"
    found = [
        Timed("generate", "", "start", {"job": 1}, 5.0),
        Timed("generate", kind, "loaded", {"load": 1}, 2.0),
        Timed("generate", kind, "images", {"image": 10, "tflop": 800}, 40.0, note="random weights"),
    ]
    own = machine(found)
    assert own.seconds(
        "generate", Work({"job": 1, "image": 20, "pass": 9, "tflop": 1600}, kind)
    ) == pytest.approx(5 + 2 + 80)
    other = Work({"job": 1, "tflop": 100}, "pretrained:amused/amused-512")
    assert own.seconds("generate", other) == base().seconds("generate", other)
    origins = {rate.origin for rate in own.rates_of("generate", Work({"job": 1, "tflop": 1}, kind))}
    assert origins == {"measured (a test; random weights)"}


def test_what_no_weights_are_there_for_keeps_the_speed_of_the_base():
    own = machine([Timed("generate", "pretrained:owner/name", "other", {}, 0, note="not on disk")])
    assert own.rates == base().rates


def test_the_file_is_read_as_it_was_meant(tmp_path):
    own = machine([Timed("score", "", "images: 'all' #1", {"image": 10}, 1.0)])
    (tmp_path / "mine.yaml").write_text(
        calibrate.text(own, "studies/digits.yaml", "a100", "a test")
    )
    assert hardware.load("mine", tmp_path) == own


def test_a_file_that_was_not_written_here_is_left_alone(tmp_path):
    arguments = [
        "--study",
        str(ROOT / "studies/digits.yaml"),
        "--base",
        "laptop",
        "--output",
        str(tmp_path / "a100.yaml"),
    ]
    (tmp_path / "a100.yaml").write_text("title: mine\n")
    with pytest.raises(
        SystemExit,
        match=r"a100.yaml: this command has not written it, and leaves it alone: name another --output, or add --overwrite",
    ):
        calibrate.main(arguments)
    assert (tmp_path / "a100.yaml").read_text() == "title: mine\n"
    calibrate.check_output(tmp_path / "a100.yaml", overwrite=True)
    (tmp_path / "a100.yaml").write_text(f"{calibrate.MARK} ...\n")
    calibrate.check_output(tmp_path / "a100.yaml", overwrite=False)


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    def work(batch: int) -> list[Timed]:
        if batch > 300:
            raise torch.OutOfMemoryError
        return [Timed("train_clip", "", str(batch), {"step": 1}, 1.0)]

    [found] = bench.fitting(1024, work, CPU)
    assert (found.what, found.note) == (
        "256",
        "timed at 256, for a batch of 1024 does not fit into the memory of this GPU",
    )
    [found] = bench.fitting(256, work, CPU)
    assert (found.what, found.note) == ("256", "")


# -- what stands in for released models -------------------------------------------------------------------------------------------------


def tiny_amused():
    own = tiny.amused()
    return stand_ins.amused(lambda: own.transformer, lambda: own.vqvae, (tiny.WIDTH, 1))


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
def test_a_stand_in_is_loaded_and_sampled_as_the_released_one(tmp_path, name):
    upscaler = None
    if name == "deepfloyd_if":
        upscaler = Upscaler(model="./second", size=32, steps=2, guidance=4.0)
    sampling = tiny.sampling(upscaler=upscaler)
    with stand_ins.in_place({str(tmp_path / place): build for place, build in SMALL.items()}, CPU):
        pipeline = pipelines.load(str(tmp_path / name), sampling, CPU)
    made = pipelines.sample(pipeline, ["a photo of a number 1"] * 2, [1, 2], 2.0, sampling)
    assert made.shape == ((2, 32, 32, 3) if name == "deepfloyd_if" else (2, 16, 16, 3))


# Millions of weights that models' cards tell.
CARDS = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": ("unet", 860),
    "DeepFloyd/IF-I-XL-v1.0": ("unet", 4300),
    "DeepFloyd/IF-II-L-v1.0": ("unet", 1200),
    "amused/amused-512": ("transformer", 608),
}


@pytest.mark.parametrize("model", CARDS)
def test_stand_ins_have_the_size_of_the_released_models(model):
    with torch.device("meta"):
        built = stand_ins.of(model)()
    part, millions = CARDS[model]
    assert sum(weights.numel() for weights in getattr(built, part).parameters()) == pytest.approx(
        millions * 1e6, rel=0.02
    )


def test_nothing_stands_in_for_a_model_that_is_not_known():
    assert stand_ins.of("owner/name") is None


# -- what stands in for models that write prompts and flag images -----------------------------------------------------------------------

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


def test_prompts_and_flags_are_timed_by_stand_ins_before_the_models_are_there(
    written, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    own = bench.Bench(ROOT / "studies/digits.yaml", written, CPU, tmp_path, seconds=0.01)
    found = [
        t
        for stage in ("write_sentences", "caption_images", "flag_images")
        for t in stages.STAGES[stage](own)
    ]
    assert [(t.rule, t.units) for t in found if t.units and t.units != {"load": 1}] == [
        ("write_sentences", {"text": 7}),  # once of each model
        ("caption_images", {"image": 4}),
        ("flag_images", {"image": 5}),
    ]
    assert all("random weights" in t.note and t.seconds > 0 for t in found if t.units)
    [other] = [t for t in found if not t.units]
    assert (
        other.note
        == "not on disk, and nothing stands in for it: snakemake results/digits/prompt_models/other"
    )
    assert (
        not machine(found)
        .rates_of("write_sentences", Work({"text": 1, "job": 1}))[0]
        .origin.startswith("assumed")
    )


def test_one_line_says_why_there_is_nothing_to_time(tmp_path):
    own = bench.Bench(
        ROOT / "studies/digits.yaml",
        load_study(str(ROOT / "studies/digits.yaml")),
        CPU,
        tmp_path,
    )
    found = [
        t
        for stage in ("write_sentences", "caption_images", "flag_images")
        for t in stages.STAGES[stage](own)
    ]
    told = calibrate.shown(found).splitlines()[1:]
    assert [(line.split()[0], line.split("not timed: ")[1]) for line in told] == [
        ("write_sentences", "the study has no recipe of kind word_to_sentence"),
        ("caption_images", "the study has no recipe of kind image_captions"),
        ("flag_images", "the study names no safety_checker"),
    ]
    assert machine(found).rates == base().rates


# Millions of weights that models' cards tell.
READ = {
    "t5-base": 223,
    "t5-large": 738,
    "Salesforce/blip2-opt-2.7b": 3745,
    "Salesforce/blip2-opt-6.7b": 7753,
    "checker": 304,
}


@pytest.mark.parametrize("model", READ)
def test_stand_ins_of_transformers_have_the_size_of_the_released_models(model):
    known = transformed.WRITERS | transformed.CAPTIONERS | {"checker": transformed.safety_checker}
    _, build = transformed.of(model, known).values()
    with torch.device("meta"):
        made = build()
    assert sum(weights.numel() for weights in made.parameters()) == pytest.approx(
        READ[model] * 1e6, rel=0.005
    )
