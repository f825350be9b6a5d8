"""UNets, transformers, autoencoders and text encoders of `stand_ins`, with random weights."""

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel, UVit2DModel, VQModel
from transformers import T5Config, T5EncoderModel

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
    """Return an autoencoder.

    Parameters
    ----------
    kind : type
        Class of diffusers.
    channels : sequence of int
        Channels of each level.
    **settings
        Other settings of the class.
    """
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
