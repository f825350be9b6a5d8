"""Sampling: through the pipelines of diffusers, and each image from one seed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AmusedScheduler, DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from synscale.models import embedding_cache, pipelines, small_generators
from synscale.study.load import load_study
from synscale.workflow.settings.generation import TrainedSampling, generator_settings
from tests.support import tiny_pipelines
from tests.support.tiny_pipelines import PROMPTS, sampling
from tests.support.workflow import SMOKE

CPU = torch.device("cpu")
SEEDS = [11, 22, 33, 44, 55]


def untrained(name: str):
    settings = generator_settings(load_study(SMOKE), name)
    torch.manual_seed(0)
    return small_generators.build(settings, small_generators.build_tokenizer(PROMPTS))


DIFFUSION = TrainedSampling(kind="diffusion", sampler="dpmsolver++", steps=3)
MASKED = TrainedSampling(kind="masked_token", steps=3, temperature=(2.0, 0.0))
CASES = {
    "diffusion": (lambda: untrained("diffusion"), DIFFUSION, (8, 8)),
    "masked": (lambda: untrained("masked"), MASKED, (8, 8)),
    "stable diffusion": (
        tiny_pipelines.stable_diffusion,
        sampling(sampler="ddim", steps=3),
        (16, 16, 3),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A pipeline of each kind, its sampling settings and the shape of its images."""
    build, settings, shape = CASES[request.param]
    folder = tmp_path_factory.mktemp("pipeline")
    build().save_pretrained(folder)
    return pipelines.load(str(folder), settings, CPU), settings, shape


def test_images_are_bytes_of_the_right_shape(case):
    pipeline, settings, shape = case
    images = pipelines.sample(pipeline, PROMPTS, SEEDS, 2.0, settings)
    assert images.shape == (5, *shape)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_image_is_the_same_in_any_batch(case, guidance):
    pipeline, settings, _ = case
    together = pipelines.sample(pipeline, PROMPTS, SEEDS, guidance, settings)
    for prompt, seed, expected in zip(PROMPTS, SEEDS, together, strict=True):
        [single] = pipelines.sample(pipeline, [prompt], [seed], guidance, settings)
        # Batched matrix products round differently.
        assert np.abs(single.astype(int) - expected).max() <= 1


def test_seed_prompt_and_guidance_all_matter(case):
    pipeline, settings, _ = case

    def image(prompt, seed, guidance=2.0):
        return pipelines.sample(pipeline, [prompt], [seed], guidance, settings)

    assert (image("one", 1) == image("one", 1)).all()
    assert (image("one", 2) != image("one", 1)).any()
    assert (image("a thick two", 1, 50.0) != image("one", 1, 50.0)).any()


