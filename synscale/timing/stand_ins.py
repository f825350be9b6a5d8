"""Pipelines of random weights, of the sizes of those that the studies name.

They generate noise, as fast as the published ones generate images. Settings are those of the models
on the hub (config.json of each component); `scripts.count_flops` counts the same components.
"""

from collections.abc import Callable, Iterator, Sequence
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
    UVit2DModel,
    VQModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedModel,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from synscale.models import small_generators

T = TypeVar("T")
WORDS = ["a photo of a", *(f"number {i}" for i in range(10))]
TOKENS = 77  # tokens of a text
DEEPFLOYD = {
    "act_fn": "gelu",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 64,
    "attention_head_dim": 64,
    "cross_attention_norm": "group_norm",
    "encoder_hid_dim": 4096,
    "encoder_hid_dim_type": "text_proj",
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "out_channels": 6,
    "resnet_time_scale_shift": "scale_shift",
}


def _levels(plain: int, attending: int) -> dict:
    """Return the blocks of a DeepFloyd UNet: levels without attention, then those with it."""
    down = ["ResnetDownsampleBlock2D"] * plain + ["SimpleCrossAttnDownBlock2D"] * attending
    up = ["SimpleCrossAttnUpBlock2D"] * attending + ["ResnetUpsampleBlock2D"] * plain
    return {"down_block_types": down, "up_block_types": up}


def first_stage() -> torch.nn.Module:
    """Return a UNet of the size of DeepFloyd IF-I-XL."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=3,
        block_out_channels=[704, 1408, 2112, 2816],
        layers_per_block=3,
        cross_attention_dim=2816,
        **_levels(1, 3),
        **DEEPFLOYD,
    )


def second_stage() -> torch.nn.Module:
    """Return a UNet of the size of DeepFloyd IF-II-L."""
    return UNet2DConditionModel(
        sample_size=256,
        in_channels=6,
        class_embed_type="timestep",
        block_out_channels=[160, 320, 640, 960, 1280],
        layers_per_block=[2, 2, 3, 5, 5],
        cross_attention_dim=1280,
        mid_block_scale_factor=2**0.5,
        resnet_out_scale_factor=2**0.5,
        resnet_skip_time_act=True,
        **_levels(3, 2),
        **DEEPFLOYD,
    )


def autoencoder(kind: type, channels: Sequence[int], **settings) -> torch.nn.Module:
    """Return an autoencoder of a class, with a level for each number of channels."""
    blocks = {
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
    }
    return kind(block_out_channels=channels, layers_per_block=2, **blocks, **settings)


def t5_xxl() -> torch.nn.Module:
    """Return a text encoder of the size of T5 v1.1 XXL."""
    config = T5Config(
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        vocab_size=32128,
    )
    return T5EncoderModel(config)


def u_vit(side: int = 32) -> torch.nn.Module:
    """Return the transformer of aMUSEd-512, or with a side of 16 tokens that of aMUSEd-256."""
    is_resampled = side == 32
    return UVit2DModel(sample_size=side, downsample=is_resampled, upsample=is_resampled)


def vector_quantizer() -> torch.nn.Module:
    """Return the autoencoder of aMUSEd-512."""
    return autoencoder(
        VQModel,
        [128, 256, 256, 512, 768],
        latent_channels=64,
        num_vq_embeddings=8192,
        mid_block_add_attention=False,
    )


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
    """Return the first stage of DeepFloyd IF."""
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
    """Return an aMUSEd pipeline."""
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
