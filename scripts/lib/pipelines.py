"""Text-to-image pipelines: loading any that diffusers knows, and sampling it reproducibly."""

import hashlib
import inspect
import json
from pathlib import Path

import scripts.lib.torch_setup

import numpy as np
import torch
from diffusers import (
    AmusedScheduler,
    DiffusionPipeline,
    ModelMixin,
    PyramidAttentionBroadcastConfig,
    UNet2DConditionModel,
    apply_pyramid_attention_broadcast,
)
from diffusers.hooks import HookRegistry
from diffusers.pipelines.pipeline_utils import StableDiffusionMixin
from diffusers.schedulers.scheduling_amused import AmusedSchedulerOutput

import scripts.lib.pixels  # noqa: F401  (diffusers loads parts of a pipeline only from modules that are imported already)
from scripts.lib import encoded_texts, pipeline_classes, schedulers, weights
from scripts.lib.schedulers import SamplerError


def seed_of(source: str, guidance: float, index: int, attempt: int = 0) -> int:
    """Seed of one image: a 63-bit hash of what it is, so that it can be made again alone and no two images share their noise.

    attempt: how many times the image came out blank before.
    """
    name = f"{source}/{guidance:g}/{index}" + (f"/{attempt}" if attempt else "")
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


class ImagewiseAmusedScheduler(AmusedScheduler):
    """MaskGIT sampling as in aMUSEd, with a random generator for each image of the batch instead of one for all.

    Diffusers draws a batch's noise from one generator, so that an image depends on its neighbours. The law of the samples is the same:
    a token is drawn by the Gumbel-max trick, and the confidence that decides what stays masked has Gumbel noise of the step's
    temperature.
    """

    def step(self, model_output, timestep, sample, starting_mask_ratio=1.0, generator=None, return_dict=True):
        batch, height, width = sample.shape
        sample = sample.reshape(batch, -1)
        logits = model_output.reshape(batch, model_output.shape[1], -1).transpose(1, 2)
        length, levels = logits.shape[1:]
        uniform = torch.stack([torch.rand(length, levels + 1, generator=one) for one in generator]).to(logits.device)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
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
        return AmusedSchedulerOutput(previous.reshape(batch, height, width), clean.reshape(batch, height, width))


def revision(path: str) -> str:
    """Twelve hex digits that tell the weights of a saved pipeline from any other's.

    Raises WeightsError where a file is not the one that was fetched.
    """
    hashes = weights.hashes(path, sorted(str(file.relative_to(path)) for file in Path(path).rglob("*.safetensors")))
    weights.as_fetched(path, hashes)
    return hashlib.sha256("".join(f"{file} {sha256}\n" for file, sha256 in hashes.items()).encode()).hexdigest()[:12]


