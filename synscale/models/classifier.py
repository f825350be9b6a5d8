"""The classifiers: ViTs of timm, their file format, and what they compute of images."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torchvision.transforms.v2.functional import center_crop

from synscale.runtime.atomic import atomic_write
from synscale.study.models.classifiers import Architecture
from synscale.workflow.settings import as_json


def normalise(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return uint8 pixels as float in -1..1: mean and deviation 0.5, as in the paper's code.

    Parameters
    ----------
    images : ndarray or Tensor, uint8
        Pixels, of any shape.

    Returns
    -------
    Tensor, float32
        Of the same shape.
    """
    # In place, because a second allocation costs more than the arithmetic.
    return torch.as_tensor(images).to(torch.float32, copy=True).div_(127.5).sub_(1)


class PatchProduct(PatchEmbed):
    """timm's projection of square patches, on a CPU as a matrix product.

    A convolution of images of 8 x 8 pixels takes a tenth of a training step.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embedding of images.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float32

        Returns
        -------
        Tensor, shape (N, patches, width), float32
        """
        size = self.patch_size[0]
        is_divisible = images.shape[-2] % size == images.shape[-1] % size == 0
        if images.device.type != "cpu" or not is_divisible:
            return super().forward(images)
        patches = F.pixel_unshuffle(images, size).flatten(2).transpose(1, 2)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


def build(
    architecture: Architecture,
    image_size: int,
    channels: int,
    classes: int,
    position_std: float = 0.02,
    timm_model: dict | None = None,
) -> VisionTransformer:
    """Return a ViT with its initial weights.

    Parameters
    ----------
    architecture : Architecture
    image_size : int
        Pixels a side that the model sees.
    channels : int
    classes : int
    position_std : float
        Standard deviation of the initial position embedding.
    timm_model : dict, optional
        Name and arguments of a model of timm, whose layers replace those of this project's ViT.

    Returns
    -------
    VisionTransformer
    """
    if timm_model:
        sizes = {"img_size": image_size, "in_chans": channels, "num_classes": classes}
        drop_path = architecture.drop_path
        return timm.create_model(**timm_model | sizes, drop_path_rate=drop_path, pretrained=False)
    model = VisionTransformer(
        img_size=image_size,
        patch_size=architecture.patch_size,
        in_chans=channels,
        num_classes=classes,
        embed_dim=architecture.width,
        depth=architecture.depth,
        num_heads=architecture.heads,
        class_token=architecture.pool == "token",
        global_pool=architecture.pool,
        drop_path_rate=architecture.drop_path,
        embed_layer=PatchProduct,
    )
    torch.nn.init.trunc_normal_(model.pos_embed, std=position_std)
    return model


def save(path: str | Path, model: VisionTransformer, description: dict) -> None:
    """Write a model to a file from which it can be loaded without other files.

    Parameters
    ----------
    path : str or Path
    model : VisionTransformer
    description : dict
        Stored in the header. `build` has the arguments of `build`.
    """
    # safetensors does not store memory layouts.
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    with atomic_write(path) as (part,):
        save_file(weights, part, metadata={"description": as_json(description)})


def load(path: str | Path, device: torch.device) -> VisionTransformer:
    """Return the model of a file that `save` wrote, for evaluation.

    Parameters
    ----------
    path : str or Path
        File that `save` wrote.
    device : torch.device
    """
    with safe_open(path, framework="pt") as file:
        arguments = json.loads(file.metadata()["description"])["build"]
    arguments["architecture"] = Architecture(label="", **arguments["architecture"])
    model = build(**arguments)
    model.load_state_dict(load_file(path))
    return model.to(device).eval()


def inputs(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """Return images as a model reads them: the centre, of its size, in -1..1.

    Parameters
    ----------
    model : VisionTransformer
    images : Tensor, shape (N, C, H, W), uint8

    Returns
    -------
    Tensor, shape (N, C, size, size), float32

    Raises
    ------
    ValueError
        If the images are smaller than the model's, because they would be padded with black.
    """
    size = model.patch_embed.img_size
    height, width = images.shape[-2:]
    if height < size[0] or width < size[1]:
        expected = f"the classifier reads {size[0]} x {size[1]}"
        raise ValueError(f"images of {height} x {width} pixels, but {expected}")
    return normalise(center_crop(images, list(size)))


@dataclass(frozen=True)
class Outputs:
    """Outputs of a classifier.

    Parameters
    ----------
    logits : Tensor, shape (N, classes)
    features : Tensor, shape (N, width)
        Inputs of the last layer.
    """

    logits: torch.Tensor
    features: torch.Tensor


@torch.inference_mode()
def outputs(
    model: VisionTransformer,
    images: torch.Tensor,
    batch_size: int = 512,
    dtype: torch.dtype = torch.float32,
) -> Outputs:
    """Compute logits and features.

    Parameters
    ----------
    model : VisionTransformer
    images : Tensor, shape (N, C, H, W), float32
        Normalised images.
    batch_size : int
        Images that the model sees at once.
    dtype : torch.dtype
        Precision of all layers except the last one, whose logits would lose digits.

    Returns
    -------
    Outputs
        On the CPU.
    """
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        parts = [
            model.forward_head(model.forward_features(part.to(device)), pre_logits=True)
            for part in images.split(batch_size)
        ]
    features = torch.cat(parts).float()
    return Outputs(model.head(features).cpu(), features.cpu())
