"""Schedulers of float16 and bfloat16 pipelines compute in float32."""

import inspect

from synscale.runtime.torch_setup import deterministic

import diffusers
import numpy as np
import pytest
import torch

from synscale.models import pipelines, schedulers
from tests.support import tiny_newer, tiny_pipelines, tiny_variants
from tests.support.tiny_pipelines import PROMPTS, sampling

CPU = deterministic(1)
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
STABLE_DIFFUSION = BETAS | {"steps_offset": 1}


def denoised(sample: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Return the output, float32, of a fixed smooth function in place of a model."""
    mixed = torch.einsum("ij,njhw->nihw", torch.linspace(-0.5, 0.5, 16).view(4, 4), sample.float())
    return 0.5 * mixed.tanh() + 0.7 * sample.float() * (float(time) / 1000) ** 0.5


def final(scheduler, dtype: torch.dtype, steps: int = 50) -> torch.Tensor:
    """Sample as a pipeline does: latents and the model's output have the pipeline's precision."""
    scheduler.set_timesteps(steps)
    noise = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    sample = noise.bfloat16().to(dtype) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        output = denoised(scheduler.scale_model_input(sample, time), time).to(dtype)
        sample = scheduler.step(output, time, sample, return_dict=False)[0]
        assert sample.dtype == dtype
    return sample.float()


def relative_error(result: torch.Tensor, expected: torch.Tensor) -> float:
    return float((result - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize("kind", ["DDIM", "DPMSolverMultistep", "PNDM", "EulerDiscrete"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.003), (torch.float16, 0.0004)])
def test_float32_steps_leave_the_error_of_one_rounding(kind, dtype, bound):
    """Half a unit in the last place is 0.2 % of a number in bfloat16 and 0.02 % in float16."""
    build = getattr(diffusers, f"{kind}Scheduler")
    settings = STABLE_DIFFUSION | ({"clip_sample": False} if kind == "DDIM" else {})
    expected = final(build(**settings), torch.float32)
    exact = build(**settings)
    schedulers.keep_float32(exact)
    error, before = (relative_error(final(s, dtype), expected) for s in (exact, build(**settings)))
    assert error < bound < before / 2


def test_float32_steps_do_not_change_float32_samples():
    plain, exact = (diffusers.DDIMScheduler(**STABLE_DIFFUSION) for _ in range(2))
    schedulers.keep_float32(exact)
    assert torch.equal(final(plain, torch.float32, 4), final(exact, torch.float32, 4))


def test_float32_steps_use_what_the_pipeline_changed():
    scheduler = diffusers.DDIMScheduler(**STABLE_DIFFUSION, clip_sample=False)
    schedulers.keep_float32(scheduler)
    scheduler.set_timesteps(4)
    seen = []
    state = inspect.getclosurevars(scheduler.step).nonlocals["state"]
    step = state._step
    state._step = lambda output, time, sample, **more: (
        seen.append(sample) or step(output, time, sample, **more)
    )
    sample = torch.linspace(-1, 1, 64).view(1, 4, 4, 4).bfloat16()
    first = scheduler.step(sample, scheduler.timesteps[0], sample).prev_sample
    changed = first.clone()
    changed[0, 0] += 1
    scheduler.step(sample, scheduler.timesteps[1], changed)
    assert torch.equal(seen[1][0, 0], changed[0, 0].float())
    unchanged = seen[1][0, 1:]
    assert torch.equal(unchanged.bfloat16(), first[0, 1:])
    assert not torch.equal(unchanged, first[0, 1:].float())  # more digits than the pipeline has


def test_float32_steps_keep_signatures_and_the_class():
    plain, exact = (diffusers.DDIMScheduler(**STABLE_DIFFUSION) for _ in range(2))
    schedulers.keep_float32(exact)
    assert type(exact) is diffusers.DDIMScheduler
    assert inspect.signature(exact.step) == inspect.signature(plain.step)
    assert inspect.signature(exact.set_timesteps) == inspect.signature(plain.set_timesteps)


def test_bfloat16_image_does_not_depend_on_the_batch_before(tmp_path):
    tiny_pipelines.save("stable_diffusion", tmp_path)
    settings = sampling(sampler="ddim", precision="bfloat16", steps=4)
    pipeline = pipelines.load(str(tmp_path), settings, CPU)
    first = pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, settings)
    pipelines.sample(pipeline, PROMPTS[1:2], [2], 2.0, settings)
    assert (first == pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, settings)).all()


BUILDERS = tiny_pipelines.BUILDERS | tiny_newer.BUILDERS | tiny_variants.BUILDERS
SIZES = tiny_pipelines.SIZES | tiny_newer.SIZES | tiny_variants.SIZES
# aMUSEd samples tokens. Diffusers loads the transformer of a Stable Diffusion 3 that was saved in
# float32 as float32, whatever is asked for, because it compares the dtype of a buffer only.
OTHERS = {"amused", "stable_diffusion_3", "stable_diffusion_3_pag"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BUILDERS.keys() - OTHERS))
def test_every_class_steps_in_float32(name, tmp_path, monkeypatch):
    tiny_pipelines.save(name, tmp_path, BUILDERS)
    settings = sampling(size=SIZES[name], precision="bfloat16")
    dtypes = set()
    for kind in {type(c) for c in BUILDERS[name]().components.values()}:
        if issubclass(kind, diffusers.SchedulerMixin):
            _record_dtypes(kind, dtypes, monkeypatch)
    pipeline = pipelines.load(str(tmp_path), settings, CPU)
    images = pipelines.sample(pipeline, PROMPTS[:2], [1, 2], 3.0, settings)
    assert dtypes == {torch.float32}
    assert np.std(images) > 0


def _record_dtypes(kind: type, dtypes: set, monkeypatch) -> None:
    step = kind.step

    def recorded(self, model_output, timestep, sample, *args, **kwargs):
        dtypes.update((model_output.dtype, sample.dtype))
        return step(self, model_output, timestep, sample, *args, **kwargs)

    recorded.__signature__ = inspect.signature(step)
    monkeypatch.setattr(kind, "step", recorded)
