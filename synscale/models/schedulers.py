"""Schedulers: the samplers that a study can name, and the settings that the manifest records.

A sampler solves the same diffusion process as the scheduler that a model was saved with. Diffusers'
`from_config` fills each setting that the file lacks from the sampler's defaults. These are
meant for models of pixels (`clip_sample` is on), so the settings are chosen here instead.
"""

import inspect
import json
from functools import wraps
from typing import get_args

import numpy as np
import torch
from diffusers import AmusedScheduler, DDIMScheduler, DPMSolverMultistepScheduler, SchedulerMixin
from diffusers.schedulers.scheduling_amused import AmusedSchedulerOutput

SAMPLERS = {"ddim": DDIMScheduler, "dpmsolver++": DPMSolverMultistepScheduler}
# Settings of the process that a model was trained with. A sampler without one of them is refused.
PROCESS = {
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "use_flow_sigmas",
}
# What a scheduler does whose class has no such setting: it changes no prediction and covers all
# times.
ABSENT = {"clip_sample": False, "thresholding": False, "timestep_spacing": "linspace"}
FORCED = {"dpmsolver++": {"algorithm_type": "dpmsolver++"}}
LOW_PRECISION = {torch.float16, torch.bfloat16}


class SamplerError(ValueError):
    """A model that cannot be sampled with the settings of the study."""


def _keys(kind: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]


def _settings(scheduler: SchedulerMixin) -> dict:
    """Return what a scheduler reads, and what its file says of the process.

    Files may have keys of other classes, such as `set_alpha_to_one` in the Euler scheduler of SDXL,
    which that scheduler does not read (huggingface/diffusers issue 6068).
    """
    keys = _keys(type(scheduler)).keys() | PROCESS
    return {key: value for key, value in scheduler.config.items() if key in keys}


def _replacement_settings(scheduler: SchedulerMixin, sampler: str, threshold: bool) -> dict:
    saved = _settings(scheduler)
    settings = ABSENT | {"set_alpha_to_one": saved.get("final_sigmas_type") != "sigma_min"}
    settings |= saved | FORCED.get(sampler, {})
    if sampler == "ddim" and settings["timestep_spacing"] == "linspace":
        # A step of diffusers' DDIM assumes equal distances (huggingface/diffusers issue 11347).
        # "trailing" has them, and starts at the noisiest time as "linspace" does.
        settings["timestep_spacing"] = "trailing"
    if threshold:
        settings |= {"thresholding": True, "sample_max_value": 1.0}  # no quantile: plain clipping
    return settings


def replace(scheduler: SchedulerMixin, sampler: str, threshold: bool = False) -> SchedulerMixin:
    """Build the sampler that solves the process of a model's scheduler.

    Parameters
    ----------
    scheduler : SchedulerMixin
        Scheduler of the model as it was saved.
    sampler : str
        Key of `SAMPLERS`.
    threshold : bool
        Whether predicted pixels are clipped to -1..1 at every step; not for latents.

    Returns
    -------
    SchedulerMixin
        The sampler. Settings that both classes have are those of `scheduler`.

    Raises
    ------
    SamplerError
        If the sampler cannot solve the process.
    """
    kind = SAMPLERS[sampler]
    name = type(scheduler).__name__
    if kind not in scheduler.compatibles:
        raise SamplerError(f"sampler = {sampler!r}: it cannot replace a {name}; remove the key")
    keys = _keys(kind)
    settings = _replacement_settings(scheduler, sampler, threshold)
    predictions = get_args(keys["prediction_type"].annotation)
    for key in sorted(PROCESS & settings.keys()):
        value = settings[key]
        if value and (key not in keys or (key == "prediction_type" and value not in predictions)):
            reason = f"the {name} has {key} = {value!r}, which it cannot run"
            raise SamplerError(f"sampler = {sampler!r}: {reason}; remove the key")
    try:
        replacement = kind.from_config({key: settings[key] for key in settings.keys() & keys})
    except (NotImplementedError, ValueError) as error:
        message = f"it cannot replace a {name} ({error})"
        raise SamplerError(f"sampler = {sampler!r}: {message}; remove the key") from None
    if "variance_type" not in keys:  # pipelines that predict a variance ask whether to pass it on
        replacement.register_to_config(variance_type=None)
    return replacement


def describe(scheduler: SchedulerMixin) -> dict:
    """Return the class of a scheduler and every setting that it reads, ready for JSON."""
    keys = sorted(_keys(type(scheduler)).keys() & scheduler.config.keys())
    values = {key: scheduler.config[key] for key in keys}
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return {"class": type(scheduler).__name__} | json.loads(json.dumps(plain))


