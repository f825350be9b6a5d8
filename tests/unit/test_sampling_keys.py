"""Sampling keys that a pipeline refuses, that have no effect, or whose defaults depend on others."""

import inspect

from scripts.lib.torch_setup import deterministic

import diffusers
import pandas as pd
import pytest

from scripts import generate
from scripts.lib import pipeline_classes, pipelines
from tests.support import tiny_newer, tiny_pipelines
from tests.support.study_with import study_with
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import ROOT

CPU = deterministic(1)
BUILDERS = tiny_pipelines.BUILDERS | tiny_newer.BUILDERS
SIZES = tiny_pipelines.SIZES | tiny_newer.SIZES
SAMPLING = {"kind": "pretrained", "size": 16, "steps": 2, "sampler": None, "batch_size": 4}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return a function that loads the tiny pipeline of a name, with its sampling settings."""
    folder = tmp_path_factory.mktemp("released")

    def load(name, **keys):
        if not (folder / name).exists():
            tiny_pipelines.save(name, folder / name, BUILDERS | tiny_pipelines.OTHERS)
        sampling = SAMPLING | {"size": SIZES[name]} | keys
        return pipelines.load(str(folder / name), sampling, CPU), sampling

    load.folder = folder
    return load


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_sana_sprint_takes_any_number_of_steps(released, steps):
    pipeline, sampling = released("sana_sprint", steps=steps)
    images = pipelines.sample(pipeline, PROMPTS[:2], [1, 2], 4.5, sampling)
    assert images.shape == (2, 32, 32, 3)
    assert len(pipeline.scheduler.timesteps) == steps + 1


# Parameters of text-to-image calls with a default number of steps or list of times. All but
# `intermediate_timesteps` hold for any `steps`.
HELD = {
    "prior_num_inference_steps",  # of a first stage, which has its number of steps
    "max_timesteps",
    "edit_warmup_steps",  # of edits, which are off
    "sld_warmup_steps",
    "intermediate_timesteps",
}


def test_defaults_that_depend_on_the_steps_are_known():
    """A new version of diffusers with another such default fails here."""
    found = set()
    for name in dir(diffusers):
        kind = getattr(diffusers, name) if name.endswith("Pipeline") else None
        if not isinstance(kind, type) or "__call__" not in dir(kind):
            continue
        if not issubclass(kind, diffusers.DiffusionPipeline):
            continue
        if not pipeline_classes.is_text_to_image(kind) or pipeline_classes.unusable(kind):
            continue
        found |= {
            key
            for key, parameter in inspect.signature(kind.__call__).parameters.items()
            if any(word in key for word in ("timesteps", "sigmas", "_steps"))
            and key != "num_inference_steps"
            and parameter.default not in (None, parameter.empty)
        }
    assert found <= HELD and "intermediate_timesteps" in found


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("latent_consistency", {"steps": 60}, r"steps = 60: a LatentConsistencyModelPipeline "),
        ("stable_diffusion", {"size": 20}, r"size = 20: a StableDiffusionPipeline refuses it \("),
    ],
)
def test_a_refusal_of_diffusers_names_the_key_to_change(released, name, changes, message):
    pipeline, sampling = released(name)
    with pytest.raises(pipelines.SamplerError, match=message):
        pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, sampling | changes)


def test_a_refusal_without_a_key_names_every_candidate(released, monkeypatch):
    pipeline, sampling = released("stable_diffusion")
    monkeypatch.setattr(pipeline, "unet", lambda *_, **__: None, raising=False)
    monkeypatch.setattr(type(pipeline), "check_inputs", lambda *_, **__: int("x"))
    with pytest.raises(pipelines.SamplerError, match="steps, size, sampler, negative_prompt: a "):
        pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, sampling)


def test_a_job_reports_a_refusal_with_the_generator(tmp_path, released, monkeypatch):
    monkeypatch.chdir(ROOT)
    released("latent_consistency")
    model = released.folder / "latent_consistency"
    study = study_with(tmp_path, model)
    study.write_text(study.read_text().replace("size: 16, steps: 2", "size: 16, steps: 60"))
    pool = pd.DataFrame({"class_id": range(10), "text_id": 0, "text": ["one"] * 10})
    pool.to_parquet(tmp_path / "pool.parquet")
    job = ["--study", study, "--source", "released_images", "--block", "00000"]
    job += ["--classes", "data/digits_classes.csv", "--pipeline", model]
    job += ["--prompts", tmp_path / "pool.parquet", "--state", tmp_path / "state"]
    with pytest.raises(SystemExit, match="released_images, by released: steps = 60: a Latent"):
        generate.main([str(part) for part in [*job, "--output", tmp_path / "block.tar"]])
