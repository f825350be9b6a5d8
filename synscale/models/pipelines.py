"""Text-to-image pipelines: loading any that diffusers knows, and sampling it reproducibly."""

import hashlib
import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from diffusers import AmusedScheduler, DiffusionPipeline, SchedulerMixin

from synscale.models import (
    attention_reuse,
    checksums,
    compiling,
    embedding_cache,
    lora,
    pipeline_classes,
    pipeline_files,
    sampling_keys,
    schedulers,
)
from synscale.models.schedulers import ImagewiseAmusedScheduler, SamplerError
from synscale.models.two_stages import TwoStages
from synscale.study.models.generators import LORA_FILE
from synscale.workflow.settings.generation import Sampling

Pipeline: TypeAlias = DiffusionPipeline | TwoStages


def seed_of(source: str, guidance: float, index: int, attempt: int = 0) -> int:
    """Return the seed of one image: a 63-bit hash of its name.

    Any image can therefore be generated again by itself, and no two images share their noise.

    Parameters
    ----------
    source : str
    guidance : float
        Guidance scale.
    index : int
        Index of the image in its source.
    attempt : int
        How many times the image was blank before.
    """
    name = f"{source}/{guidance:g}/{index}" + (f"/{attempt}" if attempt else "")
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def _prepare(pipeline: DiffusionPipeline, sampling: Sampling) -> DiffusionPipeline:
    """Apply the study's keys for speed, and let schedulers compute in float32.

    Generators that the workflow trains are small, and their images keep every bit.
    """
    if sampling.kind == "pretrained":
        embedding_cache.cache_embeddings(pipeline, sampling.batch_size)
    if sampling.precision != "float32":
        for component in pipeline.components.values():
            if isinstance(component, SchedulerMixin):
                schedulers.keep_float32(component)
    if sampling.reuse_attention:
        attention_reuse.apply(pipeline, sampling.reuse_attention, sampling.steps)
    if sampling.compile:
        compiling.compile_models(pipeline, sampling.compile)
    return pipeline


def load(
    path: str,
    sampling: Sampling,
    device: torch.device,
    scales: Iterable[float] = (),
    tuned: str | None = None,
) -> Pipeline:
    """Load a saved pipeline, with the sampler of the study.

    Weights are read from safetensors only, because a pickle can run any code. Safety checkers,
    which black images out, and watermarks are off.

    Parameters
    ----------
    path : str
        Folder of the pipeline.
    sampling : PretrainedGenerator or TrainedSampling
    device : torch.device
    scales : iterable of float
        Every guidance scale of the source, to refuse keys that have no effect.
    tuned : str, optional
        Folder of LoRA weights of the workflow that are added to the pipeline.

    Returns
    -------
    DiffusionPipeline or TwoStages
        Pipeline that is ready to sample.

    Raises
    ------
    WeightsError
        If a file is damaged or lacks weights.
    SamplerError
        If the model, its sampler, a key of the generator or its second stage cannot be used.
    """
    pipeline = _load(path, sampling, device, tuned)
    if sampling.kind == "pretrained":
        sampling_keys.check(pipeline, sampling, scales)
    return pipeline


def _load(
    path: str, sampling: Sampling, device: torch.device, tuned: str | None = None
) -> Pipeline:
    checksums.check_readable(path)
    pipeline = pipeline_files.read(path, "generator", sampling.precision, sampling.variant, device)
    kind = type(pipeline).__name__
    if reason := pipeline_classes.unusable(type(pipeline)):
        raise SamplerError(f"model: a {kind} {reason}; name another model")
    if sampling.lora:
        file = Path(path) / "lora" / sampling.lora.file
        lora.add(pipeline, file, sampling.lora.scale)
    if tuned:
        lora.add(pipeline, Path(tuned) / LORA_FILE)
    if sampling.sampler:
        threshold = sampling.kind == "diffusion" and sampling.threshold
        pipeline.scheduler = schedulers.replace(pipeline.scheduler, sampling.sampler, threshold)
    elif isinstance(pipeline.scheduler, AmusedScheduler):
        pipeline.scheduler = ImagewiseAmusedScheduler.from_config(pipeline.scheduler.config)
    upscaler = sampling.upscaler
    if upscaler is None:
        return _prepare(pipeline, sampling)
    # Imported here because its module imports T5 and ftfy, which no other pipeline needs.
    from diffusers import IFPipeline

    if not isinstance(pipeline, IFPipeline):
        fix = "remove the key from the generator"
        raise SamplerError(f"upscaler: it needs an IFPipeline, and this is a {kind}; {fix}")
    folder = Path(path) / "upscaler"
    second = pipeline_files.read(folder, "upscaler", sampling.precision, upscaler.variant, device)
    return TwoStages(_prepare(pipeline, sampling), _prepare(second, sampling), upscaler)


def sampler_of(pipeline: Pipeline, sampling: Sampling) -> str:
    """Return the name of the sampler for the manifest.

    Parameters
    ----------
    pipeline : Pipeline
    sampling : Sampling
        Settings with the name of the sampler.
    """
    if isinstance(pipeline.scheduler, AmusedScheduler):
        return "maskgit"
    return sampling.sampler or type(pipeline.scheduler).__name__


