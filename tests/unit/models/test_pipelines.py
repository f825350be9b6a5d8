"""Sampling: through diffusers' own pipelines, and every image by its own seed."""

import numpy as np
import pytest
import torch
from diffusers import AmusedScheduler, DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from scripts import train_generator
from synscale.models import embedding_cache, pipelines
from synscale.study.load import load_study
from synscale.workflow.settings.generation import generator_settings
from tests.support import tiny_pipelines
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import SMOKE

CPU = torch.device("cpu")
SEEDS = [11, 22, 33, 44, 55]


def trained_kind(name: str):
    settings = generator_settings(load_study(SMOKE), name)
    torch.manual_seed(0)
    return train_generator.KINDS[settings["kind"]][0](
        settings, train_generator.build_tokenizer(PROMPTS)
    )


CASES = {
    "diffusion": (
        lambda: trained_kind("diffusion"),
        {"sampler": "dpmsolver++", "steps": 3},
        (8, 8),
    ),
    "masked": (lambda: trained_kind("masked"), {"steps": 3, "temperature": [2.0, 0.0]}, (8, 8)),
    "stable diffusion": (
        tiny_pipelines.stable_diffusion,
        {"sampler": "ddim", "steps": 3},
        (16, 16, 3),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A pipeline of each kind, saved and loaded again, with its sampling settings and the shape of
    its images.
    """
    build, sampling, shape = CASES[request.param]
    folder = tmp_path_factory.mktemp("pipeline")
    build().save_pretrained(folder)
    return pipelines.load(str(folder), sampling, CPU), sampling, shape


def test_images_are_bytes_of_the_right_shape(case):
    pipeline, sampling, shape = case
    images = pipelines.sample(pipeline, PROMPTS, SEEDS, 2.0, sampling)
    assert images.shape == (5, *shape)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_an_image_is_the_same_in_any_batch(case, guidance):
    pipeline, sampling, _ = case
    together = pipelines.sample(pipeline, PROMPTS, SEEDS, guidance, sampling)
    for i in range(len(PROMPTS)):
        alone = pipelines.sample(
            pipeline, PROMPTS[i : i + 1], SEEDS[i : i + 1], guidance, sampling
        )[0]
        assert (
            np.abs(alone.astype(int) - together[i]).max() <= 1
        )  # rounding of a batched matrix product


def test_seed_prompt_and_guidance_all_matter(case):
    pipeline, sampling, _ = case
    first = pipelines.sample(pipeline, ["one"], [1], 2.0, sampling)
    assert (pipelines.sample(pipeline, ["one"], [1], 2.0, sampling) == first).all()
    assert (pipelines.sample(pipeline, ["one"], [2], 2.0, sampling) != first).any()
    assert (
        pipelines.sample(pipeline, ["a thick two"], [1], 50.0, sampling)
        != pipelines.sample(pipeline, ["one"], [1], 50.0, sampling)
    ).any()


RELEASED = {"kind": "pretrained", "batch_size": 2, "sampler": "ddim", "steps": 4, "size": 16}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A function that loads a tiny released pipeline, sampled as RELEASED and the keys that are
    given say.
    """
    folder = tmp_path_factory.mktemp("released")

    def loaded(name="stable_diffusion", **keys):
        if not (folder / name).exists():
            tiny_pipelines.save(name, folder / name)
        return pipelines.load(str(folder / name), RELEASED | keys, CPU), RELEASED | keys

    return loaded


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
def test_a_compiled_pipeline_makes_the_same_images_and_is_compiled_once(released, name, sampler):
    """Two images at a time, then one alone, as at the end of a shard or where one was blank: the
    shapes stay those of whole batches.
    """
    (plain, own), (fast, asked) = (
        released(name, sampler=sampler, **keys) for keys in ({}, {"compile": "eager"})
    )
    expected = pipelines.sample(plain, PROMPTS[:3], SEEDS[:3], 3.0, own)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    made = [pipelines.sample(fast, PROMPTS[:2], SEEDS[:2], 3.0, asked)]
    assert torch._dynamo.utils.counters["frames"]["ok"] == (
        1 if name == "deepfloyd_if" else 2
    )  # the denoiser, and the decoder where there is one
    with torch._dynamo.config.patch(error_on_recompile=True):
        made += [
            pipelines.sample(fast, PROMPTS[some], SEEDS[some], 3.0, asked)
            for some in (slice(2, 3), slice(3, 5))
        ]
    made = np.concatenate(made)
    assert made.shape == (5, *expected.shape[1:])
    assert np.abs(made[:3].astype(int) - expected).max() <= 1


def test_a_compiled_pipeline_has_fused_projections_and_channels_last(released):
    pipeline, _ = released(compile="eager")
    assert all(
        layer.fused_projections
        for layer in pipeline.unet.modules()
        if hasattr(layer, "fused_projections")
    )
    assert pipeline.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert pipeline.vae.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_attention_that_is_reused_is_computed_less_and_no_image_depends_on_its_batch(released):
    (plain, own), (fast, asked) = released(steps=8), released(steps=8, reuse_attention=2)
    counts = []
    for pipeline in (plain, fast):
        first = next(
            layer for name, layer in pipeline.unet.named_modules() if name.endswith("attn1")
        )
        calls = []
        first.to_q.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        counts.append(calls)
    exact, together = (
        pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, keys)
        for pipeline, keys in ((plain, own), (fast, asked))
    )
    assert (
        len(counts[0]) == 8 and len(counts[1]) == 5
    )  # the first two of 8 steps, and of those from 750 to 125 thousandths every other
    assert (together != exact).any()
    again = np.concatenate(
        [
            pipelines.sample(fast, PROMPTS[some], SEEDS[some], 3.0, asked)
            for some in (slice(0, 2), slice(2, 5))
        ]
    )
    assert np.abs(again.astype(int) - together).max() <= 1
    with pytest.raises(
        pipelines.SamplerError,
        match=r"reuse_attention: .* and this is a FluxPipeline: remove the key",
    ):
        released("flux", sampler=None, reuse_attention=2)


def test_a_text_is_encoded_once_and_the_embeddings_are_the_encoders_own():
    """Five texts in batches of two, and the empty one, twice."""
    plain, calls = tiny_pipelines.stable_diffusion().text_encoder, []

    def counted(tokens, **named):
        calls.append(len(tokens))
        return plain(tokens, **named)

    encoder, tokens = (
        embedding_cache.Encoder(counted, rows=2),
        torch.arange(5 * 24).reshape(5, 24) % 20,
    )
    for _ in range(2):
        for part in (tokens[:2], tokens[2:4], tokens[4:], tokens[:1].expand(3, -1) * 0):
            made, expected = encoder(part, attention_mask=None), plain(part)
            assert type(made) is type(expected) and made.last_hidden_state.shape == (
                len(part),
                24,
                16,
            )
            assert torch.allclose(made.last_hidden_state, expected.last_hidden_state, atol=1e-6)
            assert torch.equal(
                made[0], torch.cat([encoder(row[None], attention_mask=None)[0] for row in part])
            )  # to the bit
    assert calls == [2, 2, 2, 2]


def test_kept_embeddings_take_bounded_memory_and_other_masks_are_other_texts():
    encoder = embedding_cache.Encoder(lambda tokens, mask: (tokens.float() * mask,), 2, kept=3 * 16)
    for first in range(10):
        tokens = torch.full((1, 4), first)
        assert torch.equal(encoder(tokens, torch.ones(1, 4))[0], tokens.float())
        assert torch.equal(encoder(tokens, torch.zeros(1, 4))[0], torch.zeros(1, 4))
        assert len(encoder.found) <= 3 and encoder.room >= 0


@given(st.text(min_size=1, max_size=20), st.floats(0.1, 20), st.integers(0, 10**9))
def test_a_seed_is_a_function_of_source_guidance_and_index(source, guidance, index):
    seed = pipelines.seed_of(source, guidance, index)
    assert seed == pipelines.seed_of(source, guidance, index)
    assert 0 <= seed < 2**63
    assert seed != pipelines.seed_of(source, guidance, index + 1)


def test_the_imagewise_scheduler_samples_the_law_of_diffusers_own():
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
    theirs, ours = torch.stack(frequencies[:steps]), torch.stack(frequencies[steps:])
    assert (ours - theirs).abs().max() < 5 * (0.5 / images**0.5)  # five standard errors
    assert (ours[-1, ..., levels] == 0).all()


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


class OnDevice:
    """A pipeline on a device that this machine need not have."""

    def __init__(self, scheduler, device):
        self.scheduler, self.device = scheduler, torch.device(device)


@pytest.mark.parametrize(
    ("scheduler", "kind", "expected"),
    [
        (pipelines.ImagewiseAmusedScheduler(8255), "pretrained", "cuda"),
        (pipelines.ImagewiseAmusedScheduler(8255), "masked_token", "cpu"),
        (DDIMScheduler(), "pretrained", "cpu"),
    ],
)
def test_noise_of_released_amused_is_drawn_on_the_gpu(scheduler, kind, expected):
    device = pipelines._noise_device(OnDevice(scheduler, "cuda"), {"kind": kind})
    assert device == torch.device(expected)


def test_words_that_were_trained_on_are_a_token_each():
    tokenizer = train_generator.build_tokenizer(
        ["a photo of the large three.", "someone wrote three"]
    )
    assert len(tokenizer("a large three").input_ids) == 3 + 2
    ids = tokenizer(
        ["three", "someone wrote three"], padding="max_length", truncation=True
    ).input_ids
    assert all(len(own) == train_generator.MAX_TOKENS for own in ids)
    assert (
        len(tokenizer("zeppelin").input_ids) > 3
    )  # an unknown word falls into letters, and nothing is lost
