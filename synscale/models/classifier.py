"""The classifiers: ViTs of timm, their file format, and what they say of images."""

import json
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torchvision.transforms.v2.functional import center_crop

from synscale.runtime.atomic import atomic_write


def normalise(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 to float in -1..1: mean = std = 0.5, as the paper's evaluation code has it."""
    return (
        torch.as_tensor(images).to(torch.float32, copy=True).div_(127.5).sub_(1)
    )  # in one place: a new one costs more than the arithmetic


def build(
    architecture: dict, image_size: int, channels: int, classes: int, position_std: float = 0.02
) -> VisionTransformer:
    model = VisionTransformer(
        img_size=image_size,
        patch_size=architecture["patch_size"],
        in_chans=channels,
        num_classes=classes,
        embed_dim=architecture["width"],
        depth=architecture["depth"],
        num_heads=architecture["heads"],
        class_token=architecture["pool"] == "token",
        global_pool=architecture["pool"],
        drop_path_rate=architecture.get("drop_path", 0.0),
    )
    torch.nn.init.trunc_normal_(model.pos_embed, std=position_std)
    return model


def save(path, model: VisionTransformer, description: dict) -> None:
    """Write weights with `description` (`build`'s arguments and the run) in the header, so that the
    file can be loaded alone.
    """
    with atomic_write(path) as (part,):
        weights = {
            name: value.contiguous() for name, value in model.state_dict().items()
        }  # safetensors knows of no layout
        save_file(weights, part, metadata={"description": json.dumps(description, sort_keys=True)})


def load(path, device: torch.device) -> VisionTransformer:
    with safe_open(path, framework="pt") as file:
        model = build(**json.loads(file.metadata()["description"])["build"])
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (safe_open is no dict)
    return model.to(device).eval()


def inputs(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """What a model reads of stored images, uint8 (N, C, H, W): the centre, of its own size, in
    -1..1, as the authors' evaluation has it.

    Raises ValueError where images are smaller than that: they would be padded with black.
    """
    size = model.patch_embed.img_size
    if images.shape[-2] < size[0] or images.shape[-1] < size[1]:
        raise ValueError(
            f"images of {images.shape[-2]} x {images.shape[-1]} pixels, but the classifier reads {size[0]} x {size[1]}"
        )
    return normalise(center_crop(images, list(size)))


@dataclass(frozen=True)
class Outputs:
    logits: torch.Tensor  # (N, classes)
    features: torch.Tensor  # (N, width): what the last layer reads


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
