"""Tiny pipelines of classes that have the components of another class and another way to sample."""

import inspect

from diffusers import (
    HunyuanDiTPAGPipeline,
    PixArtSigmaPAGPipeline,
    SanaPAGPipeline,
    StableDiffusion3PAGPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionSAGPipeline,
    StableDiffusionXLPAGPipeline,
)

from tests.support import tiny_newer, tiny_pipelines


def rebuilt(kind: type, pipeline, layers: int | None = None):
    """Build a pipeline of a class from the components of another one, with more layers if given."""
    parts = dict(pipeline.components)
    if layers:
        config = dict(parts["transformer"].config) | {"num_layers": layers}
        parts["transformer"] = type(parts["transformer"])(**config)
    accepted = inspect.signature(kind.__init__).parameters
    off = {"requires_safety_checker": False} if "requires_safety_checker" in accepted else {}
    return kind(**{key: part for key, part in parts.items() if key in accepted}, **off)


def stable_diffusion_pag() -> StableDiffusionPAGPipeline:
    return rebuilt(StableDiffusionPAGPipeline, tiny_pipelines.stable_diffusion())


def stable_diffusion_sag() -> StableDiffusionSAGPipeline:
    return rebuilt(StableDiffusionSAGPipeline, tiny_pipelines.stable_diffusion())


def stable_diffusion_xl_pag() -> StableDiffusionXLPAGPipeline:
    return rebuilt(StableDiffusionXLPAGPipeline, tiny_pipelines.stable_diffusion_xl())


def stable_diffusion_3_pag() -> StableDiffusion3PAGPipeline:
    return rebuilt(StableDiffusion3PAGPipeline, tiny_pipelines.stable_diffusion_3(), layers=2)


def pixart_sigma_pag() -> PixArtSigmaPAGPipeline:
    return rebuilt(PixArtSigmaPAGPipeline, tiny_newer.pixart_sigma(), layers=2)


def sana_pag() -> SanaPAGPipeline:
    return rebuilt(SanaPAGPipeline, tiny_pipelines.sana())


def hunyuan_dit_pag() -> HunyuanDiTPAGPipeline:
    return rebuilt(HunyuanDiTPAGPipeline, tiny_newer.hunyuan_dit())


BUILDERS = {
    "stable_diffusion_pag": stable_diffusion_pag,
    "stable_diffusion_sag": stable_diffusion_sag,
    "stable_diffusion_xl_pag": stable_diffusion_xl_pag,
    "stable_diffusion_3_pag": stable_diffusion_3_pag,
    "pixart_sigma_pag": pixart_sigma_pag,
    "sana_pag": sana_pag,
    "hunyuan_dit_pag": hunyuan_dit_pag,
}
SIZES = dict.fromkeys(BUILDERS, 16) | {"sana_pag": 32}  # pixels a side
