"""A classifier checkpoint in the layout of the authors' evaluation code, with random weights."""

from collections import OrderedDict

import torch

WIDTH, DEPTH, CLASSES, SIDE, PATCH = 128, 2, 10, 8, 4
PUBLISHED = "author_checkpoints: {theirs: {kind: classifier, file: theirs.pt, images: 16000000, numbers: {%s}}}\n"
NUMBERS = "vit_b_sd_in_captions_16m_top1: {evaluation: one_writer, measure: top1}, vit_b_sd_in_captions_16m_loss: {evaluation: one_writer, measure: cross_entropy}"


def state_dict(width=WIDTH, depth=DEPTH) -> OrderedDict:
    """What timm 0.5.4 calls the weights of such a ViT, in its order; random, and of grey images of
    8 px so that the digits are judged.
    """
    random = torch.Generator().manual_seed(0)

    def weight(*shape):
        return 0.1 * torch.randn(shape, generator=random)

    state = OrderedDict(
        cls_token=weight(1, 1, width), pos_embed=weight(1, (SIDE // PATCH) ** 2 + 1, width)
    )
    layers = {"patch_embed.proj": (width, 1, PATCH, PATCH)}
    for i in range(depth):
        layers |= {
            f"blocks.{i}.norm1": (width,),
            f"blocks.{i}.attn.qkv": (3 * width, width),
            f"blocks.{i}.attn.proj": (width, width),
        }
        layers |= {
            f"blocks.{i}.norm2": (width,),
            f"blocks.{i}.mlp.fc1": (4 * width, width),
            f"blocks.{i}.mlp.fc2": (width, 4 * width),
        }
    for name, shape in (layers | {"norm": (width,), "head": (CLASSES, width)}).items():
        state[f"{name}.weight"] = weight(*shape) + (1 if len(shape) == 1 else 0)
        state[f"{name}.bias"] = weight(shape[0])
    return state
