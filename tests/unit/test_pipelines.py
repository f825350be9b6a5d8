"""Sampling: through diffusers' own pipelines, and every image by its own seed."""

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pytest
import torch
from diffusers import AmusedScheduler
from hypothesis import given
from hypothesis import strategies as st

from scripts import train_generator
from scripts.lib import jobs, pipelines
from scripts.lib.study_file import load
from tests import tiny_pipelines
from tests.conftest import SMOKE
from tests.tiny_pipelines import PROMPTS

CPU = torch.device("cpu")
SEEDS = [11, 22, 33, 44, 55]


def trained_kind(name: str):
    settings = jobs.generator_settings(load(SMOKE), name)
    torch.manual_seed(0)
    return train_generator.KINDS[settings["kind"]][0](settings, train_generator.build_tokenizer(PROMPTS))


CASES = {
    "diffusion": (lambda: trained_kind("diffusion"), {"sampler": "dpmsolver++", "steps": 3}, (8, 8)),
    "masked": (lambda: trained_kind("masked"), {"steps": 3, "temperature": [2.0, 0.0]}, (8, 8)),
    "stable diffusion": (tiny_pipelines.stable_diffusion, {"sampler": "ddim", "steps": 3}, (16, 16, 3)),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """A pipeline of each kind, saved and loaded again, with its sampling settings and the shape of its images."""
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
        alone = pipelines.sample(pipeline, PROMPTS[i : i + 1], SEEDS[i : i + 1], guidance, sampling)[0]
        assert np.abs(alone.astype(int) - together[i]).max() <= 1  # rounding of a batched matrix product


def test_seed_prompt_and_guidance_all_matter(case):
    pipeline, sampling, _ = case
    first = pipelines.sample(pipeline, ["one"], [1], 2.0, sampling)
    assert (pipelines.sample(pipeline, ["one"], [1], 2.0, sampling) == first).all()
    assert (pipelines.sample(pipeline, ["one"], [2], 2.0, sampling) != first).any()
    assert (pipelines.sample(pipeline, ["a thick two"], [1], 50.0, sampling) != pipelines.sample(pipeline, ["one"], [1], 50.0, sampling)).any()


@given(st.text(min_size=1, max_size=20), st.floats(0.1, 20), st.integers(0, 10**9))
def test_a_seed_is_a_function_of_source_guidance_and_index(source, guidance, index):
    seed = pipelines.seed_of(source, guidance, index)
    assert seed == pipelines.seed_of(source, guidance, index)
    assert 0 <= seed < 2**63
    assert seed != pipelines.seed_of(source, guidance, index + 1)


def test_the_imagewise_scheduler_samples_the_law_of_diffusers_own():
    """From fixed logits, many images through both: the tokens and the masks that they leave have the same frequencies."""
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
            sample = scheduler.step(logits, time, sample, generator=one if kind is AmusedScheduler else each).prev_sample
            frequencies.append(torch.nn.functional.one_hot(sample, levels + 1).float().mean(0))
    theirs, ours = torch.stack(frequencies[:steps]), torch.stack(frequencies[steps:])
    assert (ours - theirs).abs().max() < 5 * (0.5 / images**0.5)  # five standard errors
    assert (ours[-1, ..., levels] == 0).all()


def test_words_that_were_trained_on_are_a_token_each():
    tokenizer = train_generator.build_tokenizer(["a photo of the large three.", "someone wrote three"])
    assert len(tokenizer("a large three").input_ids) == 3 + 2
    ids = tokenizer(["three", "someone wrote three"], padding="max_length", truncation=True).input_ids
    assert all(len(own) == train_generator.MAX_TOKENS for own in ids)
    assert len(tokenizer("zeppelin").input_ids) > 3  # an unknown word falls into letters, and nothing is lost