PRETRAINED = {"batch_size": 2, "sampler": "ddim", "steps": 4}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Return a function that loads a tiny pretrained pipeline, with its sampling settings."""
    folder = tmp_path_factory.mktemp("pretrained")

    def load(name="stable_diffusion", **keys):
        if not (folder / name).exists():
            tiny_pipelines.save(name, folder / name)
        settings = sampling(**PRETRAINED | keys)
        return pipelines.load(str(folder / name), settings, CPU), settings

    return load


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("stable_diffusion", "ddim"),
        ("stable_diffusion_xl", "ddim"),
        ("deepfloyd_if", None),
        ("flux", None),
        ("amused", None),
    ],
)
def test_compiled_pipeline_has_the_same_images(load, name, sampler):
    """It is compiled once: a batch of one image, as at the end of a shard, is filled up."""
    plain, settings = load(name, sampler=sampler)
    fast, compiled = load(name, sampler=sampler, compile="eager")
    expected = pipelines.sample(plain, PROMPTS[:3], SEEDS[:3], 3.0, settings)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    images = [pipelines.sample(fast, PROMPTS[:2], SEEDS[:2], 3.0, compiled)]
    graphs = 1 if name == "deepfloyd_if" else 2  # the denoiser, and the decoder if there is one
    assert torch._dynamo.utils.counters["frames"]["ok"] == graphs
    with torch._dynamo.config.patch(error_on_recompile=True):
        for part in (slice(2, 3), slice(3, 5)):
            images.append(pipelines.sample(fast, PROMPTS[part], SEEDS[part], 3.0, compiled))
    images = np.concatenate(images)
    assert images.shape == (5, *expected.shape[1:])
    assert np.abs(images[:3].astype(int) - expected).max() <= 1


def test_compiled_pipeline_is_fused_and_channels_last(load):
    pipeline, _ = load(compile="eager")
    assert all(
        layer.fused_projections
        for layer in pipeline.unet.modules()
        if hasattr(layer, "fused_projections")
    )
    assert pipeline.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert pipeline.vae.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def count_attention(pipeline) -> list:
    """Return a list that grows with each call of the first attention layer."""
    layers = pipeline.unet.named_modules()
    first = next(layer for name, layer in layers if name.endswith("attn1"))
    calls = []
    first.to_q.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_reused_attention_is_computed_in_fewer_steps(load):
    plain, settings = load(steps=8)
    fast, reusing = load(steps=8, reuse_attention=2)
    plain_calls, fast_calls = count_attention(plain), count_attention(fast)
    exact = pipelines.sample(plain, PROMPTS, SEEDS, 3.0, settings)
    together = pipelines.sample(fast, PROMPTS, SEEDS, 3.0, reusing)
    # The first two of 8 steps, and every other of those from 750 to 125 thousandths.
    assert len(plain_calls) == 8 and len(fast_calls) == 5
    assert (together != exact).any()
    for part in (slice(0, 2), slice(2, 5)):  # no image depends on its batch
        images = pipelines.sample(fast, PROMPTS[part], SEEDS[part], 3.0, reusing)
        assert np.abs(images.astype(int) - together[part]).max() <= 1
    message = r"reuse_attention: .* and this is a FluxPipeline; remove the key"
    with pytest.raises(pipelines.SamplerError, match=message):
        load("flux", sampler=None, reuse_attention=2)


def test_cached_embeddings_are_those_of_the_encoder():
    """Five texts in batches of two, and the empty one, twice."""
    plain, calls = tiny_pipelines.stable_diffusion().text_encoder, []

    def counted(tokens, **named):
        calls.append(len(tokens))
        return plain(tokens, **named)

    encoder = embedding_cache.CachedEncoder(counted, rows=2)
    tokens = torch.arange(5 * 24).reshape(5, 24) % 20
    for _ in range(2):
        for part in (tokens[:2], tokens[2:4], tokens[4:], tokens[:1].expand(3, -1) * 0):
            output = encoder(part, attention_mask=None)
            expected = plain(part)
            assert type(output) is type(expected)
            assert output.last_hidden_state.shape == (len(part), 24, 16)
            assert torch.allclose(output.last_hidden_state, expected.last_hidden_state, atol=1e-6)
            rows = [encoder(row[None], attention_mask=None)[0] for row in part]
            assert torch.equal(output[0], torch.cat(rows))  # to the bit
    assert calls == [2, 2, 2, 2]


def test_cache_of_embeddings_is_bounded_and_reads_masks():
    forward = lambda tokens, mask: (tokens.float() * mask,)  # noqa: E731
    encoder = embedding_cache.CachedEncoder(forward, 2, cache_bytes=3 * 16)
    for first in range(10):
        tokens = torch.full((1, 4), first)
        assert torch.equal(encoder(tokens, torch.ones(1, 4))[0], tokens.float())
        assert torch.equal(encoder(tokens, torch.zeros(1, 4))[0], torch.zeros(1, 4))
        assert len(encoder.cache) <= 3 and encoder.room >= 0


@given(st.text(min_size=1, max_size=20), st.floats(0.1, 20), st.integers(0, 10**9))
def test_seed_depends_on_source_guidance_and_index(source, guidance, index):
    seed = pipelines.seed_of(source, guidance, index)
    assert seed == pipelines.seed_of(source, guidance, index)
    assert 0 <= seed < 2**63
    assert seed != pipelines.seed_of(source, guidance, index + 1)


def test_imagewise_scheduler_samples_the_same_law():
    """From fixed logits, many images through both: the tokens and the masks that they leave have
    the same frequencies.
    """
    images, size, levels, steps = 4000, 2, 3, 3
    torch.manual_seed(0)
    logits = torch.randn(1, levels, size, size).repeat(images, 1, 1, 1)
    frequencies = []
    for kind in (AmusedScheduler, pipelines.ImagewiseAmusedScheduler):
        scheduler = kind(mask_token_id=levels)
        scheduler.set_timesteps(steps, (2, 0))
        one = torch.Generator().manual_seed(1)
        each = [torch.Generator().manual_seed(i) for i in range(images)]
        sample = torch.full((images, size, size), levels)
        for time in scheduler.timesteps:
            sample = scheduler.step(
                logits, time, sample, generator=one if kind is AmusedScheduler else each
            ).prev_sample
            frequencies.append(torch.nn.functional.one_hot(sample, levels + 1).float().mean(0))
    batchwise, imagewise = torch.stack(frequencies[:steps]), torch.stack(frequencies[steps:])
    assert (imagewise - batchwise).abs().max() < 5 * (0.5 / images**0.5)  # five standard errors
    assert (imagewise[-1, ..., levels] == 0).all()


def amused_step(seeds: list[int], device: torch.device = CPU) -> torch.Tensor:
    """Return the tokens after a step from equal logits, at aMUSEd's number of levels."""
    scheduler = pipelines.ImagewiseAmusedScheduler(mask_token_id=8255)
    scheduler.set_timesteps(2, (2, 0), device)
    logits = torch.zeros(len(seeds), 8192, 2, 2, device=device)
    sample = torch.full((len(seeds), 2, 2), 8255, device=device)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    return scheduler.step(logits, scheduler.timesteps[0], sample, generator=generators).prev_sample


