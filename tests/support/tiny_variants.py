"""Tiny pipelines of FLUX.2, and of classes that have the components of another class."""

import inspect

from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    HunyuanDiTPAGPipeline,
    PixArtSigmaPAGPipeline,
    SanaPAGPipeline,
    StableDiffusion3PAGPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionSAGPipeline,
    StableDiffusionXLPAGPipeline,
)
from transformers import Qwen3Config, Qwen3ForCausalLM

from tests.support import tiny_newer, tiny_pipelines
from tests.support.tiny_pipelines import WIDTH


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


def flux_2_klein(*, is_distilled: bool = False) -> Flux2KleinPipeline:
    """Its texts are the hidden states of layers 9, 18 and 27."""
    tokenizer = tiny_newer.qwen_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    heads = tiny_newer.HEADS | {"num_hidden_layers": 28, "head_dim": 8}
    config = Qwen3Config(**heads, vocab_size=len(tokenizer), hidden_size=WIDTH)
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        timestep_guidance_channels=8,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    sides = tiny_pipelines.autoencoder().config
    keys = ("down_block_types", "up_block_types", "block_out_channels", "latent_channels")
    vae = AutoencoderKLFlux2(**{key: sides[key] for key in keys}, norm_num_groups=4)
    text = Qwen3ForCausalLM(config).eval()
    parts = (FlowMatchEulerDiscreteScheduler(), vae, text, tokenizer, transformer)
    return Flux2KleinPipeline(*parts, is_distilled=is_distilled)


BUILDERS = {
    "flux_2_klein": flux_2_klein,
    "stable_diffusion_pag": stable_diffusion_pag,
    "stable_diffusion_sag": stable_diffusion_sag,
    "stable_diffusion_xl_pag": stable_diffusion_xl_pag,
    "stable_diffusion_3_pag": stable_diffusion_3_pag,
    "pixart_sigma_pag": pixart_sigma_pag,
    "sana_pag": sana_pag,
    "hunyuan_dit_pag": hunyuan_dit_pag,
}
SIZES = dict.fromkeys(BUILDERS, 16) | {"sana_pag": 32}  # pixels a side
