"""Count the FLOPs of the released generators of the studies.

python -m scripts.count_flops

The numbers are in synscale/planning/flops.py. The models are built from their published settings
(config.json of each part on the hub) on a device without memory, and torch counts the FLOPs of one
image. The number of weights is that of the models' cards, which confirms the settings.
"""

import argparse
from collections.abc import Callable
from functools import partial

import synscale.runtime.torch_setup  # noqa: F401

import pandas as pd
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from synscale.report import tables
from synscale.timing import stand_in_components as components
from synscale.timing.stand_ins import TOKENS

Shapes = dict[str, tuple[int, ...]]


def stable_diffusion_unet() -> torch.nn.Module:
    """Return the UNet of Stable Diffusion 1.5."""
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def stable_diffusion_decoder() -> torch.nn.Module:
    """Return the image decoder of Stable Diffusion 1.5."""
    return components.autoencoder(AutoencoderKL, [128, 256, 512, 512]).decoder


def amused_decoder() -> torch.nn.Module:
    """Return the image decoder of aMUSEd."""
    return components.vector_quantizer().decoder


def unet_inputs(channels: int, side: int, text_width: int, **others: tuple[int, ...]) -> Shapes:
    """Return the shapes of a UNet's inputs for one image."""
    text = {"encoder_hidden_states": (1, TOKENS, text_width)}
    return {"sample": (1, channels, side, side), "timestep": (1,)} | text | others


def amused_inputs(side: int) -> Shapes:
    """Return the shapes of aMUSEd's inputs for one image of `side` x `side` tokens."""
    text = {"encoder_hidden_states": (1, TOKENS, 768), "pooled_text_emb": (1, 768)}
    return {"input_ids": (1, side, side), "micro_conds": (1, 5)} | text


# Part -> how it is built, and the shapes of its inputs for one image.
PARTS: dict[str, tuple[Callable[[], torch.nn.Module], Shapes]] = {
    "Stable Diffusion 1.5, UNet": (stable_diffusion_unet, unet_inputs(4, 64, 768)),
    "Stable Diffusion 1.5, decoder": (stable_diffusion_decoder, {"sample": (1, 4, 64, 64)}),
    "IF-I-XL, UNet": (components.first_stage, unet_inputs(3, 64, 4096)),
    "IF-II-L, UNet": (
        components.second_stage,
        unet_inputs(6, 256, 4096, class_labels=(1,)),
    ),
    "IF, T5-XXL": (components.t5_xxl, {"input_ids": (1, TOKENS)}),
    "aMUSEd-512, U-ViT": (components.u_vit, amused_inputs(32)),
    "aMUSEd-512, decoder": (amused_decoder, {"sample": (1, 64, 32, 32)}),
    "aMUSEd-256, U-ViT": (partial(components.u_vit, 16), amused_inputs(16)),
    "aMUSEd-256, decoder": (amused_decoder, {"sample": (1, 64, 16, 16)}),
}


def count(name: str) -> tuple[int, int]:
    """Return the number of weights of a part, and the FLOPs of its forward pass."""
    build, shapes = PARTS[name]
    with torch.device("meta"):
        model = build().eval()
        inputs = {
            key: torch.zeros(shape, dtype=torch.long if key == "input_ids" else None)
            for key, shape in shapes.items()
        }
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**inputs)
    return sum(weights.numel() for weights in model.parameters()), counter.get_total_flops()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=__doc__, formatter_class=raw)


def main(arguments: list[str] | None = None) -> None:
    """Print the weights and FLOPs of every part."""
    parser().parse_args(arguments)
    rows = []
    for name in PARTS:
        weights, flops = count(name)
        millions, tflop = f"{weights / 1e6:.1f}", f"{flops / 1e12:.4f}"
        rows.append({"part": name, "million weights": millions, "TFLOP": tflop})
    print(tables.markdown(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