def test_imagewise_noise_does_not_depend_on_the_batch():
    together = amused_step(SEEDS)
    assert len(together.unique(dim=0)) == len(SEEDS)
    for tokens, seed in zip(together, SEEDS, strict=True):
        assert torch.equal(tokens, amused_step([seed])[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_imagewise_noise_of_a_gpu_has_the_same_law():
    on_cpu, on_gpu = (amused_step(list(range(500)), torch.device(d)).cpu() for d in ("cpu", "cuda"))
    drawn = [tokens[tokens < 8192].double().numpy() for tokens in (on_cpu, on_gpu)]
    assert len(drawn[0]) == len(drawn[1])
    assert ks_2samp(*drawn).pvalue > 1e-4


@pytest.mark.parametrize(
    ("scheduler", "kind", "expected"),
    [
        (pipelines.ImagewiseAmusedScheduler(8255), "pretrained", "cuda"),
        (pipelines.ImagewiseAmusedScheduler(8255), "masked_token", "cpu"),
        (DDIMScheduler(), "pretrained", "cpu"),
    ],
)
def test_noise_of_released_amused_is_drawn_on_the_gpu(scheduler, kind, expected):
    pipeline = SimpleNamespace(scheduler=scheduler, device=torch.device("cuda"))
    device = pipelines._noise_device(pipeline, SimpleNamespace(kind=kind))
    assert device == torch.device(expected)


def test_tokenizer_has_a_token_for_each_known_word():
    texts = ["a photo of the large three.", "someone wrote three"]
    tokenizer = small_generators.build_tokenizer(texts)
    assert len(tokenizer("a large three").input_ids) == 3 + 2
    ids = tokenizer(texts, padding="max_length", truncation=True).input_ids
    assert {len(tokens) for tokens in ids} == {small_generators.MAX_TOKENS}
    assert len(tokenizer("zeppelin").input_ids) > 3  # an unknown word is split into letters
