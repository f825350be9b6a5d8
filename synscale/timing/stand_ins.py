"""Pipelines of random weights, of the sizes of those that the studies name.

They generate noise, as fast as the published ones generate images. Settings are those of the models
on the hub (config.json of each component); `scripts.count_flops` counts the same components.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import torch
from diffusers import (
    AmusedPipeline,
    AmusedScheduler,
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    IFPipeline,
    IFSuperResolutionPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedModel,
    T5Tokenizer,
)

from synscale.models import small_generators
from synscale.timing.stand_in_components import (
    autoencoder,
    first_stage,
    second_stage,
    t5_xxl,
    u_vit,
    vector_quantizer,
)

T = TypeVar("T")
WORDS = ["a photo of a", *(f"number {i}" for i in range(10))]
TOKENS = 77  # tokens of a text


def _clip_text(
    kind: type[PreTrainedModel], width: int, layers: int
) -> tuple[CLIPTokenizer, PreTrainedModel]:
    """Return a tokenizer of a few words, and a text encoder for texts of 77 tokens."""
    tokenizer = small_generators.build_tokenizer(WORDS)
    tokenizer.model_max_length = TOKENS
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return tokenizer, kind(config)


def stable_diffusion(
    size=512,
    channels=(320, 640, 1280, 1280),
    heads=8,
    text=(768, 12),
    groups=32,
    decoder=(128, 256, 512, 512),
) -> StableDiffusionPipeline:
    """Return a pipeline, of the size of Stable Diffusion 1.5 by default.

    Parameters
    ----------
    size : int
        Pixels a side.
    channels, heads, groups
        Of the UNet.
    text : tuple of int
        Width and layers of the text encoder.
    decoder : tuple of int
        Channels of the autoencoder.
    """
    tokenizer, encoder = _clip_text(CLIPTextModel, *text)
    levels = len(channels)
    blocks = len(decoder)
    unet = UNet2DConditionModel(
        sample_size=size // 2 ** (blocks - 1),
        block_out_channels=channels,
        down_block_types=["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
        attention_head_dim=heads,
        cross_attention_dim=text[0],
        norm_num_groups=groups,
    )
    vae = autoencoder(AutoencoderKL, decoder, latent_channels=4, norm_num_groups=groups)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
    )
    return StableDiffusionPipeline(
        vae, encoder, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )


def _if_scheduler() -> DDPMScheduler:
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        thresholding=True,
        variance_type="learned_range",
        dynamic_thresholding_ratio=0.95,
    )


def deepfloyd_if(text: Callable = t5_xxl, unet: Callable = first_stage) -> IFPipeline:
    """Return the first stage of DeepFloyd IF.

    Parameters
    ----------
    text, unet : callable
        Return the text encoder and the UNet.
    """
    pieces = [(piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")]
    pieces += [(f"▁{word}", -2.0) for word in dict.fromkeys(" ".join(WORDS).split())]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    parts = (tokenizer, text(), unet(), _if_scheduler(), None, None, None)
    return IFPipeline(*parts, requires_safety_checker=False)


def deepfloyd_if_upscaler(unet: Callable = second_stage) -> IFSuperResolutionPipeline:
    """Return the second stage of DeepFloyd IF, without a text encoder."""
    noise = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    parts = (None, None, unet(), _if_scheduler(), noise, None, None, None)
    return IFSuperResolutionPipeline(*parts, requires_safety_checker=False)


def amused(
    transformer: Callable = u_vit, tokens: Callable = vector_quantizer, text=(768, 12)
) -> AmusedPipeline:
    """Return an aMUSEd pipeline.

    Parameters
    ----------
    transformer, tokens : callable
        Return the transformer and the autoencoder whose codes are the tokens of an image.
    text : tuple of int
        Width and layers of the text encoder.
    """
    tokenizer, encoder = _clip_text(CLIPTextModelWithProjection, *text)
    denoiser = transformer()
    scheduler = AmusedScheduler(mask_token_id=denoiser.config.vocab_size - 1)
    return AmusedPipeline(tokens(), tokenizer, encoder, denoiser, scheduler)


# Pattern of the names of a model on the hub -> what builds one of its size.
BUILDERS: dict[str, Callable[[], DiffusionPipeline]] = {
    "*stable-diffusion-v1*": stable_diffusion,
    "*IF-I-XL*": deepfloyd_if,
    "*IF-II-L*": deepfloyd_if_upscaler,
    "*amused-512*": amused,
    "*amused-256*": partial(amused, transformer=partial(u_vit, 16)),
}


def of(model: str) -> Callable[[], DiffusionPipeline] | None:
    """Return what builds a pipeline of the size of a model of the hub, None if nothing does."""
    return next((build for pattern, build in BUILDERS.items() if fnmatchcase(model, pattern)), None)


def build(builder: Callable[[], T], dtype: torch.dtype, device: torch.device) -> T:
    """Build a model on a device, in the precision in which it would be loaded.

    Parameters
    ----------
    builder : callable
        Returns the model.
    dtype : torch.dtype
    device : torch.device
    """
    default = torch.get_default_dtype()
    if device.type == "cuda":  # on a CPU, some weights cannot be drawn in half precision
        torch.set_default_dtype(dtype)
    try:
        with device:
            model = builder()
    finally:
        torch.set_default_dtype(default)
    return model.to(dtype=dtype)  # type: ignore[attr-defined]


@contextmanager
def in_place(
    builders: dict[str, Callable[[], DiffusionPipeline]], device: torch.device
) -> Iterator[None]:
    """Build pipelines when diffusers loads them from these folders.

    Weights of 20 GB need not be written to be read.

    Parameters
    ----------
    builders : dict
        Folder -> what builds its pipeline.
    device : torch.device
    """
    read = DiffusionPipeline.from_pretrained

    def from_pretrained(path: str | Path, **options) -> DiffusionPipeline:
        if str(path) not in builders:
            return read(path, **options)
        return build(builders[str(path)], options["dtype"], device)

    for path in builders:
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / "model_index.json").write_text("{}", encoding="utf-8")
    with patch.object(DiffusionPipeline, "from_pretrained", from_pretrained):
        yield
