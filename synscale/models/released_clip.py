"""CLIP checkpoints of the paper's authors, in this project's format."""

import torch
from open_clip.model import CLIP

from synscale.models import clip
from synscale.study.models.clip import ClipArchitecture

HEAD_WIDTH = 64  # every published CLIP has it


def _depth(weights: dict[str, torch.Tensor], prefix: str) -> int:
    """Return the number of layers of a transformer, whose weights are {prefix}{layer}.*."""
    names = (name.removeprefix(prefix) for name in weights if name.startswith(prefix))
    return len({name.split(".")[0] for name in names})


def _architecture(weights: dict[str, torch.Tensor]) -> tuple[dict, int]:
    """Return the architecture that the shapes of weights imply, and the image size."""
    _, _, patch, _ = weights["visual.conv1.weight"].shape
    context_length, text_width = weights["positional_embedding"].shape
    positions, width = weights["visual.positional_embedding"].shape
    architecture = {
        "embed_dim": weights["text_projection"].shape[1],
        "patch_size": patch,
        "width": width,
        "depth": _depth(weights, "visual.transformer.resblocks."),
        "heads": width // HEAD_WIDTH,
        "text_width": text_width,
        "text_depth": _depth(weights, "transformer.resblocks."),
        "text_heads": text_width // HEAD_WIDTH,
        "context_length": context_length,
    }
    return architecture, patch * round((positions - 1) ** 0.5)


def from_released(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict]:
    """Return a checkpoint of the paper's authors in this project's format.

    Its shapes imply the architecture. Normalisation and QuickGELU are those of the authors'
    evaluation code.

    Parameters
    ----------
    state : dict
        State dict of open_clip's CLIP.

    Returns
    -------
    weights, description : dict
        Arguments of `save`.

    Raises
    ------
    ValueError
        If it is not such a state dict.
    """
    weights = {name.removeprefix("module."): v.float().contiguous() for name, v in state.items()}
    try:
        vocabulary = weights["token_embedding.weight"].shape[0]
        architecture, size = _architecture(weights)
    except KeyError as error:
        reason = "not a CLIP model of open_clip with a ViT"
        raise ValueError(f"no weight {error} in it: {reason}") from None
    with torch.device("meta"):
        model = CLIP(**clip.config(ClipArchitecture(label="", **architecture), size))
    expected = {name: value.shape for name, value in model.state_dict().items()}
    shapes = {name: value.shape for name, value in weights.items()}
    wrong = dict(expected.items() ^ shapes.items())
    if wrong:
        first = ", ".join(sorted(wrong)[:3])
        reason = f"not those of a CLIP model with {vocabulary} tokens, the first: {first}"
        raise ValueError(f"{len(wrong)} weights are {reason}")
    training = {"normalisation": "openai"}
    return weights, {"architecture": architecture, "image_size": size, "training": training}
