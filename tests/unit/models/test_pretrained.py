"""Generators that others released: any pipeline of diffusers, sampled and stored as a study asks."""

import io
import tarfile
import threading

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from scripts import generate
from synscale.data import codec, shards
from synscale.models import pipelines
from synscale.study.load import StudyError, load_study
from synscale.workflow.paths import pipeline_folder
from synscale.workflow.settings import digest
from synscale.workflow.settings.generation import fetch_settings, generation_settings
from tests.support import tiny_newer, tiny_pipelines
from tests.support.fake_hub import COMMIT
from tests.support.study_with import study_with
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import ROOT

CPU = deterministic(1)
SEEDS = [11, 22, 33, 44, 55]
BUILDERS, SIZES = (
    tiny_pipelines.BUILDERS | tiny_newer.BUILDERS,
    tiny_pipelines.SIZES | tiny_newer.SIZES,
)
AT = f", revision: {COMMIT!r}"
SAMPLING = {
    "kind": "pretrained",
    "size": 16,
    "steps": 2,
    "sampler": None,
    "negative_prompt": "",
    "variant": None,
    "precision": "float32",
    "batch_size": 4,
}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Folders of tiny pipelines by name, each built once."""
    folder, made = tmp_path_factory.mktemp("released"), {}

    def of(name):
        if name not in made:
            made[name] = folder / name
            tiny_pipelines.save(name, made[name], BUILDERS | tiny_pipelines.OTHERS)
        return made[name]

    return of


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module", params=BUILDERS)
def kind(request, released):
    """A pipeline of each kind, loaded, and how it is sampled."""
    sampling = SAMPLING | {"size": SIZES[request.param]}
    return pipelines.load(str(released(request.param)), sampling, CPU), sampling


def test_every_kind_of_pipeline_makes_images_that_are_the_same_in_any_batch(kind):
    pipeline, sampling = kind
    together = pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, sampling)
    assert (
        together.shape == (5, sampling["size"], sampling["size"], 3) and together.dtype == np.uint8
    )
    assert not any(codec.is_blank(pixels) for pixels in together)
    assert (pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, sampling) == together).all()
    for some in (slice(0, 1), slice(2, 5)):
        part = pipelines.sample(pipeline, PROMPTS[some], SEEDS[some], 3.0, sampling)
        assert (
            np.abs(part.astype(int) - together[some]).max() <= 1
        )  # of 255: rounding of batched matrix products


LENGTHS = ["one", " ".join(["five"] * 200), "a thick two"]


@pytest.mark.parametrize("negative", ["", "three " * 20])
def test_prompts_of_any_length_share_a_batch(kind, negative):
    """Classes that pad prompts to the longest one of a batch must not show it in the images."""
    pipeline, sampling = kind
    sampling = sampling | {"negative_prompt": negative}
    together = pipelines.sample(pipeline, LENGTHS, SEEDS[:3], 9.0, sampling)
    for row, (prompt, seed) in enumerate(zip(LENGTHS, SEEDS, strict=False)):
        single = pipelines.sample(pipeline, [prompt], [seed], 9.0, sampling)[0]
        assert np.abs(single.astype(int) - together[row]).max() <= 1


def test_guidance_and_seed_matter_to_every_kind(kind):
    pipeline, sampling = kind
    first = pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, sampling)
    assert (pipelines.sample(pipeline, PROMPTS[:1], [1], 30.0, sampling) != first).any()
    assert (pipelines.sample(pipeline, PROMPTS[:1], [2], 2.0, sampling) != first).any()


def test_what_would_be_ignored_is_refused(released, monkeypatch):
    """A class without a guidance scale, and a size that a model cannot have."""
    pipeline = (
        tiny_pipelines.stable_diffusion()
    )  # which would refuse a size of its own accord; the one below rounds it

    class Unguided(type(pipeline)):
        def __call__(self, prompt, generator, prior_guidance_scale=4.0): ...

    with monkeypatch.context() as changed:
        changed.setattr(
            pipelines,
            "_read",
            lambda *_: Unguided(**pipeline.components, requires_safety_checker=False),
        )
        with pytest.raises(
            pipelines.SamplerError,
            match="model: a Unguided takes no guidance_scale and no num_inference_steps",
        ):
            pipelines.load(str(released("stable_diffusion")), SAMPLING, CPU)
    with pytest.raises(
        pipelines.SamplerError, match="size = 18: the model generates 16 x 16 pixels"
    ):
        pipelines.sample(tiny_pipelines.flux(), PROMPTS[:1], [1], 1.0, SAMPLING | {"size": 18})


def test_a_model_whose_class_has_a_guidance_input_that_it_has_not_is_guided_by_a_second_pass(
    released,
):
    pipeline = pipelines.load(str(released("qwen_image")), SAMPLING, CPU)
    cases = ((1.0, ""), (1.0, "five"), (9.0, "five"))
    one, none, other = (
        pipelines.sample(pipeline, PROMPTS[:1], [1], scale, SAMPLING | {"negative_prompt": text})
        for scale, text in cases
    )
    assert (one == none).all() and (other != one).any()


def test_the_sampler_is_the_models_own_or_the_one_that_is_named(released):
    folder = str(released("deepfloyd_if"))
    own, named = (
        pipelines.load(folder, SAMPLING | {"sampler": sampler}, CPU) for sampler in (None, "ddim")
    )
    assert pipelines.sampler_of(own, SAMPLING) == "DDPMScheduler"
    assert type(named.scheduler).__name__ == "DDIMScheduler"
    for name in (
        "amused",
        "flux",
    ):  # no diffusion, or one along straight lines: a sampler of another kind would make noise
        with pytest.raises(pipelines.SamplerError, match=r"sampler = 'ddim': .* remove the key"):
            pipelines.load(str(released(name)), SAMPLING | {"sampler": "ddim"}, CPU)


def test_a_pipeline_that_was_saved_without_a_component_is_read_without_it(tmp_path):
    """As Stable Diffusion 3 without its T5, by far the largest of its parts, which diffusers saves
    and then does not read.
    """
    whole = tiny_pipelines.stable_diffusion_3().components
    type(tiny_pipelines.stable_diffusion_3())(
        **whole | {"text_encoder_3": None, "tokenizer_3": None}
    ).save_pretrained(tmp_path / "model")
    pipeline = pipelines.load(str(tmp_path / "model"), SAMPLING, CPU)
    assert pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, SAMPLING).shape == (1, 16, 16, 3)


def test_a_negative_prompt_and_a_precision_reach_the_model(released):
    pipeline = pipelines.load(str(released("stable_diffusion")), SAMPLING, CPU)
    plain, other = (
        pipelines.sample(pipeline, PROMPTS[:1], [1], 9.0, SAMPLING | {"negative_prompt": text})
        for text in ("", "five")
    )
    assert (plain != other).any()
    half = pipelines.load(
        str(released("stable_diffusion")), SAMPLING | {"precision": "bfloat16"}, CPU
    )
    assert half.unet.dtype == torch.bfloat16


def test_numbers_that_are_not_finite_come_out_black_and_blank():
    class StableDiffusionPipeline:  # a class whose prompts share a batch
        def __call__(self, prompt, guidance_scale):
            made = np.random.default_rng(0).random((len(prompt), 4, 4, 3))
            made[1, 2, 2, 0] = np.nan
            return type("Output", (), {"images": made})

    made = pipelines.sample(StableDiffusionPipeline(), ["a", "b"], [1, 2], 1.0, {"steps": 1})
    assert [codec.is_blank(pixels) for pixels in made] == [False, True]
    assert made[1].max() == 0


BLANK = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def drawing(monkeypatch):
    """`generate.drawn` on five prompts of a source, with a model that is played: images of the
    seeds in `blank` show nothing.
    """
    asked = []

    def play(pipeline, prompts, seeds, guidance, sampling):
        asked.append(seeds)
        return np.stack(
            [
                BLANK
                if seed in play.blank
                else np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
                for seed in seeds
            ]
        )

    def draw(blank):
        play.blank = blank
        asked.clear()
        batch = pd.DataFrame({"image": range(10, 15), "prompt": PROMPTS})
        settings = {
            "source": "s",
            "sampling": {},
            "stored": {"image_size": 4, "channels": 3, "format": "png"},
        }
        [((place, scale, own), made)] = generate.drawn(None, [(10, 1.5, batch)], settings)
        assert (place, scale) == (10, 1.5) and own is batch
        return made, asked

    monkeypatch.setattr(pipelines, "sample", play)
    return draw


def test_a_blank_image_is_drawn_again_from_another_seed_and_the_others_are_not(drawing):
    first = {index: pipelines.seed_of("s", 1.5, index) for index in range(10, 15)}
    second = pipelines.seed_of("s", 1.5, 12, 1)
    whole, asked = drawing([])
    assert asked == [list(first.values())] and {attempt for _, _, attempt in whole.values()} == {0}
    made, asked = drawing([first[12], first[14], second])
    assert asked[1:] == [
        [second, pipelines.seed_of("s", 1.5, 14, 1)],
        [pipelines.seed_of("s", 1.5, 12, 2)],
    ]
    assert {index: attempt for index, (_, _, attempt) in made.items()} == {
        10: 0,
        11: 0,
        12: 2,
        13: 0,
        14: 1,
    }
    assert made[12][1] == pipelines.seed_of("s", 1.5, 12, 2)
    assert not any(
        codec.is_blank(np.asarray(Image.open(io.BytesIO(data)))) for data, _, _ in made.values()
    )
    assert all(made[index][0] == whole[index][0] for index in (10, 11, 13))


def test_an_image_that_stays_blank_is_told_with_its_prompt_and_a_mend(drawing):
    told = r"image g1_5-000000012, prompt 'three': of a single colour.* at each of 5 seeds: try precision float32"
    with pytest.raises(codec.BlankImage, match=told):
        drawing([pipelines.seed_of("s", 1.5, 12, attempt) for attempt in range(generate.ATTEMPTS)])


def test_a_batch_is_sampled_while_the_one_before_is_encoded_and_an_error_of_either_is_told(
    monkeypatch,
):
    """Encoding waits until the next batch is sampled: it would wait for ever if sampling waited for
    it.
    """
    batches, going = (
        [(index, 1.5, pd.DataFrame({"image": [index], "prompt": ["p"]})) for index in range(3)],
        threading.Event(),
    )
    settings, asked, encode = {"source": "s", "sampling": {}}, [], shards.encode

    def play(pipeline, prompts, seeds, guidance, sampling):
        asked.append(seeds)
        if len(asked) == 2:
            going.set()
        return np.random.default_rng(seeds).integers(0, 256, (1, 8, 8, 3), np.uint8)

    monkeypatch.setattr(pipelines, "sample", play)
    monkeypatch.setattr(shards, "encode", lambda *own: going.wait(60) and encode(*own))
    made = list(generate.drawn(None, batches, settings))
    assert [list(found) for _, found in made] == [[0], [1], [2]]  # in order
    monkeypatch.setattr(shards, "encode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(generate.drawn(None, batches, settings))


def test_images_are_smoothed_when_they_are_made_smaller():
    board = np.indices((64, 64)).sum(0) % 2 * 255  # the finest pattern there is
    small = codec.as_stored(board.astype(np.uint8), 16, 3)
    assert small.shape == (16, 16, 3)
    assert np.abs(small.astype(int) - 127).max() < 20
    assert codec.as_stored(np.zeros((16, 16, 3), np.uint8), 16, 1).shape == (16, 16)


@pytest.mark.parametrize(
    ("storage", "extension", "off"), [("png", "png", 0), ("jpeg", "jpg", 30), ("webp", "webp", 30)]
)
def test_shards_hold_any_of_the_formats(tmp_path, storage, extension, off):
    ramp = np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (32, 1))
    pixels = np.stack([np.stack([ramp, ramp.T, ramp], -1)] * 3)
    rows = [(f"k{i}", own, {"class_id": i, "prompt": "p"}) for i, own in enumerate(pixels)]
    kind = {"format": storage, "quality": None if storage == "png" else 95}
    shards.write(tmp_path / "a.tar", rows, kind)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {name for name in tar.getnames() if name.startswith("k0")} == {
            f"k0.{extension}",
            "k0.cls",
            "k0.txt",
        }
        stored = tar.extractfile(f"k0.{extension}").read()
    assert Image.open(io.BytesIO(stored)).format == storage.upper()
    read, _ = shards.read(tmp_path / "a.tar")
    assert np.abs(read.transpose(0, 2, 3, 1).astype(int) - pixels).max() <= off
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[data.index(stored) + len(stored) // 2] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(shards.ShardError, match="another sha256"):
        shards.read(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("model", "changes", "storage", "told"),
    [
        ("./nowhere", "", "", "generators.released.model = './nowhere': no such folder"),
        ("./scripts", "", "", "generators.released.model = './scripts': has no model_index.json"),
        (
            "synscale",
            "",
            "",
            "generators.released.model = 'synscale': a folder of that name exists here; write './synscale'",
        ),
        (
            "name",
            AT,
            "",
            "generators.released.model = 'name': neither owner/name nor a path",
        ),
        (
            "owner/name",
            "",
            "",
            "generators.released.revision = missing: branches and tags move; give the 40 hex digits",
        ),
        (
            "owner/name",
            ", revision: main",
            "",
            "generators.released.revision = 'main': not a commit",
        ),
        (
            "./scripts",
            AT,
            "",
            "generators.released.revision = '0123456789abcdef0123456789abcdef01234567': a folder has none; remove the key",
        ),
        (
            "owner/name",
            f"{AT}, upscaler: {{model: a/b, size: 36, steps: 1, guidance: 1}}",
            "",
            "released.upscaler.revision = missing",
        ),
        (
            "owner/name",
            f"{AT}, upscaler: {{model: ./no, size: 36, steps: 1, guidance: 1}}",
            "",
            "released.upscaler.size = 36: not a multiple",
        ),
        (
            "owner/name",
            f"{AT}, upscaler: {{model: ./no, size: 16, steps: 1, guidance: 1}}",
            "",
            "no larger than generators.released.size = 16",
        ),
        (
            "owner/name",
            AT,
            "safety_checker: {model: ./nowhere}\n",
            "safety_checker.model = './nowhere': no such folder",
        ),
        (
            "owner/name",
            AT,
            "safety_checker: {model: scripts}\n",
            "safety_checker.model = 'scripts': a folder of that name exists here",
        ),
        ("owner/name", f"{AT}, precision: int8", "", "generators.released.precision = 'int8'"),
        ("owner/name", f"{AT}, sampler: euler", "", "generators.released.sampler = 'euler'"),
        (
            "owner/name",
            AT,
            "storage: {format: png, quality: 90}\n",
            "storage.quality = 90: png is lossless",
        ),
        (
            "owner/name",
            AT,
            "storage: {format: jpeg}\n",
            "storage.quality: missing; jpeg needs one of 1 to 100",
        ),
        ("owner/name", AT, "storage: {format: gif}\n", "storage.format = 'gif'"),
    ],
)
def test_a_fault_is_told_with_its_key_value_and_mend(tmp_path, model, changes, storage, told):
    with pytest.raises(StudyError) as error:
        load_study(study_with(tmp_path, model, changes, storage))
    assert told in str(error.value)


def test_a_size_that_latents_cannot_have_is_told(tmp_path):
    path = study_with(tmp_path, "owner/name", AT)
    path.write_text(path.read_text().replace("size: 16, steps: 2", "size: 20, steps: 2"))
    with pytest.raises(
        StudyError,
        match=r"generators\.released\.size = 20: not a multiple of 8, which latents need; use 16",
    ):
        load_study(path)


def test_sampling_is_no_setting_of_the_fetch_and_the_weights_are_one_of_generation(tmp_path):
    first = load_study(study_with(tmp_path, "owner/name", AT))
    more = load_study(study_with(tmp_path, "owner/name", f"{AT}, negative_prompt: blurry"))
    other = load_study(study_with(tmp_path, "owner/name", f", revision: {COMMIT[::-1]!r}"))
    assert (
        fetch_settings(first, "released")
        == fetch_settings(more, "released")
        != fetch_settings(other, "released")
    )
    made = [
        digest(generation_settings(study, "released_images", "00000"))
        for study in (first, more, other)
    ]
    assert len(set(made)) == 3
    assert pipeline_folder(first, "released_images") == "results/s/models/released"
    assert pipeline_folder(first, "diffusion_class_names") == "results/s/generators/diffusion"
