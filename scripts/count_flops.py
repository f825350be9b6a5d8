"""FLOPs of the released generators of the imagenet study, for scripts/lib/plans/generators.py: `python -m scripts.count_flops`.

Their parts are built from their published settings (config.json of each part on the hub) on a device that holds no numbers, and torch counts
the FLOPs of one image. Parameters are those that the models' cards tell, which says that the settings are right.
"""

from collections.abc import Callable

import scripts.lib.torch_setup  # noqa: F401

import pandas as pd
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UVit2DModel, VQModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5Config, T5EncoderModel

from scripts.lib import tabulating

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
    return {"down_block_types": down, "up_block_types": ["SimpleCrossAttnUpBlock2D"] * attending + ["ResnetUpsampleBlock2D"] * plain}


def first_stage() -> torch.nn.Module:
    sizes = {"block_out_channels": [704, 1408, 2112, 2816], "layers_per_block": 3, "cross_attention_dim": 2816}
    return UNet2DConditionModel(sample_size=64, in_channels=3, **sizes, **levels(1, 3), **DEEPFLOYD)


def second_stage() -> torch.nn.Module:
    sizes = {"block_out_channels": [160, 320, 640, 960, 1280], "layers_per_block": [2, 2, 3, 5, 5], "cross_attention_dim": 1280}
    scales = {"mid_block_scale_factor": 2**0.5, "resnet_out_scale_factor": 2**0.5, "resnet_skip_time_act": True}
    return UNet2DConditionModel(sample_size=256, in_channels=6, class_embed_type="timestep", **sizes, **scales, **levels(3, 2), **DEEPFLOYD)


def autoencoder(kind: type, channels: list[int], **settings) -> torch.nn.Module:
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * len(channels), "up_block_types": ["UpDecoderBlock2D"] * len(channels)}
    return kind(block_out_channels=channels, layers_per_block=2, **blocks, **settings)


def t5_xxl() -> torch.nn.Module:
    return T5EncoderModel(T5Config(d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu", vocab_size=32128))


def u_vit() -> torch.nn.Module:
    return UVit2DModel(sample_size=32, downsample=True, upsample=True)


def vector_quantizer() -> torch.nn.Module:
    return autoencoder(VQModel, [128, 256, 256, 512, 768], latent_channels=64, num_vq_embeddings=8192, mid_block_add_attention=False)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def tokens(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.long)


# Part -> how it is built, and what it is given: one image.
PARTS: dict[str, tuple[Callable[[], torch.nn.Module], Callable[[], dict]]] = {
    "Stable Diffusion 1.5, UNet": (
        lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
        lambda: {"sample": zeros(1, 4, 64, 64), "timestep": zeros(1), "encoder_hidden_states": zeros(1, TOKENS, 768)},
    ),
    "Stable Diffusion 1.5, decoder": (lambda: autoencoder(AutoencoderKL, [128, 256, 512, 512]).decoder, lambda: {"sample": zeros(1, 4, 64, 64)}),
    "IF-I-XL, UNet": (first_stage, lambda: {"sample": zeros(1, 3, 64, 64), "timestep": zeros(1), "encoder_hidden_states": zeros(1, TOKENS, 4096)}),
    "IF-II-L, UNet": (
        second_stage,
        lambda: {"sample": zeros(1, 6, 256, 256), "timestep": zeros(1), "encoder_hidden_states": zeros(1, TOKENS, 4096), "class_labels": zeros(1)},
    ),
    "IF, T5-XXL": (t5_xxl, lambda: {"input_ids": tokens(1, TOKENS)}),
    "aMUSEd-512, U-ViT": (
        u_vit,
        lambda: {
            "input_ids": tokens(1, 32, 32),
            "encoder_hidden_states": zeros(1, TOKENS, 768),
            "pooled_text_emb": zeros(1, 768),
            "micro_conds": zeros(1, 5),
        },
    ),
    "aMUSEd-512, decoder": (
        lambda: vector_quantizer().decoder,
        lambda: {"sample": zeros(1, 64, 32, 32)},
    ),
}


def count(name: str) -> tuple[int, int]:
    """Parameters of a part, and FLOPs of its forward pass."""
    build, given = PARTS[name]
    with torch.device("meta"):
        model, inputs = build().eval(), given()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**inputs)
    return sum(weights.numel() for weights in model.parameters()), counter.get_total_flops()


def main() -> None:
    rows = [(name, *count(name)) for name in PARTS]
    print(tabulating.markdown(pd.DataFrame([{"part": n, "million parameters": f"{p / 1e6:.1f}", "TFLOP": f"{f / 1e12:.4f}"} for n, p, f in rows])))


if __name__ == "__main__":
    main()
