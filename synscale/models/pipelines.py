"""Text-to-image pipelines: loading any that diffusers knows, and sampling it reproducibly."""

import hashlib
import inspect
import json
from collections.abc import Iterable
from pathlib import Path

import synscale.runtime.torch_setup

import numpy as np
import torch
from diffusers import AmusedScheduler, DiffusionPipeline, ModelMixin, SchedulerMixin

import synscale.models.pixel_space  # noqa: F401  (diffusers loads parts of a pipeline only from modules that are imported already)
from synscale.models import (
    attention_reuse,
    checksums,
    embedding_cache,
    pipeline_classes,
    sampling_keys,
    schedulers,
)
from synscale.models.schedulers import ImagewiseAmusedScheduler, SamplerError


def seed_of(source: str, guidance: float, index: int, attempt: int = 0) -> int:
    """Seed of one image: a 63-bit hash of what it is, so that it can be made again alone and no two
    images share their noise.

    attempt: how many times the image came out blank before.
    """
    name = f"{source}/{guidance:g}/{index}" + (f"/{attempt}" if attempt else "")
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def revision(path: str) -> str:
    """Twelve hex digits that tell the weights of a saved pipeline from any other's.

    Raises WeightsError where a file is not the one that was fetched.
    """
    hashes = checksums.hashes(
        path, sorted(str(file.relative_to(path)) for file in Path(path).rglob("*.safetensors"))
    )
    checksums.as_fetched(path, hashes)
    return hashlib.sha256(
        "".join(f"{file} {sha256}\n" for file, sha256 in hashes.items()).encode()
    ).hexdigest()[:12]


class TwoStages:
    """DeepFloyd IF as one pipeline: small images, made larger by a second pipeline, with the same
    text embeddings and random generators.

    An image's generator goes on from one stage to the next, so that all of its noise comes from its
    one seed.
    """

    def __init__(self, first: DiffusionPipeline, upscaler: DiffusionPipeline, settings: dict):
        self.first, self.upscaler, self.settings = first, upscaler, settings
        self.scheduler = first.scheduler

    def __call__(
        self,
        prompt,
        generator,
        guidance_scale,
        num_inference_steps,
        height,
        width,
        output_type,
        clean_caption,
        negative_prompt=None,
    ):
        prompt_embeds, negative_prompt_embeds = self.first.encode_prompt(
            prompt, negative_prompt=negative_prompt, clean_caption=clean_caption
        )
        shared = {
            "prompt_embeds": prompt_embeds,
            "negative_prompt_embeds": negative_prompt_embeds,
            "generator": generator,
        }
        small = self.first(
            **shared,
            guidance_scale=guidance_scale,
            num_inference_steps=num_inference_steps,
            height=height,
            width=width,
            output_type="pt",
        ).images
        return self.upscaler(
            **shared,
            image=small,
            noise_level=self.settings["noise_level"],
            guidance_scale=self.settings["guidance"],
            num_inference_steps=self.settings["steps"],
            height=self.settings["size"],
            width=self.settings["size"],
            output_type=output_type,
        )


def _read(
    path: str | Path, use: str, precision: str, variant: str | None, device: torch.device
) -> DiffusionPipeline:
    """The pipeline saved at `path`, without the components that are not used. use: as
    `weights.used` takes it.
    """
    parts = checksums.components(checksums.index_of(path))
    off = {
        name: None
        for name, (library, _) in parts.items()
        if name in checksums.UNUSED[use] or not library
    }  # a part saved as none is asked for by some
    off |= {"requires_safety_checker": False} if "safety_checker" in off else {}
    kind = {
        "local_files_only": True,
        "use_safetensors": True,
        "variant": variant,
        "dtype": getattr(torch, precision),
    }
    with checksums.all_of_files():
        pipeline = DiffusionPipeline.from_pretrained(path, **kind, **off).to(device)
    if hasattr(pipeline, "watermark"):  # SDXL has one wherever the package for it is installed
        pipeline.watermark = None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _compile(pipeline: DiffusionPipeline, backend: str) -> None:
    """What diffusers names to make a pipeline fast: channels last, the three projections of
    attention in one product, torch.compile.

    Of an autoencoder its decoder alone. Not mode max-autotune, which takes the kernels that win a
    race: a job might round otherwise than the next. dynamic is off, as all batches have one shape.
    """
    for model in pipeline.components.values():
        if not isinstance(model, ModelMixin):
            continue
        if all(
            parameter.dim() <= 4 for parameter in model.parameters()
        ):  # torch has another layout for videos
            model.to(memory_format=torch.channels_last)
        with_texts = any(
            "Added" in type(processor).__name__
            for processor in getattr(model, "attn_processors", {}).values()
        )
        if (
            hasattr(model, "fuse_qkv_projections") and not with_texts
        ):  # diffusers does not fuse where keys of texts are added
            model.fuse_qkv_projections()
        getattr(model, "decoder", model).compile(backend=backend, dynamic=False)