class TwoStages:
    """DeepFloyd IF as one pipeline: small images, made larger by a second pipeline, with the same text embeddings and random generators.

    An image's generator goes on from one stage to the next, so that all of its noise comes from its one seed.
    """

    def __init__(self, first: DiffusionPipeline, upscaler: DiffusionPipeline, settings: dict):
        self.first, self.upscaler, self.settings = first, upscaler, settings
        self.scheduler = first.scheduler

    def __call__(self, prompt, generator, guidance_scale, num_inference_steps, height, width, output_type, clean_caption, negative_prompt=None):
        prompt_embeds, negative_prompt_embeds = self.first.encode_prompt(prompt, negative_prompt=negative_prompt, clean_caption=clean_caption)
        shared = {"prompt_embeds": prompt_embeds, "negative_prompt_embeds": negative_prompt_embeds, "generator": generator}
        small = self.first(
            **shared, guidance_scale=guidance_scale, num_inference_steps=num_inference_steps, height=height, width=width, output_type="pt"
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


def _read(path: str | Path, use: str, precision: str, variant: str | None, device: torch.device) -> DiffusionPipeline:
    """The pipeline saved at `path`, without the components that are not used. use: as `weights.used` takes it."""
    parts = weights.components(weights.index_of(path))
    off = {name: None for name, (library, _) in parts.items() if name in weights.UNUSED[use] or not library}  # a part saved as none is asked for by some
    off |= {"requires_safety_checker": False} if "safety_checker" in off else {}
    kind = {"local_files_only": True, "use_safetensors": True, "variant": variant, "dtype": getattr(torch, precision)}
    with weights.all_of_files():
        pipeline = DiffusionPipeline.from_pretrained(path, **kind, **off).to(device)
    if hasattr(pipeline, "watermark"):  # SDXL has one wherever the package for it is installed
        pipeline.watermark = None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _compile(pipeline: DiffusionPipeline, backend: str) -> None:
    """What diffusers names to make a pipeline fast: channels last, the three projections of attention in one product, torch.compile.

    Of an autoencoder its decoder alone. Not mode max-autotune, which takes the kernels that win a race: a job might round otherwise than the next.
    dynamic is off, as all batches have one shape.
    """
    for model in pipeline.components.values():
        if not isinstance(model, ModelMixin):
            continue
        if all(parameter.dim() <= 4 for parameter in model.parameters()):  # torch has another layout for videos
            model.to(memory_format=torch.channels_last)
        with_texts = any("Added" in type(processor).__name__ for processor in getattr(model, "attn_processors", {}).values())
        if hasattr(model, "fuse_qkv_projections") and not with_texts:  # diffusers does not fuse where keys of texts are added
            model.fuse_qkv_projections()
        getattr(model, "decoder", model).compile(backend=backend, dynamic=False)


class _Progress:
    """How far the sampling of a UNet is, 1000 at its first step and towards 0 at the last, whatever the time of its scheduler is."""

    def __init__(self, pipeline: DiffusionPipeline):
        self.pipeline, self.steps = pipeline, 0
        pipeline.unet.register_forward_pre_hook(self.step)

    def step(self, unet: UNet2DConditionModel, _) -> None:
        if self.steps == self.pipeline.num_timesteps:  # new images
            self.steps = 0
            HookRegistry.check_if_exists_or_initialize(unet).reset_stateful_hooks(recurse=True)
        self.steps += 1

    def __call__(self) -> float:
        return 1000 * (1 - (self.steps - 1) / self.pipeline.num_timesteps)


def _reuse_attention(pipeline: DiffusionPipeline, every: int) -> None:
    """Pyramid attention broadcast (Zhao et al., arXiv 2408.12588): between a tenth and four fifths of the way, attention is computed in every
    `every`-th step alone, and its output taken again in those between. When that is follows from the step, so that no image depends on its batch.

    Raises SamplerError where both halves of guidance do not go through one UNet together: one would get what is kept of the other.
    """
    if not isinstance(pipeline, StableDiffusionMixin) or not isinstance(getattr(pipeline, "unet", None), UNet2DConditionModel):
        raise SamplerError(f"reuse_attention: for pipelines of Stable Diffusion's and SDXL's kind, and this is a {type(pipeline).__name__}: remove the key")
    ranges = {"spatial_attention_block_skip_range": every, "cross_attention_block_skip_range": every}
    apply_pyramid_attention_broadcast(pipeline.unet, PyramidAttentionBroadcastConfig(**ranges, current_timestep_callback=_Progress(pipeline)))


def _prepared(pipeline: DiffusionPipeline, sampling: dict) -> DiffusionPipeline:
    """The pipeline, made as fast as the study asks. What a workflow trained itself is small, and keeps to the bit what it made before."""
    if sampling.get("kind") == "pretrained":
        encoded_texts.keep(pipeline, sampling["batch_size"])
    if sampling.get("reuse_attention"):
        _reuse_attention(pipeline, sampling["reuse_attention"])
    if sampling.get("compile"):
        _compile(pipeline, sampling["compile"])
    return pipeline


def load(path: str, sampling: dict, device: torch.device) -> DiffusionPipeline | TwoStages:
    """The pipeline saved at `path`, with the study's sampler, ready to sample.

    Weights are read from safetensors alone, for a pickle can run any code. Safety checkers, which black images out, and watermarks are off.
    Raises WeightsError where a file is damaged or lacks weights, SamplerError where the model, its sampler or its second stage is of no use.
    """
    weights.readable(path)
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
    from diffusers import IFPipeline  # here, for its module imports T5 and ftfy, which no other pipeline needs

    if not isinstance(pipeline, IFPipeline):
        raise SamplerError(f"upscaler: it goes with an IFPipeline alone, and this is a {type(pipeline).__name__}: remove the key from the generator")
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


def _guided(pipeline: DiffusionPipeline | TwoStages, guidance: float, negative: str, count: int) -> dict:
    """Arguments by which a pipeline is guided at a scale.

    Where the scale is an input of some models of a class and not of this one, it would be ignored: such a model (Qwen-Image, FLUX.1 [schnell]) is
    guided by a second pass on the negative prompt, as others are. Models differ in what no negative prompt at all is, the empty text or zeros.
    """
    takes = inspect.signature(pipeline.__call__).parameters
    config = getattr(getattr(pipeline, "transformer", None), "config", {})
    if "true_cfg_scale" in takes and not config.get("guidance_embeds"):
        return {"true_cfg_scale": guidance, "negative_prompt": [negative or " "] * count}  # the authors of Qwen-Image write none as a space
    return {"guidance_scale": guidance, "negative_prompt": [negative] * count if negative else None}


def _pixels(images: np.ndarray) -> np.ndarray:
    """uint8 of (N, H, W, C) in 0..1. By torch: on all threads of the job, for the device waits."""
    found = torch.from_numpy(np.ascontiguousarray(images))
    finite = found.isfinite().flatten(1).all(1)
    return torch.where(finite[:, None, None, None], found, 0).mul_(255).round_().to(torch.uint8).numpy()


def sample(pipeline: DiffusionPipeline | TwoStages, prompts: list[str], seeds: list[int], guidance: float, sampling: dict) -> np.ndarray:
    """One image a prompt: uint8 (N, H, W) for grey or (N, H, W, 3). One with a number in it that is not finite comes out black.

    Noise comes from a generator for each image, on the CPU: an image is the same in any batch and on any device, up to rounding.
    A pipeline that is compiled gets whole batches alone, filled up with the last image, so that it is compiled once.
    Raises SamplerError where the images are not of the size that is asked for.
    """
    size, count = sampling.get("size"), len(prompts)
    if sampling.get("compile"):
        missing = -count % sampling["batch_size"]
        prompts, seeds = prompts + prompts[-1:] * missing, seeds + seeds[-1:] * missing
    wanted = _guided(pipeline, guidance, sampling.get("negative_prompt", ""), len(prompts)) | {
        "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
        "num_inference_steps": sampling["steps"],
        "output_type": "np",
        "height": size,
        "width": size,
        "temperature": tuple(sampling["temperature"]) if "temperature" in sampling else None,
        "clean_caption": False,  # where it is on by default, it happens only if two more packages are installed
        "use_resolution_binning": False,  # generates at a size near the one that is asked for and scales
    }
    accepted = inspect.signature(pipeline.__call__).parameters
    images = pipeline(prompt=prompts, **{name: value for name, value in wanted.items() if name in accepted and value is not None}).images
    asked = (sampling.get("upscaler") or sampling).get("size")
    if asked and images.shape[1:3] != (asked, asked):
        raise SamplerError(f"size = {asked}: the model makes images of {images.shape[2]} x {images.shape[1]} pixels: name a size that it can have")
    pixels = _pixels(images[:count])
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
