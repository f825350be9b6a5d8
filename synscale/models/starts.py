"""Weights that classifiers start from: those of another run, or released ones of timm.

Released models of timm read pixels of their mean and standard deviation, in their size. Here their
first layer gets the affine map from -1..1, and timm resamples their position embedding.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from timm.data import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

from synscale.models import checksums
from synscale.models.checksums import WeightsError
from synscale.study.models.classifiers import Architecture

FILES = ["config.json", "model.safetensors"]
HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class StartWeights:
    """Weights that a training starts from.

    Parameters
    ----------
    weights : dict of str to Tensor
        All but those of the head.
    timm_model : dict or None
        Name and arguments of the model for `timm.create_model`; None for this project's ViT.
    identity : str
        Checksum of the weights.
    """

    weights: dict[str, torch.Tensor]
    timm_model: dict | None
    identity: str

    def load_into(self, model: VisionTransformer) -> None:
        """Copy the weights into a model, whose head is left as it is.

        Parameters
        ----------
        model : VisionTransformer
            Of the same shape; its image size may differ.

        Raises
        ------
        WeightsError
            If weights are missing or unknown.
        """
        weights = self.weights
        if weights["pos_embed"].shape != model.pos_embed.shape:
            weights = checkpoint_filter_fn(weights, model)
        missing, unknown = model.load_state_dict(weights, strict=False)
        if unknown or set(missing) != set(HEAD):
            names = sorted({*missing, *unknown} - {*HEAD})
            raise WeightsError(f"weights do not fit the architecture ({names[0]}); name a ViT")


def of_run(path: str | Path) -> StartWeights:
    """Return the weights of a file that `classifier.save` wrote.

    Parameters
    ----------
    path : str or Path
    """
    with safe_open(path, framework="pt") as file:
        build = json.loads(file.metadata()["description"])["build"]
    weights = load_file(path)
    for name in HEAD:
        del weights[name]
    identity = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return StartWeights(weights, build.get("timm_model"), identity)


def read_pretrained(folder: str | Path, pretrained: bool = True) -> VisionTransformer:
    """Return a model of timm from a folder of files of the hub, without its head.

    Parameters
    ----------
    folder : str or Path
        Folder with config.json and model.safetensors.
    pretrained : bool
        Whether to load its weights.

    Raises
    ------
    WeightsError
        If it is no vision transformer.
    """
    model = timm.create_model(f"local-dir:{folder}", pretrained=pretrained, num_classes=0)
    if not isinstance(model, VisionTransformer) or model.pos_embed is None:
        kind = type(model).__name__
        fix = "name one with a learned position embedding"
        raise WeightsError(f"no VisionTransformer of timm ({kind}); {fix}")
    return model


def check_shape(model: VisionTransformer, architecture: Architecture) -> None:
    """Raise WeightsError if a model of timm does not have the shape of an architecture.

    Parameters
    ----------
    model : VisionTransformer
    architecture : Architecture
    """
    shape = {
        "patch_size": model.patch_embed.patch_size[0],
        "width": model.embed_dim,
        "depth": len(model.blocks),
        "heads": model.blocks[0].attn.num_heads,
        "pool": model.global_pool,
    }
    for key, value in shape.items():
        if getattr(architecture, key) != value:
            given = getattr(architecture, key)
            raise WeightsError(f"{key} = {given!r}, but the model has {value!r}; correct the key")


def of_pretrained(folder: str | Path, architecture: Architecture, channels: int) -> StartWeights:
    """Return released weights for a model that reads pixels in -1..1.

    Parameters
    ----------
    folder : str or Path
        Folder with config.json and model.safetensors.
    architecture : Architecture
    channels : int
        Channels of the images: those of the model, or 1, which counts as all of them.

    Returns
    -------
    StartWeights

    Raises
    ------
    WeightsError
        If a file changed after it was downloaded, or the model has another shape.
    """
    hashes = checksums.hashes(folder, FILES)
    checksums.check_fetched(folder, hashes)
    model = read_pretrained(folder)
    check_shape(model, architecture)
    normalisation = resolve_model_data_config(model)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    prefix = 0 if model.no_embed_class else model.num_prefix_tokens
    _fold(weights, normalisation["mean"], normalisation["std"], prefix)
    kernel = weights["patch_embed.proj.weight"]
    if channels == 1:
        weights["patch_embed.proj.weight"] = kernel.sum(1, keepdim=True)
    elif channels != kernel.shape[1]:
        problem = f"{kernel.shape[1]} channels, expected 1 or the {channels} of the study"
        raise WeightsError(f"model of {problem}; name another model")
    config = json.loads((Path(folder) / FILES[0]).read_text(encoding="utf-8"))
    timm_model = {"model_name": config["architecture"], **config.get("model_args", {})}
    return StartWeights(weights, timm_model, hashes[FILES[1]])


def _fold(weights: dict[str, torch.Tensor], mean, std, prefix: int) -> None:
    """Move the normalisation of pixels into the patch embedding.

    A pixel x in -1..1 is (x + 1) / 2 in 0..1, so the model reads 0.5 / std * x + (0.5 - mean) / std
    of it. The constant of a patch goes to the bias. Models without one get it in the position
    embedding of their patches, after `prefix` other tokens.
    """
    means, deviations = (torch.tensor(value, dtype=torch.float64) for value in (mean, std))
    scale, shift = 0.5 / deviations, (0.5 - means) / deviations
    kernel = weights["patch_embed.proj.weight"].double()
    constant = (kernel.sum((2, 3)) * shift).sum(1)
    weights["patch_embed.proj.weight"] = (kernel * scale.view(1, -1, 1, 1)).float()
    if "patch_embed.proj.bias" in weights:
        weights["patch_embed.proj.bias"] = (weights["patch_embed.proj.bias"] + constant).float()
    else:
        weights["pos_embed"][:, prefix:] += constant.float()
