"""FLOPs of the released generators of the imagenet study, for synscale/planning/flops.py:
`python -m scripts.count_flops`.

Their parts are built from their published settings (config.json of each part on the hub) on a
device that holds no numbers, and torch counts the FLOPs of one image. Parameters are those that the
models' cards tell, which says that the settings are right.
"""

from collections.abc import Callable

import synscale.runtime.torch_setup  # noqa: F401

import pandas as pd
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from synscale.report import tables
from synscale.timing.stand_ins import (
    TOKENS,
    autoencoder,
    first_stage,
    second_stage,
    t5_xxl,
    u_vit,
    vector_quantizer,
)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def tokens(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.long)


# Part -> how it is built, and what it is given: one image.
PARTS: dict[str, tuple[Callable[[], torch.nn.Module], Callable[[], dict]]] = {
    "Stable Diffusion 1.5, UNet": (
        lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
        lambda: {
            "sample": zeros(1, 4, 64, 64),
            "timestep": zeros(1),
            "encoder_hidden_states": zeros(1, TOKENS, 768),
        },
    ),
    "Stable Diffusion 1.5, decoder": (
        lambda: autoencoder(AutoencoderKL, [128, 256, 512, 512]).decoder,
        lambda: {"sample": zeros(1, 4, 64, 64)},
    ),
    "IF-I-XL, UNet": (
        first_stage,
        lambda: {
            "sample": zeros(1, 3, 64, 64),
            "timestep": zeros(1),
            "encoder_hidden_states": zeros(1, TOKENS, 4096),
        },
    ),
    "IF-II-L, UNet": (
        second_stage,
        lambda: {
            "sample": zeros(1, 6, 256, 256),
            "timestep": zeros(1),
            "encoder_hidden_states": zeros(1, TOKENS, 4096),
            "class_labels": zeros(1),
        },
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
    print(
        tables.markdown(
            pd.DataFrame(
                [
                    {"part": n, "million parameters": f"{p / 1e6:.1f}", "TFLOP": f"{f / 1e12:.4f}"}
                    for n, p, f in rows
                ]
            )
        )
    )


if __name__ == "__main__":
    main()
