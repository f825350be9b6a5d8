"""Schedulers that a study puts in place of a model's scheduler, and what the manifest records."""

import json
import shutil

from synscale.runtime.torch_setup import deterministic

import diffusers
import pandas as pd
import pytest

from synscale.models import generation, pipelines, schedulers
from synscale.models.shard_batches import Batch
from synscale.study.models.generators import Storage
from synscale.workflow.settings.generation import GenerationSettings, TrainedSampling
from tests.support import tiny_pipelines
from tests.support.tiny_pipelines import PROMPTS, sampling

CPU = deterministic(1)
SAMPLING = sampling(steps=4)
DDIM = sampling(steps=4, sampler="ddim")
PROCESS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LEADING = PROCESS | {"timestep_spacing": "leading", "steps_offset": 1}
NO_CLIPPING = ("Euler", "EulerAncestral", "LMS", "KDPM2")
MULTISTEP = ("DPMSolverMultistep", "UniPCMultistep", "DEISMultistep")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a function that saves a tiny pipeline with the given scheduler or its JSON file."""
    folder, names = tmp_path_factory.mktemp("models"), iter(range(100))

    def save(scheduler=None, text=None, name="stable_diffusion"):
        if not (folder / name).exists():
            tiny_pipelines.save(name, folder / name)
        path = shutil.copytree(folder / name, folder / str(next(names)))
        if scheduler is not None:
            scheduler.save_pretrained(path / "scheduler")
        if text is not None:
            (path / "scheduler/scheduler_config.json").write_text(json.dumps(text))
        if scheduler is not None or text is not None:
            kind = text["_class_name"] if text else type(scheduler).__name__
            index = json.loads((path / "model_index.json").read_text())
            index["scheduler"] = ["diffusers", kind]
            (path / "model_index.json").write_text(json.dumps(index))
        return str(path)

    return save


def scheduler_of(kind: str, **settings):
    name = f"{kind}DiscreteScheduler" if kind in NO_CLIPPING else f"{kind}Scheduler"
    return getattr(diffusers, name)(**settings)


def sampled(path, **changes):
    settings = SAMPLING.model_copy(update=changes)
    pipeline = pipelines.load(path, settings, CPU)
    return pipelines.sample(pipeline, PROMPTS[:2], [1, 2], 3.0, settings)


@pytest.mark.parametrize("kind", [*NO_CLIPPING, *MULTISTEP, "PNDM"])
def test_ddim_does_not_clip_latents_of_any_scheduler(saved, kind):
    exact = {"clip_sample": False, "set_alpha_to_one": kind != "PNDM"}
    expected = sampled(saved(diffusers.DDIMScheduler(**LEADING, **exact)))
    assert (sampled(saved(scheduler_of(kind, **LEADING)), sampler="ddim") == expected).all()


def test_ddim_keeps_the_clipping_of_a_pixel_model(saved):
    pixels = diffusers.DDPMScheduler(**PROCESS, clip_sample_range=0.5)
    path = saved(pixels, name="deepfloyd_if")
    scheduler = pipelines.load(path, DDIM, CPU).scheduler
    assert scheduler.config.clip_sample and scheduler.config.clip_sample_range == 0.5


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
def test_keys_that_a_file_lacks_are_the_models_defaults(saved, sampler):
    """Old files lack new keys; their scheduler then has its defaults, so the sampler needs them."""
    path = saved(text=PROCESS | {"_class_name": "PNDMScheduler", "steps_offset": 1})
    config = pipelines.load(path, sampling(steps=4, sampler=sampler), CPU).scheduler.config
    assert config.timestep_spacing == "leading" and config.prediction_type == "epsilon"
    assert not config.thresholding
    assert sampler == "dpmsolver++" or not config.set_alpha_to_one


def test_ddim_ends_at_the_noise_level_of_the_model(saved):
    """SDXL is saved with Euler and with a key of DDIM, which Euler does not read."""
    named = LEADING | {"_class_name": "EulerDiscreteScheduler", "set_alpha_to_one": False}
    config = pipelines.load(saved(text=named), DDIM, CPU).scheduler.config
    assert config.set_alpha_to_one
    ends = diffusers.DPMSolverMultistepScheduler(**LEADING, final_sigmas_type="sigma_min")
    config = pipelines.load(saved(ends), DDIM, CPU).scheduler.config
    assert not config.set_alpha_to_one


@pytest.mark.parametrize("steps", [2, 4, 10])
def test_ddim_steps_to_the_next_timestep_of_its_grid(saved, steps):
    """Its step assumes equal distances, which the grid of "linspace" does not have."""
    scheduler = pipelines.load(saved(scheduler_of("Euler", **PROCESS)), DDIM, CPU).scheduler
    scheduler.set_timesteps(steps)
    distances = {int(distance) for distance in -scheduler.timesteps.diff()}
    assert distances == {1000 // steps}


def test_dpmsolver_is_deterministic_whatever_the_model_has(saved):
    noisy = diffusers.DPMSolverMultistepScheduler(**LEADING, algorithm_type="sde-dpmsolver++")
    pipeline = pipelines.load(saved(noisy), sampling(steps=4, sampler="dpmsolver++"), CPU)
    assert pipeline.scheduler.config.algorithm_type == "dpmsolver++"


@pytest.mark.parametrize("sampler", schedulers.SAMPLERS)
def test_trained_generators_keep_their_settings(saved, sampler):
    """Their images keep their bytes: their file has each key that the samplers read."""
    trained = diffusers.DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", clip_sample=False, steps_offset=1
    )
    trained.save_pretrained(folder := saved())
    scheduler = diffusers.DDPMScheduler.from_pretrained(folder)
    plain = schedulers.SAMPLERS[sampler].from_config(scheduler.config)
    replacement = schedulers.replace(scheduler, sampler)
    assert schedulers.describe(replacement) == schedulers.describe(plain)


FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (FLOW, r"sampler = 'ddim': .*'flow_prediction'.* remove the key"),
        ({"beta_schedule": "exp"}, r"sampler = 'ddim': .*exp is not implemented.* remove the key"),
    ],
)
def test_sampler_that_cannot_run_the_process_is_refused(saved, settings, message):
    kind = diffusers.HeunDiscreteScheduler if "beta_schedule" in settings else None
    scheduler = (kind or diffusers.DPMSolverMultistepScheduler)(**settings)
    with pytest.raises(pipelines.SamplerError, match=message):
        pipelines.load(saved(scheduler), DDIM, CPU)


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
def test_deepfloyd_if_is_sampled_by_a_named_sampler(saved, sampler):
    """Its UNet predicts a variance too, which these samplers do not take."""
    images = sampled(saved(name="deepfloyd_if"), sampler=sampler, steps=10)
    assert images.shape == (2, 16, 16, 3) and images.std() > 1


def test_manifest_has_every_setting_of_the_scheduler(saved):
    pipeline = pipelines.load(saved(scheduler_of("Euler", **LEADING)), DDIM, CPU)
    settings = json.loads(pipelines.scheduler_of(pipeline))
    assert settings["class"] == "DDIMScheduler" and settings["clip_sample"] is False
    assert settings.items() >= LEADING.items()
    assert not {key for key in settings if key.startswith("_") or "sigma" in key}
    betas = diffusers.DDIMScheduler(trained_betas=[0.1, 0.2])
    array = pipelines.load(saved(betas), SAMPLING, CPU)
    assert json.loads(pipelines.scheduler_of(array))["trained_betas"] == [0.1, 0.2]


@pytest.mark.parametrize("kind", ["pretrained", "diffusion"])
def test_only_pretrained_models_have_a_scheduler_column(saved, kind):
    """Manifests of generators that the workflow trains keep their bytes."""
    pipeline = pipelines.load(saved(), SAMPLING, CPU)
    batch = Batch(0, 1.5, pd.DataFrame({"image": [0], "class_id": [1], "prompt": ["one"]}))
    keys = SAMPLING if kind == "pretrained" else TrainedSampling(kind=kind, steps=4)
    settings = GenerationSettings("s", "g", "r", {}, keys, 8, 1, Storage())
    names = pd.Series({1: "1"})
    shard = generation.ShardGeneration(pipeline, "rev", settings, None, names, None, {})
    [(_, _, row)] = shard.batch_samples(batch, {0: generation.EncodedImage(b"", 7, 0)})
    assert ("scheduler" in row) == (kind == "pretrained")