class _Float32State:
    """The sample of a scheduler in float32 between its steps.

    A pipeline of bfloat16 keeps its sample in bfloat16, and a scheduler computes in the sample's
    precision. 50 DDIM steps then leave a root mean square error of 1.1 % in the final sample.
    """

    def __init__(self, scheduler: SchedulerMixin):
        self._step = scheduler.step
        self._set_timesteps = scheduler.set_timesteps
        self._sample: torch.Tensor | None = None

    def set_timesteps(self, *args, **kwargs) -> None:
        """Set the timesteps of a new batch, and forget the sample of the batch before."""
        self._sample = None
        self._set_timesteps(*args, **kwargs)

    def _exact(self, sample: torch.Tensor) -> torch.Tensor:
        """Return the sample in float32: the saved one, except where the pipeline has changed it."""
        saved = self._sample
        if saved is None or (saved.shape, saved.device) != (sample.shape, sample.device):
            return sample.float()
        return torch.where(saved.to(sample.dtype) == sample, saved, sample.float())

    def step(self, model_output, timestep, sample, *args, **kwargs):
        """Compute a step in float32 and return its tensors in the precision of `sample`."""
        if not {model_output.dtype, sample.dtype} & LOW_PRECISION:
            return self._step(model_output, timestep, sample, *args, **kwargs)
        exact = self._exact(sample)
        result = self._step(model_output.float(), timestep, exact, *args, **kwargs)
        self._sample = result[0].float()

        def rounded(value):
            is_float32 = isinstance(value, torch.Tensor) and value.dtype == torch.float32
            return value.to(sample.dtype) if is_float32 else value

        if isinstance(result, tuple):
            return tuple(rounded(value) for value in result)
        return type(result)(**{name: rounded(value) for name, value in result.items()})


def keep_float32(scheduler: SchedulerMixin) -> None:
    """Let a scheduler compute in float32, and keep its sample in float32 from step to step.

    The pipeline gets and passes on a copy in its precision, so its model and autoencoder read
    what they expect. A pipeline of float32 is not affected. The class, the settings and the
    signatures of the methods, which pipelines inspect, stay the same.

    Parameters
    ----------
    scheduler : SchedulerMixin
        Scheduler of a pipeline; changed in place.
    """
    state = _Float32State(scheduler)
    scheduler.step = wraps(scheduler.step)(lambda *args, **kwargs: state.step(*args, **kwargs))
    scheduler.set_timesteps = wraps(scheduler.set_timesteps)(
        lambda *args, **kwargs: state.set_timesteps(*args, **kwargs)
    )


class ImagewiseAmusedScheduler(AmusedScheduler):
    """MaskGIT sampling as in aMUSEd, with a random generator for each image of the batch.

    Diffusers draws the noise of a batch from one generator, so that an image depends on its
    neighbours. The law of the samples is the same: a token is drawn by the Gumbel-max trick, and
    the confidence that decides what stays masked has Gumbel noise of the step's temperature.
    Noise is drawn on the device of the generators: at aMUSEd's shapes an image takes 100 million
    numbers, 0.67 s of a CPU core.
    """

    def step(
        self,
        model_output,
        timestep,
        sample,
        starting_mask_ratio=1.0,
        generator=None,
        return_dict=True,
    ) -> AmusedSchedulerOutput:
        """Sample the tokens of one step; parameters are those of AmusedScheduler.step."""
        batch, height, width = sample.shape
        sample = sample.reshape(batch, -1)
        logits = model_output.reshape(batch, model_output.shape[1], -1).transpose(1, 2)
        length, levels = logits.shape[1:]
        noise = torch.empty(batch, length, levels + 1, device=generator[0].device)
        for row, one in zip(noise, generator, strict=True):
            row.uniform_(generator=one)
        # In place: for 32 images of aMUSEd this is 1.1 GB.
        gumbel = noise.to(logits.device).clamp_(1e-20, 1 - 1e-7).log_().neg_().log_().neg_()
        unknown = sample == self.config.mask_token_id
        drawn = (logits.float().log_softmax(-1) + gumbel[..., :levels]).argmax(-1)
        clean = torch.where(unknown, drawn, sample)
        if timestep == 0:
            previous = clean
        else:
            done = (self.timesteps == timestep).nonzero()[0, 0]
            share = torch.cos((done + 1) / len(self.timesteps) * torch.pi / 2)
            masked = (length * starting_mask_ratio * share).floor()
            masked = torch.minimum(unknown.sum(-1, keepdim=True) - 1, masked).clamp(min=1).long()
            confidence = logits.float().log_softmax(-1).gather(-1, clean[..., None])[..., 0]
            confidence = confidence + self.temperatures[done] * gumbel[..., levels]
            confidence = confidence.masked_fill(~unknown, torch.inf)  # what is known stays known
            cut = confidence.sort(-1).values.gather(-1, masked)
            previous = torch.where(confidence < cut, self.config.mask_token_id, clean)
        shape = batch, height, width
        return AmusedSchedulerOutput(previous.reshape(shape), clean.reshape(shape))
