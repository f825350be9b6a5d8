"""Classifiers that the paper's authors released, read as ours.

Layout, as their evaluation code loads it: a state dict and nothing around it, of a ViT of timm
0.5.4 with class token, biases of q, k and v, LayerNorm of eps 1e-6 and a linear head. These are the
names and the arithmetic of our own classifiers with `pool: token`, so weights go over as they are.
CLIP models: `clip.from_released`.
"""

import torch
from timm.models.vision_transformer import VisionTransformer

from synscale.models import classifier
from synscale.study.models.classifiers import Architecture

HEAD_WIDTH = 64  # of every ViT of 16 x 16 patches in that code; the weights do not tell


class LayoutError(ValueError):
    """A checkpoint that is not in the layout of the authors' evaluation code."""


def from_released(state: dict[str, torch.Tensor]) -> tuple[VisionTransformer, dict]:
    """Model and description, as `classifier.save` takes them; the weights' shapes tell the
    architecture. Raises LayoutError.
    """
    try:
        width, channels, patch, _ = state["patch_embed.proj.weight"].shape
        tokens, classes = state["pos_embed"].shape[1], len(state["head.weight"])
    except KeyError as error:
        raise LayoutError(
            f"no weight {error} in it: not a ViT of timm with a head; it holds {_some(list(state))}"
        ) from None
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    architecture = Architecture(
        label="",
        patch_size=patch,
        width=width,
        depth=depth,
        heads=max(1, width // HEAD_WIDTH),
        pool="token",
    )
    build = {
        "architecture": architecture,
        "image_size": patch * round((tokens - 1) ** 0.5),
        "channels": channels,
        "classes": classes,
    }
    model = classifier.build(**build)
    expected = {name: own.shape for name, own in model.state_dict().items()}
    found = {name: own.shape for name, own in state.items()}
    faults = {
        "missing": [name for name in expected if name not in found],
        "not known": [name for name in found if name not in expected],
        "of another shape": [
            name for name in expected if found.get(name, expected[name]) != expected[name]
        ],
    }
    if told := [
        f"{len(names)} weights {what}: {_some(names)}" for what, names in faults.items() if names
    ]:
        raise LayoutError(
            f"not the ViT of {depth} blocks, {width} wide, that its first weights tell of; {'; '.join(told)}"
        )
    model.load_state_dict(state)
    return model, {"build": build}


def _some(names: list) -> str:
    return ", ".join(map(str, names[:4])) + (", ..." if len(names) > 4 else "") or "nothing"
