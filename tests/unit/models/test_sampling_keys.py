"""Sampling keys that a pipeline refuses, without effect, or with defaults that depend on others."""

import inspect

from synscale.runtime.torch_setup import deterministic

import diffusers
import numpy as np
import pandas as pd
import pytest

from scripts import generate
from synscale.models import pipeline_classes, pipelines, sampling_keys
from synscale.study.models.generators import Upscaler
from tests.support import tiny_newer, tiny_pipelines, tiny_variants
from tests.support.study_with import generate_options, study_with
from tests.support.tiny_pipelines import PROMPTS, sampling
from tests.support.workflow import ROOT

CPU = deterministic(1)
VARIANTS = tiny_variants.BUILDERS
BUILDERS = tiny_pipelines.BUILDERS | tiny_newer.BUILDERS | VARIANTS
SIZES = tiny_pipelines.SIZES | tiny_newer.SIZES | tiny_variants.SIZES


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return a function that loads the tiny pipeline of a name, with its sampling settings."""
    folder = tmp_path_factory.mktemp("released")

    def load(name, **keys):
        if not (folder / name).exists():
            tiny_pipelines.save(name, folder / name, BUILDERS | tiny_pipelines.OTHERS)
        settings = sampling(**{"size": SIZES[name]} | keys)
        return pipelines.load(str(folder / name), settings, CPU), settings

    load.folder = folder
    return load


SCALES = (0.0, 0.5, 1.0, 60.0)  # large, so that a tiny pipeline of random weights shows an effect


@pytest.mark.parametrize("name", BUILDERS)
def test_negative_prompt_without_effect_is_refused(released, name):
    """The check of every class agrees with its images."""
    pipeline, plain = released(name)
    negative = plain.model_copy(update={"negative_prompt": "five five"})
    for scale in SCALES:
        images = [
            pipelines.sample(pipeline, PROMPTS[:1], [1], scale, settings)
            for settings in (plain, negative)
        ]
        if (images[0] != images[1]).any():
            sampling_keys.check(pipeline, negative, [scale])
        else:
            with pytest.raises(pipelines.SamplerError, match="negative_prompt = 'five five': a "):
                sampling_keys.check(pipeline, negative, [scale])


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_a_class_share_batches_of_any_prompts(released, name):
    """As `test_prompts_of_any_length_share_a_batch`, which has the other classes."""
    pipeline, settings = released(name, negative_prompt="three " * 20)
    prompts = ["one", " ".join(["five"] * 200), "a thick two"]
    together = pipelines.sample(pipeline, prompts, [1, 2, 3], 9.0, settings)
    for row, prompt in enumerate(prompts):
        [single] = pipelines.sample(pipeline, [prompt], [row + 1], 9.0, settings)
        assert np.abs(single.astype(int) - together[row]).max() <= 1
    assert len(sampling_keys.groups(pipeline, prompts, "")) == 1


def test_only_classes_that_are_tested_get_whole_batches():
    tested = {builder.__annotations__["return"].__name__ for builder in BUILDERS.values()}
    assert tested | {"TwoStages"} == sampling_keys.TESTED


def test_other_classes_get_smaller_batches(released):
    """Panorama mixes the images of a batch (and is not tested otherwise)."""
    prompts = ["one", "two two two", "ten"]
    pipeline, _ = released("cogview_4")
    assert sampling_keys.groups(pipeline, prompts, "") == [[0, 2], [1]]
    pipeline, _ = released("kandinsky_2_2")
    assert sampling_keys.groups(pipeline, prompts, "five") == [[0], [1], [2]]
    loaded, settings = released("stable_diffusion")
    parts = loaded.components | {"feature_extractor": None}
    kind = diffusers.StableDiffusionPanoramaPipeline
    pipeline = kind(**parts, requires_safety_checker=False)
    assert sampling_keys.groups(pipeline, prompts, "") == [[0], [1], [2]]
    together = pipelines.sample(pipeline, prompts, [1, 2, 3], 9.0, settings)
    [single] = pipelines.sample(pipeline, prompts[1:2], [2], 9.0, settings)
    assert np.abs(single.astype(int) - together[1]).max() <= 1
    sampling_keys.check(pipeline, sampling(negative_prompt="five"), [1.0])


def test_negative_prompt_needs_an_effect_at_one_scale(released):
    pipeline, _ = released("stable_diffusion")
    negative = sampling(negative_prompt="five")
    sampling_keys.check(pipeline, negative, [1.0, 2.0])
    with pytest.raises(pipelines.SamplerError, match=r"at guidance scale 1; remove the key"):
        sampling_keys.check(pipeline, negative, [1.0])


def test_second_stage_may_use_the_negative_prompt(released):
    pipeline, _ = released("deepfloyd_if")
    second, _ = released("stable_diffusion")
    negative = sampling(negative_prompt="five")

    def check(guidance):
        stage = Upscaler(model="./second", size=32, steps=2, guidance=guidance)
        sampling_keys.check(pipelines.TwoStages(pipeline, second, stage), negative, [1.0])

    check(3.0)
    with pytest.raises(pipelines.SamplerError, match="negative_prompt = 'five'"):
        check(1.0)


@pytest.mark.parametrize("name", BUILDERS)
def test_scales_that_are_the_same_are_refused(released, name):
    pipeline, settings = released(name)
    images = [pipelines.sample(pipeline, PROMPTS[:1], [1], s, settings) for s in (0.0, 1.0)]
    if (images[0] != images[1]).any():
        sampling_keys.check(pipeline, settings, [0.0, 1.0, 2.0])
    else:
        with pytest.raises(pipelines.SamplerError, match="guidance scales 0 and 1: a "):
            sampling_keys.check(pipeline, settings, [0.0, 1.0, 2.0])
        sampling_keys.check(pipeline, settings, [1.0, 2.0])


def test_distilled_model_has_one_guidance_scale():
    """FLUX.2 [klein] ignores every scale if it is distilled."""
    pipeline = tiny_variants.flux_2_klein(is_distilled=True)
    with pytest.raises(pipelines.SamplerError, match="guidance scales 2 and 4: a Flux2Klein"):
        sampling_keys.check(pipeline, sampling(), [2.0, 4.0])
    sampling_keys.check(pipeline, sampling(), [4.0])


def test_attention_that_is_never_reused_is_refused(released):
    with pytest.raises(pipelines.SamplerError, match=r"reuse_attention = 2: .* in 1 step"):
        released("stable_diffusion", steps=1, reuse_attention=2)
    released("stable_diffusion", steps=3, reuse_attention=2)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_sana_sprint_takes_any_number_of_steps(released, steps):
    pipeline, settings = released("sana_sprint", steps=steps)
    images = pipelines.sample(pipeline, PROMPTS[:2], [1, 2], 4.5, settings)
    assert images.shape == (2, 32, 32, 3)
    assert len(pipeline.scheduler.timesteps) == steps + 1


# Parameters of text-to-image calls with a default number of steps or list of times. All but
# `intermediate_timesteps` hold for any `steps`.
KEYS_OF_STEPS = {
    "prior_num_inference_steps",  # keys of a first stage, which has its number of steps
    "max_timesteps",
    "edit_warmup_steps",  # keys of edits, which are off
    "sld_warmup_steps",
    "intermediate_timesteps",
}


def test_defaults_that_depend_on_the_steps_are_known():
    """A new version of diffusers with another such default fails here."""
    keys = set()
    for name in dir(diffusers):
        kind = getattr(diffusers, name) if name.endswith("Pipeline") else None
        if not isinstance(kind, type) or "__call__" not in dir(kind):
            continue
        if not issubclass(kind, diffusers.DiffusionPipeline):
            continue
        if not pipeline_classes.is_text_to_image(kind) or pipeline_classes.unusable(kind):
            continue
        keys |= {
            key
            for key, parameter in inspect.signature(kind.__call__).parameters.items()
            if any(word in key for word in ("timesteps", "sigmas", "_steps"))
            and key not in ("num_inference_steps", "callback_steps")
            and parameter.default not in (None, parameter.empty)
        }
    assert keys <= KEYS_OF_STEPS and "intermediate_timesteps" in keys


def test_job_refuses_keys_without_effect_at_its_scales(tmp_path, released, monkeypatch):
    """The scales are those of the source: a shard may have only one of them."""
    monkeypatch.chdir(ROOT)
    _, keys = released("flux")
    seen = []
    monkeypatch.setattr(sampling_keys, "check", lambda _, __, scales: seen.append(list(scales)))
    pipelines.load(str(released.folder / "flux"), keys, CPU, [1.0, 2.0])
    assert seen == [[1.0, 2.0]]
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    study = study_with(tmp_path, released.folder / "flux", ", negative_prompt: blurry")
    files = {"prompts": tmp_path / "pool.parquet", "output": tmp_path / "shard.tar"}
    files |= {"pipeline": released.folder / "flux", "state": tmp_path / "state"}
    message = "released_images, by released: negative_prompt = 'blurry': a FluxPipeline ignores it"
    with pytest.raises(SystemExit, match=message):
        generate.main(generate_options(study, **files))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("latent_consistency", {"steps": 60}, r"steps = 60: a LatentConsistencyModelPipeline "),
        ("stable_diffusion", {"size": 20}, r"size = 20: a StableDiffusionPipeline refuses it \("),
    ],
)
def test_refusal_of_diffusers_names_the_key_to_change(released, name, changes, message):
    pipeline, settings = released(name)
    changed = settings.model_copy(update=changes)
    with pytest.raises(pipelines.SamplerError, match=message):
        pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, changed)


def test_refusal_without_a_key_names_every_candidate(released, monkeypatch):
    pipeline, settings = released("stable_diffusion")
    monkeypatch.setattr(pipeline, "unet", lambda *_, **__: None, raising=False)
    monkeypatch.setattr(type(pipeline), "check_inputs", lambda *_, **__: int("x"))
    with pytest.raises(pipelines.SamplerError, match="steps, size, sampler, negative_prompt: a "):
        pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, settings)


def test_job_reports_a_refusal_with_the_generator(tmp_path, released, monkeypatch):
    monkeypatch.chdir(ROOT)
    released("latent_consistency")
    model = released.folder / "latent_consistency"
    study = study_with(tmp_path, model)
    study.write_text(study.read_text().replace("size: 16, steps: 2", "size: 16, steps: 60"))
    pool = pd.DataFrame({"class_id": range(10), "text_id": 0, "text": ["one"] * 10})
    pool.to_parquet(tmp_path / "pool.parquet")
    files = {"prompts": tmp_path / "pool.parquet", "output": tmp_path / "shard.tar"}
    files |= {"pipeline": model, "state": tmp_path / "state"}
    with pytest.raises(SystemExit, match="released_images, by released: steps = 60: a Latent"):
        generate.main(generate_options(study, **files))
