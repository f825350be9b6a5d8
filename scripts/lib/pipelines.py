"""Text-to-image pipelines: loading any that diffusers knows, and sampling it reproducibly."""

import hashlib
from pathlib import Path

import scripts.lib.torch_setup

import numpy as np
import torch
from diffusers import AmusedScheduler, DDIMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_amused import AmusedSchedulerOutput

import scripts.lib.pixels  # noqa: F401  (diffusers loads parts of a pipeline only from modules that are imported already)

SAMPLERS = {"ddim": DDIMScheduler, "dpmsolver++": DPMSolverMultistepScheduler}


def seed_of(source: str, guidance: float, index: int) -> int:
    """Seed of one image: a 63-bit hash of what it is, so that it can be made again alone and no two images share their noise."""
    return int.from_bytes(hashlib.blake2b(f"{source}/{guidance:g}/{index}".encode(), digest_size=8).digest(), "big") >> 1


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
    """Twelve hex digits that tell the weights of a saved pipeline from any other's."""
    digest = hashlib.sha256()
    for file in sorted(Path(path).rglob("*.safetensors")):
        digest.update(f"{file.relative_to(path)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def load(path: str, sampling: dict, device: torch.device) -> DiffusionPipeline:
    """The pipeline saved at `path`, with the study's sampler, ready to sample."""
    pipeline = DiffusionPipeline.from_pretrained(path, local_files_only=True).to(device)
    if isinstance(pipeline.scheduler, AmusedScheduler):
        pipeline.scheduler = ImagewiseAmusedScheduler.from_config(pipeline.scheduler.config)
    elif sampling.get("sampler"):
        pipeline.scheduler = SAMPLERS[sampling["sampler"]].from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample(pipeline: DiffusionPipeline, prompts: list[str], seeds: list[int], guidance: float, sampling: dict) -> np.ndarray:
    """One image a prompt: uint8 (N, H, W) for grey or (N, H, W, 3).

    Noise comes from a generator for each image, on the CPU: an image is the same in any batch and on any device, up to rounding.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    extra = {"temperature": tuple(sampling["temperature"])} if "temperature" in sampling else {}
    images = pipeline(prompt=prompts, generator=generators, guidance_scale=guidance, num_inference_steps=sampling["steps"], output_type="np", **extra).images
    pixels = (images * 255).round().astype(np.uint8)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