def scheduler_of(pipeline: Pipeline) -> str:
    """Return the scheduler settings of a pipeline for the manifest, as JSON."""
    settings = schedulers.describe(pipeline.scheduler)
    if isinstance(pipeline, TwoStages):
        settings["upscaler"] = schedulers.describe(pipeline.upscaler.scheduler)
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def _pixels(images: np.ndarray) -> np.ndarray:
    """Return uint8 pixels of images (N, H, W, C) in 0..1; an image that is not finite is black.

    Torch does this on all threads of the job, because the device waits for it.
    """
    values = torch.from_numpy(np.ascontiguousarray(images))
    finite = values.isfinite().flatten(1).all(1)
    values = torch.where(finite[:, None, None, None], values, 0)
    return values.mul_(255).round_().to(torch.uint8).numpy()


def sample(
    pipeline: Pipeline, prompts: list[str], seeds: list[int], guidance: float, sampling: Sampling
) -> np.ndarray:
    """Sample one image for each prompt.

    Noise comes from a generator for each image: an image is the same in any batch, up to
    rounding. The generators are on the CPU, so that an image is also the same on any device; those
    of pretrained aMUSEd models are on the pipeline's device (`_noise_device`). Prompts of one
    length are sampled together if the pipeline pads prompts to the longest one of a batch.

    Parameters
    ----------
    pipeline : DiffusionPipeline or TwoStages
    prompts : list of str, length N
    seeds : list of int, length N
    guidance : float
        Guidance scale.
    sampling : PretrainedGenerator or TrainedSampling

    Returns
    -------
    ndarray, shape (N, H, W) for grey or (N, H, W, 3), uint8
        Images. One with a number that is not finite is black.

    Raises
    ------
    SamplerError
        If the pipeline refuses the settings, or generates images of another size.
    """
    groups = sampling_keys.groups(pipeline, prompts, sampling.negative_prompt)
    # Prompts of several lengths have no common shape and are not filled up.
    fill = bool(sampling.compile) and len(groups) == 1
    images: dict[int, np.ndarray] = {}
    for places in groups:
        group_prompts = [prompts[place] for place in places]
        group_seeds = [seeds[place] for place in places]
        pixels = _sample(pipeline, group_prompts, group_seeds, guidance, sampling, fill)
        images |= zip(places, pixels, strict=True)
    return np.stack([images[place] for place in range(len(prompts))])


def _noise_device(pipeline: Pipeline, sampling: Sampling) -> torch.device:
    """Return the device that draws the noise of an image.

    Noise of a diffusion model is as large as its latents, and comes from the CPU. aMUSEd draws
    a number for each token, level and step: 100 million an image, for which a GPU would wait.
    Generators that the workflow trains are small, and their images keep every bit.
    """
    is_amused = isinstance(getattr(pipeline, "scheduler", None), ImagewiseAmusedScheduler)
    if is_amused and sampling.kind == "pretrained":
        return pipeline.device
    return torch.device("cpu")


def _sample(
    pipeline: Pipeline,
    prompts: list[str],
    seeds: list[int],
    guidance: float,
    sampling: Sampling,
    fill: bool,
) -> np.ndarray:
    """Return the images of prompts that are sampled together.

    fill: repeat the last image up to the batch size, so that a pipeline is compiled once.
    """
    count = len(prompts)
    if fill:
        missing = -count % sampling.batch_size
        prompts = prompts + prompts[-1:] * missing
        seeds = seeds + seeds[-1:] * missing
    device = _noise_device(pipeline, sampling)
    negative = sampling.negative_prompt
    arguments = sampling_keys.guidance(pipeline, guidance, negative, len(prompts)) | {
        "generator": [torch.Generator(device).manual_seed(seed) for seed in seeds],
        "num_inference_steps": sampling.steps,
        "output_type": "np",
        "height": sampling.size,
        "width": sampling.size,
        "temperature": getattr(sampling, "temperature", None),
        "clean_caption": False,  # if it is on, as by default, it needs two more packages
        "use_resolution_binning": False,  # generates at a size near the requested one
    }
    accepted = inspect.signature(pipeline.__call__).parameters
    arguments = {k: v for k, v in arguments.items() if k in accepted and v is not None}
    if "intermediate_timesteps" in accepted and sampling.steps != 2:
        arguments["intermediate_timesteps"] = None  # its default is the time between two steps
    try:
        images = pipeline(prompt=prompts, **arguments).images
    except (ValueError, NotImplementedError) as error:
        raise SamplerError(sampling_keys.refusal(pipeline, sampling, error)) from error
    size = (sampling.upscaler or sampling).size
    if size and images.shape[1:3] != (size, size):
        problem = f"the model generates {images.shape[2]} x {images.shape[1]} pixels"
        raise SamplerError(f"size = {size}: {problem}; name a size that it can have")
    pixels = _pixels(images[:count])
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
