"""Pretrained generators: any pipeline of diffusers, sampled and stored as a study asks."""

import io
import tarfile
import threading
from types import SimpleNamespace

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from synscale.data import codec, shards
from synscale.models import generation, pipeline_files, pipelines
from synscale.models.shard_batches import Batch
from synscale.study.load import StudyError, load_study
from synscale.study.models.generators import Storage
from synscale.workflow.paths import pipeline_folder
from synscale.workflow.settings.generation import (
    GenerationSettings,
    fetch_settings,
    generation_settings,
)
from tests.support import tiny_newer, tiny_pipelines
from tests.support.fake_hub import COMMIT
from tests.support.study_with import study_with
from tests.support.tiny_pipelines import PROMPTS, sampling
from tests.support.workflow import ROOT

CPU = deterministic(1)
SEEDS = [11, 22, 33, 44, 55]
BUILDERS = tiny_pipelines.BUILDERS | tiny_newer.BUILDERS
SIZES = tiny_pipelines.SIZES | tiny_newer.SIZES
AT = f", revision: {COMMIT!r}"
SAMPLING = sampling()


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A function that returns the folder of a tiny pipeline by name, each built once."""
    folder = tmp_path_factory.mktemp("released")

    def saved(name):
        if not (folder / name).exists():
            tiny_pipelines.save(name, folder / name, BUILDERS | tiny_pipelines.OTHERS)
        return folder / name

    return saved


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module", params=BUILDERS)
def kind(request, released):
    """A pipeline of each kind, loaded, and how it is sampled."""
    settings = sampling(size=SIZES[request.param])
    return pipelines.load(str(released(request.param)), settings, CPU), settings


def test_images_of_every_kind_are_the_same_in_any_batch(kind):
    pipeline, settings = kind
    together = pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, settings)
    assert together.shape == (5, settings.size, settings.size, 3)
    assert together.dtype == np.uint8
    assert not any(codec.is_blank(pixels) for pixels in together)
    assert (pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, settings) == together).all()
    for part in (slice(0, 1), slice(2, 5)):
        images = pipelines.sample(pipeline, PROMPTS[part], SEEDS[part], 3.0, settings)
        # Batched matrix products round differently.
        assert np.abs(images.astype(int) - together[part]).max() <= 1


LENGTHS = ["one", " ".join(["five"] * 200), "a thick two"]


@pytest.mark.parametrize("negative", ["", "three " * 20])
def test_prompts_of_any_length_share_a_batch(kind, negative):
    """Classes that pad prompts to the longest one of a batch must not show it in the images."""
    pipeline, settings = kind
    settings = settings.model_copy(update={"negative_prompt": negative})
    together = pipelines.sample(pipeline, LENGTHS, SEEDS[:3], 9.0, settings)
    for prompt, seed, expected in zip(LENGTHS, SEEDS, together, strict=False):
        [single] = pipelines.sample(pipeline, [prompt], [seed], 9.0, settings)
        assert np.abs(single.astype(int) - expected).max() <= 1


def test_guidance_and_seed_matter_to_every_kind(kind):
    pipeline, settings = kind
    first = pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, settings)
    assert (pipelines.sample(pipeline, PROMPTS[:1], [1], 30.0, settings) != first).any()
    assert (pipelines.sample(pipeline, PROMPTS[:1], [2], 2.0, settings) != first).any()


def test_keys_that_would_be_ignored_are_refused(released, monkeypatch):
    """A class without a guidance scale, and a size that FLUX would round."""
    pipeline = tiny_pipelines.stable_diffusion()

    class Unguided(type(pipeline)):
        def __call__(self, prompt, generator, prior_guidance_scale=4.0): ...

    unguided = Unguided(**pipeline.components, requires_safety_checker=False)
    monkeypatch.setattr(pipeline_files, "read", lambda *_: unguided)
    message = "model: a Unguided takes no guidance_scale and no num_inference_steps"
    with pytest.raises(pipelines.SamplerError, match=message):
        pipelines.load(str(released("stable_diffusion")), SAMPLING, CPU)
    message = "size = 18: the model generates 16 x 16 pixels"
    with pytest.raises(pipelines.SamplerError, match=message):
        pipelines.sample(tiny_pipelines.flux(), PROMPTS[:1], [1], 1.0, sampling(size=18))


def test_model_without_guidance_input_gets_a_second_pass(released):
    """Its class has the input, for other models."""
    pipeline = pipelines.load(str(released("qwen_image")), SAMPLING, CPU)
    cases = ((1.0, ""), (1.0, "five"), (9.0, "five"))
    one, none, other = (
        pipelines.sample(pipeline, PROMPTS[:1], [1], scale, sampling(negative_prompt=text))
        for scale, text in cases
    )
    assert (one == none).all() and (other != one).any()


def test_sampler_is_that_of_the_model_or_the_named_one(released):
    folder = str(released("deepfloyd_if"))
    default = pipelines.load(folder, SAMPLING, CPU)
    assert pipelines.sampler_of(default, SAMPLING) == "DDPMScheduler"
    ddim = sampling(sampler="ddim")
    assert type(pipelines.load(folder, ddim, CPU).scheduler).__name__ == "DDIMScheduler"
    # No diffusion, or one along straight lines: this sampler would generate noise.
    for name in ("amused", "flux"):
        with pytest.raises(pipelines.SamplerError, match=r"sampler = 'ddim': .* remove the key"):
            pipelines.load(str(released(name)), ddim, CPU)


def test_pipeline_saved_without_a_component_is_loaded(tmp_path):
    """Stable Diffusion 3 without its T5, which diffusers saves and then does not read."""
    pipeline = tiny_pipelines.stable_diffusion_3()
    parts = pipeline.components | {"text_encoder_3": None, "tokenizer_3": None}
    type(pipeline)(**parts).save_pretrained(tmp_path / "model")
    pipeline = pipelines.load(str(tmp_path / "model"), SAMPLING, CPU)
    assert pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, SAMPLING).shape == (1, 16, 16, 3)


def test_negative_prompt_and_precision_reach_the_model(released):
    pipeline = pipelines.load(str(released("stable_diffusion")), SAMPLING, CPU)
    plain, other = (
        pipelines.sample(pipeline, PROMPTS[:1], [1], 9.0, sampling(negative_prompt=text))
        for text in ("", "five")
    )
    assert (plain != other).any()
    folder = str(released("stable_diffusion"))
    half = pipelines.load(folder, sampling(precision="bfloat16"), CPU)
    assert half.unet.dtype == torch.bfloat16


def test_numbers_that_are_not_finite_are_black():
    class StableDiffusionPipeline:  # a class whose prompts share a batch
        def __call__(self, prompt, guidance_scale):
            images = np.random.default_rng(0).random((len(prompt), 4, 4, 3))
            images[1, 2, 2, 0] = np.nan
            return SimpleNamespace(images=images)

    settings = sampling(size=4, steps=1)
    images = pipelines.sample(StableDiffusionPipeline(), ["a", "b"], [1, 2], 1.0, settings)
    assert [codec.is_blank(pixels) for pixels in images] == [False, True]
    assert images[1].max() == 0


BLANK = np.zeros((8, 8, 3), np.uint8)


def shard_settings(size: int, channels: int = 3) -> GenerationSettings:
    return GenerationSettings("s", "g", "r", {}, SAMPLING, size, channels, Storage())


@pytest.fixture
def sample_batch(monkeypatch):
    """A function that samples five prompts with a fake model; images of the given seeds are blank.

    It returns the images and the seeds of each call of the model.
    """

    def sample_batch(blank):
        calls = []

        def fake(pipeline, prompts, seeds, guidance, settings):
            calls.append(seeds)
            images = []
            for seed in seeds:
                image = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
                images.append(BLANK if seed in blank else image)
            return np.stack(images)

        monkeypatch.setattr(pipelines, "sample", fake)
        batch = Batch(10, 1.5, pd.DataFrame({"image": range(10, 15), "prompt": PROMPTS}))
        sampler = generation.BatchSampler(None, shard_settings(size=4))
        [(same, images)] = sampler.sample([batch])
        assert same is batch
        return images, calls

    return sample_batch


def test_only_blank_images_are_sampled_again(sample_batch):
    first = {index: pipelines.seed_of("s", 1.5, index) for index in range(10, 15)}
    second = pipelines.seed_of("s", 1.5, 12, 1)
    expected, calls = sample_batch([])
    assert calls == [list(first.values())]
    assert {image.attempt for image in expected.values()} == {0}
    images, calls = sample_batch([first[12], first[14], second])
    other = pipelines.seed_of("s", 1.5, 14, 1)
    third = pipelines.seed_of("s", 1.5, 12, 2)
    assert calls[1:] == [[second, other], [third]]
    attempts = {index: image.attempt for index, image in images.items()}
    assert attempts == {10: 0, 11: 0, 12: 2, 13: 0, 14: 1}
    assert images[12].seed == third
    for image in images.values():
        assert not codec.is_blank(np.asarray(Image.open(io.BytesIO(image.data))))
    assert all(images[index] == expected[index] for index in (10, 11, 13))


def test_image_that_stays_blank_is_reported(sample_batch):
    seeds = [pipelines.seed_of("s", 1.5, 12, attempt) for attempt in range(generation.ATTEMPTS)]
    where = "image g1_5-000000012, prompt 'three': of a single colour"
    message = f"{where}.* at each of 5 seeds; try precision float32"
    with pytest.raises(codec.BlankImage, match=message):
        sample_batch(seeds)


def test_batch_is_sampled_while_another_is_encoded(monkeypatch):
    """Encoding waits until the next batch is sampled: a deadlock if sampling waited for it."""
    batches = [
        Batch(index, 1.5, pd.DataFrame({"image": [index], "prompt": ["p"]})) for index in range(3)
    ]
    second = threading.Event()
    calls = []
    encode = shards.encode

    def fake(pipeline, prompts, seeds, guidance, settings):
        calls.append(seeds)
        if len(calls) == 2:
            second.set()
        return np.random.default_rng(seeds).integers(0, 256, (1, 8, 8, 3), np.uint8)

    monkeypatch.setattr(pipelines, "sample", fake)
    monkeypatch.setattr(shards, "encode", lambda *args: second.wait(60) and encode(*args))
    sampler = generation.BatchSampler(None, shard_settings(size=8))
    assert [list(images) for _, images in sampler.sample(batches)] == [[0], [1], [2]]
    monkeypatch.setattr(shards, "encode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(sampler.sample(batches))


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
    rows = [(f"k{i}", image, {"class_id": i, "prompt": "p"}) for i, image in enumerate(pixels)]
    kind = Storage(format=storage, quality=None if storage == "png" else 95)
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


GENERATOR = "generators.released"
SECOND = f"{AT}, upscaler: {{model: ./no, size: %d, steps: 1, guidance: 1}}"
HUB_SECOND = f"{AT}, upscaler: {{model: a/b, size: 36, steps: 1, guidance: 1}}"
A_FOLDER = "a folder of that name exists here"


@pytest.mark.parametrize(
    ("model", "changes", "storage", "message"),
    [
        ("./nowhere", "", "", f"{GENERATOR}.model = './nowhere': no such folder"),
        ("./scripts", "", "", f"{GENERATOR}.model = './scripts': has no model_index.json"),
        ("synscale", "", "", f"{GENERATOR}.model = 'synscale': {A_FOLDER}; write './synscale'"),
        ("name", AT, "", f"{GENERATOR}.model = 'name': neither owner/name nor a path"),
        ("owner/name", "", "", f"{GENERATOR}.revision: missing (branches and tags move); give the"),
        ("owner/name", ", revision: main", "", f"{GENERATOR}.revision = 'main': not a commit"),
        ("./scripts", AT, "", f".revision = '{COMMIT}': a folder has none; remove the key"),
        ("owner/name", HUB_SECOND, "", "released.upscaler.revision: missing"),
        ("owner/name", SECOND % 36, "", "released.upscaler.size = 36: not a multiple"),
        ("owner/name", SECOND % 16, "", f"no larger than {GENERATOR}.size = 16"),
        (
            "owner/name",
            AT,
            "safety_checker: {model: ./no}",
            "safety_checker.model = './no': no such",
        ),
        ("owner/name", AT, "safety_checker: {model: scripts}", f".model = 'scripts': {A_FOLDER}"),
        ("owner/name", f"{AT}, precision: int8", "", f"{GENERATOR}.precision = 'int8'"),
        ("owner/name", f"{AT}, sampler: euler", "", f"{GENERATOR}.sampler = 'euler'"),
        (
            "owner/name",
            AT,
            "storage: {format: png, quality: 90}",
            ".quality = 90: png is lossless",
        ),
        (
            "owner/name",
            AT,
            "storage: {format: jpeg}",
            "quality: missing; jpeg needs one of 1 to 100",
        ),
        ("owner/name", AT, "storage: {format: gif}", "storage.format = 'gif'"),
    ],
)
def test_bad_keys_of_a_study_are_reported(tmp_path, model, changes, storage, message):
    with pytest.raises(StudyError) as error:
        load_study(study_with(tmp_path, model, changes, f"{storage}\n"))
    assert message in str(error.value)


def test_size_that_latents_cannot_have_is_reported(tmp_path):
    path = study_with(tmp_path, "owner/name", AT)
    path.write_text(path.read_text().replace("size: 16, steps: 2", "size: 20, steps: 2"))
    message = r"generators\.released\.size = 20: not a multiple of 8, which latents need; use 16"
    with pytest.raises(StudyError, match=message):
        load_study(path)


def test_fetch_does_not_depend_on_sampling(tmp_path):
    first = load_study(study_with(tmp_path, "owner/name", AT))
    more = load_study(study_with(tmp_path, "owner/name", f"{AT}, negative_prompt: blurry"))
    other = load_study(study_with(tmp_path, "owner/name", f", revision: {COMMIT[::-1]!r}"))
    weights = [fetch_settings(study, "released") for study in (first, more, other)]
    assert weights[0] == weights[1] != weights[2]
    studies = (first, more, other)
    settings = [generation_settings(study, "released_images", "00000") for study in studies]
    assert len({one.digest() for one in settings}) == 3
    assert pipeline_folder(first, "released_images") == "results/released/models/released"
    assert (
        pipeline_folder(first, "diffusion_class_names") == "results/released/generators/diffusion"
    )