def _prepared(pipeline: DiffusionPipeline, sampling: dict) -> DiffusionPipeline:
    """Make a pipeline as fast as the study asks, and its schedulers exact.

    Generators that the workflow trains are small, and their images keep every bit.
    """
    if sampling.get("kind") == "pretrained":
        embedding_cache.keep(pipeline, sampling["batch_size"])
    if sampling.get("precision", "float32") != "float32":
        for component in pipeline.components.values():
            if isinstance(component, SchedulerMixin):
                schedulers.keep_float32(component)
    if sampling.get("reuse_attention"):
        attention_reuse.apply(pipeline, sampling["reuse_attention"], sampling["steps"])
    if sampling.get("compile"):
        _compile(pipeline, sampling["compile"])
    return pipeline


def load(
    path: str,
    sampling: dict,
    device: torch.device,
    scales: Iterable[float] = (),
) -> DiffusionPipeline | TwoStages:
    """Load a saved pipeline, with the sampler of the study.

    Weights are read from safetensors only, because a pickle can run any code. Safety checkers,
    which black images out, and watermarks are off.

    Parameters
    ----------
    path : str
        Folder of the pipeline.
    sampling : dict
        Settings of the generator.
    device : torch.device
    scales : iterable of float
        Every guidance scale of the source, to refuse keys that have no effect.

    Returns
    -------
    DiffusionPipeline or TwoStages
        Pipeline that is ready to sample.

    Raises
    ------
    WeightsError
        If a file is damaged or lacks weights.
    SamplerError
        If the model, its sampler, a key of the generator or its second stage is of no use.
    """
    pipeline = _load(path, sampling, device)
    if sampling.get("kind") == "pretrained":
        sampling_keys.check(pipeline, sampling, scales)
    return pipeline


def _load(path: str, sampling: dict, device: torch.device) -> DiffusionPipeline | TwoStages:
    checksums.readable(path)
    precision = sampling.get("precision", "float32")
    pipeline = _read(path, "generator", precision, sampling.get("variant"), device)
    if reason := pipeline_classes.unusable(type(pipeline)):
        raise SamplerError(f"model: a {type(pipeline).__name__} {reason}; name another model")
    wanted = sampling.get("sampler")
    if wanted:
        pipeline.scheduler = schedulers.replace(pipeline.scheduler, wanted)
    elif isinstance(pipeline.scheduler, AmusedScheduler):
        pipeline.scheduler = ImagewiseAmusedScheduler.from_config(pipeline.scheduler.config)
    upscaler = sampling.get("upscaler")
    if upscaler is None:
        return _prepared(pipeline, sampling)
    from diffusers import (
        IFPipeline,
    )  # here, for its module imports T5 and ftfy, which no other pipeline needs

    if not isinstance(pipeline, IFPipeline):
        raise SamplerError(
            f"upscaler: it goes with an IFPipeline alone, and this is a {type(pipeline).__name__}: remove the key from the generator"
        )
    second = _read(Path(path) / "upscaler", "upscaler", precision, upscaler["variant"], device)
    return TwoStages(_prepared(pipeline, sampling), _prepared(second, sampling), upscaler)


def sampler_of(pipeline: DiffusionPipeline | TwoStages, sampling: dict) -> str:
    """Its name for the manifest."""
    if isinstance(pipeline.scheduler, AmusedScheduler):
        return "maskgit"
    return sampling.get("sampler") or type(pipeline.scheduler).__name__


def scheduler_of(pipeline: DiffusionPipeline | TwoStages) -> str:
    """Return the scheduler settings of a pipeline for the manifest, as JSON."""
    settings = schedulers.describe(pipeline.scheduler)
    if isinstance(pipeline, TwoStages):
        settings["upscaler"] = schedulers.describe(pipeline.upscaler.scheduler)
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def _pixels(images: np.ndarray) -> np.ndarray:
    """uint8 of (N, H, W, C) in 0..1. By torch: on all threads of the job, for the device waits."""
    found = torch.from_numpy(np.ascontiguousarray(images))
    finite = found.isfinite().flatten(1).all(1)
    return (
        torch.where(finite[:, None, None, None], found, 0)
        .mul_(255)
        .round_()
        .to(torch.uint8)
        .numpy()
    )


