"""Pipelines of the sizes of those that the studies name, with random weights: what they make is
noise, as fast as the released ones.

Settings are those of the models' own files (config.json of each part on the hub);
`scripts.count_flops` counts the same parts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
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
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from synscale.models import small_generators

WORDS = ["a photo of a", *(f"number {i}" for i in range(10))]


TOKENS = 77  # of a text

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


def levels(plain: int, attending: int) -> dict:
    """Block types of a DeepFloyd UNet: levels without attention, then those with it."""
    down = ["ResnetDownsampleBlock2D"] * plain + ["SimpleCrossAttnDownBlock2D"] * attending
    return {
        "down_block_types": down,
        "up_block_types": ["SimpleCrossAttnUpBlock2D"] * attending
        + ["ResnetUpsampleBlock2D"] * plain,
    }


def first_stage() -> torch.nn.Module:
    sizes = {
        "block_out_channels": [704, 1408, 2112, 2816],
        "layers_per_block": 3,
        "cross_attention_dim": 2816,
    }
    return UNet2DConditionModel(sample_size=64, in_channels=3, **sizes, **levels(1, 3), **DEEPFLOYD)


def second_stage() -> torch.nn.Module:
    sizes = {
        "block_out_channels": [160, 320, 640, 960, 1280],
        "layers_per_block": [2, 2, 3, 5, 5],
        "cross_attention_dim": 1280,
    }
    scales = {
        "mid_block_scale_factor": 2**0.5,
        "resnet_out_scale_factor": 2**0.5,
        "resnet_skip_time_act": True,
    }
    return UNet2DConditionModel(
        sample_size=256,
        in_channels=6,
        class_embed_type="timestep",
        **sizes,
        **scales,
        **levels(3, 2),
        **DEEPFLOYD,
    )


def autoencoder(kind: type, channels: list[int], **settings) -> torch.nn.Module:
    blocks = {
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
    }
    return kind(block_out_channels=channels, layers_per_block=2, **blocks, **settings)


def t5_xxl() -> torch.nn.Module:
    return T5EncoderModel(
        T5Config(
            d_model=4096,
            d_kv=64,
            d_ff=10240,
            num_layers=24,
            num_heads=64,
            feed_forward_proj="gated-gelu",
            vocab_size=32128,
        )
    )


def u_vit() -> torch.nn.Module:
    return UVit2DModel(sample_size=32, downsample=True, upsample=True)


def vector_quantizer() -> torch.nn.Module:
    return autoencoder(
        VQModel,
        [128, 256, 256, 512, 768],
        latent_channels=64,
        num_vq_embeddings=8192,
        mid_block_add_attention=False,
    )


def clip_text(kind: type, width: int, layers: int):
    """A text encoder, and a tokenizer of a few words that makes texts as long."""
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
    """Stable Diffusion 1.5 by default. size: pixels a side; text: width and layers of its encoder."""
    tokenizer, encoder = clip_text(CLIPTextModel, *text)
    levels, blocks = len(channels), len(decoder)
    unet = UNet2DConditionModel(
        sample_size=size // 2 ** (blocks - 1),
        block_out_channels=channels,
        down_block_types=["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
        attention_head_dim=heads,
        cross_attention_dim=text[0],
        norm_num_groups=groups,
    )
    vae = AutoencoderKL(
        block_out_channels=decoder,
        down_block_types=["DownEncoderBlock2D"] * blocks,
        up_block_types=["UpDecoderBlock2D"] * blocks,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=groups,
    )
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
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((f"▁{word}", -2.0) for word in dict.fromkeys(" ".join(WORDS).split())),
    ]
    return IFPipeline(
        T5Tokenizer(vocab=pieces, extra_ids=0),
        text(),
        unet(),
        _if_scheduler(),
        None,
        None,
        None,
        requires_safety_checker=False,
    )


def deepfloyd_if_upscaler(unet: Callable = second_stage) -> IFSuperResolutionPipeline:
    noise = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    parts = dict.fromkeys(
        ("tokenizer", "text_encoder", "safety_checker", "feature_extractor", "watermarker")
    )
    return IFSuperResolutionPipeline(
        **parts,
        unet=unet(),
        scheduler=_if_scheduler(),
        image_noising_scheduler=noise,
        requires_safety_checker=False,
    )


def amused(
    transformer: Callable = u_vit, tokens: Callable = vector_quantizer, text=(768, 12)
) -> AmusedPipeline:
    tokenizer, encoder = clip_text(CLIPTextModelWithProjection, *text)
    made = transformer()
    return AmusedPipeline(
        tokens(),
        tokenizer,
        encoder,
        made,
        AmusedScheduler(mask_token_id=made.config.vocab_size - 1),
    )


# Pattern of a model's id -> what stands in for it.
RELEASED: dict[str, Callable[[], DiffusionPipeline]] = {
    "*stable-diffusion-v1*": stable_diffusion,
    "*IF-I-XL*": deepfloyd_if,
    "*IF-II-L*": deepfloyd_if_upscaler,
    "*amused-512*": amused,
}


def of(model: str) -> Callable[[], DiffusionPipeline] | None:
    """What stands in for a released model; None where nothing does."""
    return next((build for pattern, build in RELEASED.items() if fnmatchcase(model, pattern)), None)


def build(make: Callable[[], torch.nn.Module], dtype: torch.dtype, device: torch.device):
    """On the device, and in the precision that it would be loaded in."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(
        dtype if device.type == "cuda" else before
    )  # on a CPU some initial weights cannot be drawn in half precision
    try:
        with device:
            made = make()
    finally:
        torch.set_default_dtype(before)
    return made.to(dtype=dtype)


@contextmanager
def in_place(
    builders: dict[str, Callable[[], DiffusionPipeline]], device: torch.device
) -> Iterator[None]:
    """What diffusers loads from these folders is built in its place, on the device and in the
    precision that it would be loaded in: weights of 20 GB need not be written to be read.
    """
    read = DiffusionPipeline.from_pretrained

    def built(path: str | Path, **named) -> DiffusionPipeline:
        if str(path) not in builders:
            return read(path, **named)
        return build(builders[str(path)], named["dtype"], device)

    for path in builders:
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / "model_index.json").write_text("{}", encoding="utf-8")
    with patch.object(DiffusionPipeline, "from_pretrained", built):
        yield
