"""A classifier checkpoint in the layout of the authors' evaluation code, with random weights."""

from collections import OrderedDict

import torch

from synscale.study.load import load_study
from tests.support.workflow import SMOKE

WIDTH = 128
DEPTH = 2
CLASSES = 10
SIDE = 8
PATCH = 4
PUBLISHED = (
    "author_checkpoints:\n"
    "  theirs: {kind: classifier, file: theirs.pt, images: 16000000, numbers: {%s}}\n"
)
NUMBERS = (
    "vit_b_sd_in_captions_16m_top1: {evaluation: one_writer, measure: top1}, "
    "vit_b_sd_in_captions_16m_loss: {evaluation: one_writer, measure: cross_entropy}"
)


def study_with(folder, rows: str):
    """Return the path of the smoke study with these rows."""
    path = folder / "with_checkpoint.yaml"
    text = SMOKE.read_text(encoding="utf-8").replace("laws:\n", f"{rows}laws:\n", 1)
    path.write_text(text, encoding="utf-8")
    load_study.cache_clear()
    return path


def state_dict(width=WIDTH, depth=DEPTH) -> OrderedDict:
    """Return random weights with the names of timm 0.5.4, for grey images of 8 px as the digits."""
    random = torch.Generator().manual_seed(0)

    def weight(*shape):
        return 0.1 * torch.randn(shape, generator=random)

    state = OrderedDict(
        cls_token=weight(1, 1, width), pos_embed=weight(1, (SIDE // PATCH) ** 2 + 1, width)
    )
    layers = {"patch_embed.proj": (width, 1, PATCH, PATCH)}
    for i in range(depth):
        layers[f"blocks.{i}.norm1"] = (width,)
        layers[f"blocks.{i}.attn.qkv"] = (3 * width, width)
        layers[f"blocks.{i}.attn.proj"] = (width, width)
        layers[f"blocks.{i}.norm2"] = (width,)
        layers[f"blocks.{i}.mlp.fc1"] = (4 * width, width)
        layers[f"blocks.{i}.mlp.fc2"] = (width, 4 * width)
    for name, shape in (layers | {"norm": (width,), "head": (CLASSES, width)}).items():
        state[f"{name}.weight"] = weight(*shape) + (1 if len(shape) == 1 else 0)
        state[f"{name}.bias"] = weight(shape[0])
    return state