def sample(
    pipeline: DiffusionPipeline | TwoStages,
    prompts: list[str],
    seeds: list[int],
    guidance: float,
    sampling: dict,
) -> np.ndarray:
    """Sample one image for each prompt.

    Noise comes from a generator for each image: an image is the same in any batch, up to
    rounding. The generators are on the CPU, so that an image is also the same on any device; those
    of released aMUSEd models are on the pipeline's device (`_noise_device`). Prompts of one length
    are sampled together if the pipeline pads prompts to the longest one of a batch.

    Parameters
    ----------
    pipeline : DiffusionPipeline or TwoStages
    prompts : list of str, length N
    seeds : list of int, length N
    guidance : float
        Guidance scale.
    sampling : dict
        Settings of the generator.

    Returns
    -------
    ndarray, shape (N, H, W) for grey or (N, H, W, 3), uint8
        Images. One with a number that is not finite is black.

    Raises
    ------
    SamplerError
        If the pipeline refuses the settings, or generates images of another size.
    """
    groups = sampling_keys.groups(pipeline, prompts, sampling.get("negative_prompt", ""))
    images: list[np.ndarray | None] = [None] * len(prompts)
    for places in groups:
        parts = [prompts[place] for place in places], [seeds[place] for place in places]
        is_whole = len(groups) == 1
        for place, image in zip(
            places, _sampled(pipeline, *parts, guidance, sampling, is_whole), strict=True
        ):
            images[place] = image
    return np.stack(images)


def _noise_device(pipeline: DiffusionPipeline | TwoStages, sampling: dict) -> torch.device:
    """Return the device that draws the noise of an image.

    Noise of a diffusion model is as large as its latents, and comes from the CPU. aMUSEd draws
    a number for each token, level and step: 100 million an image, for which a GPU would wait.
    Generators that the workflow trains are small, and their images keep every bit.
    """
    is_amused = isinstance(getattr(pipeline, "scheduler", None), ImagewiseAmusedScheduler)
    if is_amused and sampling.get("kind") == "pretrained":
        return pipeline.device
    return torch.device("cpu")


def _sampled(
    pipeline, prompts, seeds, guidance: float, sampling: dict, is_whole: bool
) -> np.ndarray:
    """Return the images of prompts that are sampled together.

    A compiled pipeline gets batches that are filled up with the last image, so that it is compiled
    once. Prompts of several lengths have no common shape and are not filled up.
    """
    size, count = sampling.get("size"), len(prompts)
    if sampling.get("compile") and is_whole:
        missing = -count % sampling["batch_size"]
        prompts, seeds = prompts + prompts[-1:] * missing, seeds + seeds[-1:] * missing
    negative = sampling.get("negative_prompt", "")
    device = _noise_device(pipeline, sampling)
    wanted = sampling_keys.guidance(pipeline, guidance, negative, len(prompts)) | {
        "generator": [torch.Generator(device).manual_seed(seed) for seed in seeds],
        "num_inference_steps": sampling["steps"],
        "output_type": "np",
        "height": size,
        "width": size,
        "temperature": tuple(sampling["temperature"]) if "temperature" in sampling else None,
        "clean_caption": False,  # where it is on by default, it needs two more packages
        "use_resolution_binning": False,  # generates at a size near the one that is asked for
    }
    accepted = inspect.signature(pipeline.__call__).parameters
    arguments = {k: value for k, value in wanted.items() if k in accepted and value is not None}
    if "intermediate_timesteps" in accepted and sampling["steps"] != 2:
        arguments["intermediate_timesteps"] = None  # its default is the time between two steps
    try:
        images = pipeline(prompt=prompts, **arguments).images
    except (ValueError, NotImplementedError) as error:
        raise SamplerError(sampling_keys.refusal(pipeline, sampling, error)) from error
    asked = (sampling.get("upscaler") or sampling).get("size")
    if asked and images.shape[1:3] != (asked, asked):
        found = f"the model generates {images.shape[2]} x {images.shape[1]} pixels"
        raise SamplerError(f"size = {asked}: {found}; name a size that it can have")
    pixels = _pixels(images[:count])
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
