"""CLIP models of open_clip: architecture, file format, and zero-shot evaluation."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer, default_bpe
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from synscale.data.codec import as_stored
from synscale.runtime.atomic import atomic_write
from synscale.study.models.clip import ClipArchitecture
from synscale.workflow.settings import as_json

STATISTICS = {
    "half": ((0.5,) * 3, (0.5,) * 3),
    "openai": (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD),
}


@cache
def tokenizer(context_length: int, merges: int | None = None) -> SimpleTokenizer:
    """Return CLIP's tokenizer.

    All merges make a table of 49,408 rows. A model of a few captions never reads most of them, but
    AdamW updates all in every step. Reading the merges takes 0.1 s, as long as several steps of a
    small model, hence the cache.

    Parameters
    ----------
    context_length : int
        Tokens of a text.
    merges : int, optional
        Number of the byte pairs that are used, the most frequent; all 48,894 by default.

    Returns
    -------
    SimpleTokenizer
    """
    if merges is None:
        return SimpleTokenizer(context_length=context_length)
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).split(b"\n")
    first = b"\n".join(lines[: merges + 1])  # the first line is a comment
    return SimpleTokenizer(io.BytesIO(gzip.compress(first)), context_length=context_length)


def config(architecture: ClipArchitecture, image_size: int) -> dict:
    """Return the arguments of open_clip's CLIP.

    Images have 3 channels, as open_clip's transforms turn every image into RGB. QuickGELU is that
    of the paper's CLIP.

    Parameters
    ----------
    architecture : ClipArchitecture
    image_size : int
        Pixels a side that the model sees.

    Returns
    -------
    dict
    """
    tokens = tokenizer(architecture.context_length, architecture.merges)
    return {
        "embed_dim": architecture.embed_dim,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": image_size,
            "patch_size": architecture.patch_size,
            "width": architecture.width,
            "layers": architecture.depth,
            "head_width": architecture.width // architecture.heads,
        },
        "text_cfg": {
            "context_length": architecture.context_length,
            "vocab_size": tokens.vocab_size,
            "width": architecture.text_width,
            "layers": architecture.text_depth,
            "heads": architecture.text_heads,
        },
    }


@dataclass(frozen=True)
class Clip:
    """A trained CLIP model.

    Parameters
    ----------
    model : CLIP
    tokenize : callable
        Returns tokens, shape (N, context_length), of a list of texts.
    image_size : int
    normalisation : str
        Key of `STATISTICS`.
    """

    model: CLIP
    tokenize: Callable[[list[str]], torch.Tensor]
    image_size: int
    normalisation: str

    @property
    def scale(self) -> torch.Tensor:
        """Learned factor of the cosines, at most 100 because training clamps it."""
        return self.model.logit_scale.detach().exp().cpu()


def save(path: str | Path, weights: dict[str, torch.Tensor], description: dict) -> None:
    """Write a model to a file from which it can be loaded without other files.

    Parameters
    ----------
    path : str or Path
    weights : dict
        Name -> tensor in host memory.
    description : dict
        Stored in the header: `architecture`, `image_size`, `training`, and what else is useful.
    """
    with atomic_write(path) as (part,):
        save_file(weights, part, metadata={"description": as_json(description)})


def load(path: str | Path, device: torch.device) -> Clip:
    """Return the model of a file that `save` wrote, for evaluation.

    Parameters
    ----------
    path : str or Path
        File that `save` wrote.
    device : torch.device
    """
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["description"])
    architecture = ClipArchitecture(label="", **description["architecture"])
    size = description["image_size"]
    model = CLIP(**config(architecture, size))
    model.load_state_dict(load_file(path))
    normalisation = description["training"].get("normalisation", "half")
    return view(architecture, size, normalisation, model.to(device).eval())


def view(architecture: ClipArchitecture, image_size: int, normalisation: str, model: CLIP) -> Clip:
    """Return a model with its tokenizer, for evaluation.

    Parameters
    ----------
    architecture : ClipArchitecture
    image_size : int
        Pixels of a side.
    normalisation : str
        Name of the mean and deviation of inputs.
    model : CLIP
    """
    tokenize = tokenizer(architecture.context_length, architecture.merges)
    return Clip(model, tokenize, image_size, normalisation)


def resized(image: torch.Tensor, size: int) -> torch.Tensor:
    """Return a stored image in the size that a model sees, as the paper's evaluation code does.

    Parameters
    ----------
    image : Tensor, shape (C, H, W), uint8
        C is 1 or 3.
    size : int
        Pixels a side.

    Returns
    -------
    Tensor, shape (C, size, size), uint8
    """
    pixels = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
    stored = as_stored(pixels, size, len(image))
    return torch.tensor(stored[None] if stored.ndim == 2 else stored.transpose(2, 0, 1))


@cache
def _scale_and_shift(normalisation: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 127.5 and 1 for a mean and deviation of 0.5."""
    mean, std = torch.tensor(STATISTICS[normalisation], dtype=torch.float64)[:, :, None, None]
    return (255 * std).float().to(device), (mean / std).float().to(device)


def normalised(images: torch.Tensor, normalisation: str) -> torch.Tensor:
    """Return images as a model reads them; grey ones become RGB.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), uint8
    normalisation : str
        Key of `STATISTICS`.

    Returns
    -------
    Tensor, shape (N, 3, H, W), float32
    """
    scale, shift = _scale_and_shift(normalisation, images.device)
    return images.expand(-1, 3, -1, -1).to(torch.float32, copy=True).div_(scale).sub_(shift)


def inputs(clip: Clip, images: torch.Tensor) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) normalised as in training, shape (N, 3, H, W).

    Parameters
    ----------
    clip : Clip
    images : Tensor, shape (N, C, H, W), uint8
    """
    return normalised(images, clip.normalisation)


@torch.inference_mode()
def image_features(
    clip: Clip, images: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Compute unit vectors of images.

    Parameters
    ----------
    clip : Clip
    images : Tensor, shape (N, C, H, W), uint8
        Images of the model's size.
    dtype : torch.dtype
        Precision of the image encoder.

    Returns
    -------
    Tensor, shape (N, embed_dim), float32
        On the CPU.
    """
    device = clip.model.logit_scale.device
    pixels = inputs(clip, images.to(device))
    if dtype == torch.float32:
        return clip.model.encode_image(pixels, normalize=True).cpu()
    with torch.autocast(device.type, dtype):
        features = clip.model.encode_image(pixels)
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu()


def templates(choice: list[str] | str) -> list[str]:
    """Return the texts with `{name}` of a zero-shot evaluation.

    `openai_imagenet` names the 80 texts of open_clip, which the paper's evaluation uses.
    """
    if isinstance(choice, str):
        return [template("{name}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
    return list(choice)


@torch.inference_mode()
def heads(
    clip: Clip, names: list[str], templates: list[str], batch_size: int = 512
) -> torch.Tensor:
    """Return the classifier that CLIP's zero-shot evaluation computes from texts.

    A name's vector is the mean of the unit vectors of its texts, one for each template.

    Parameters
    ----------
    clip : Clip
    names : list of str
    templates : list of str
        Texts with `{name}`.
    batch_size : int
        Texts that the model sees at once.

    Returns
    -------
    Tensor, shape (names, embed_dim)
        Unit vectors, on the CPU.
    """
    device = clip.model.logit_scale.device
    tokens = clip.tokenize([template.format(name=name) for name in names for template in templates])
    parts = tokens.to(device).split(batch_size)
    vectors = [clip.model.encode_text(part, normalize=True).cpu() for part in parts]
    means = torch.cat(vectors).reshape(len(names), len(templates), -1).mean(1)
    return torch.nn.functional.normalize(means, dim=-1)


def logits(clip: Clip, features: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
    """Return cosines of images and heads times the learned scale, shape (N, classes).

    Parameters
    ----------
    clip : Clip
    features : Tensor, shape (N, embed_dim)
        Unit vectors of images.
    heads : Tensor, shape (classes, embed_dim)
        Unit vectors of texts.
    """
    return clip.scale * features @ heads.T
