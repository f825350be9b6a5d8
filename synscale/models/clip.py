"""CLIP models of open_clip: their architecture, their file format, and what they say of images,
zero-shot.
"""

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
from safetensors.torch import save_file

from synscale.runtime.atomic import atomic_write

STATISTICS = {
    "half": ((0.5,) * 3, (0.5,) * 3),
    "openai": (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD),
}


def tokenizer(architecture: dict) -> SimpleTokenizer:
    """CLIP's tokenizer. `merges`, where the architecture names it: only the first so many of its
    48,894 byte pairs, the most frequent.

    All of them make a table of 49,408 rows, which a model of a few captions never reads but AdamW
    goes through in every iteration.
    """
    return _tokenizer(architecture["context_length"], architecture.get("merges"))


@cache
def _tokenizer(context_length: int, merges: int | None) -> SimpleTokenizer:
    """Reading the byte pairs takes 0.1 s, as long as several steps of a small model."""
    if merges is None:
        return SimpleTokenizer(context_length=context_length)
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).split(b"\n")[
        : merges + 1
    ]  # the first line is a comment
    return SimpleTokenizer(
        io.BytesIO(gzip.compress(b"\n".join(lines))), context_length=context_length
    )


def config(architecture: dict, image_size: int) -> dict:
    """The model in open_clip's terms. Always 3 channels, as its transforms turn every image into
    RGB. QuickGELU as the paper's CLIP.
    """
    return {
        "embed_dim": architecture["embed_dim"],
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": image_size,
            "patch_size": architecture["patch_size"],
            "width": architecture["width"],
            "layers": architecture["depth"],
            "head_width": architecture["width"] // architecture["heads"],
        },
        "text_cfg": {
            "context_length": architecture["context_length"],
            "vocab_size": tokenizer(architecture).vocab_size,
            "width": architecture["text_width"],
            "layers": architecture["text_depth"],
            "heads": architecture["text_heads"],
        },
    }


@dataclass(frozen=True)
class Clip:
    model: CLIP
    tokenize: Callable[[list[str]], torch.Tensor]  # (N, context_length)
    image_size: int
    normalisation: str  # of STATISTICS

    @property
    def scale(self) -> torch.Tensor:
        """What cosines are multiplied with: learned, and at most 100 (the trainer holds it there)."""
        return self.model.logit_scale.detach().exp().cpu()


def save(path, weights: dict[str, torch.Tensor], description: dict) -> None:
    """Write weights with `description` (`architecture`, `image_size`, `training` and the run) in
    the header, so that the file can be loaded alone.
    """
    with atomic_write(path) as (part,):
        save_file(weights, part, metadata={"description": json.dumps(description, sort_keys=True)})


def load(path, device: torch.device) -> Clip:
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["description"])
        model = CLIP(**config(description["architecture"], description["image_size"]))
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (safe_open is no dict)
    normalisation = description["training"].get("normalisation", "half")
    return Clip(
        model.to(device).eval(),
        tokenizer(description["architecture"]),
        description["image_size"],
        normalisation,
    )


@cache
def _scale_and_shift(normalisation: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = (
        torch.tensor(own, dtype=torch.float64)[:, None, None] for own in STATISTICS[normalisation]
    )
    return (255 * std).float().to(device), (mean / std).float().to(
        device
    )  # of 0.5 and 0.5: 127.5 and 1


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
    """What the model reads of images, uint8 (N, C, H, W): normalised (N, 3, H, W), as in training."""
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


def templates(chosen: list[str] | str) -> list[str]:
    """Texts with `{name}` in them: those of a study, or for `openai_imagenet` the 80 that open_clip
    brings, which the paper's evaluation uses.
    """
    return (
        list(chosen)
        if not isinstance(chosen, str)
        else [template("{name}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
    )


@torch.inference_mode()
def heads(
    clip: Clip, names: list[str], templates: list[str], batch_size: int = 512
) -> torch.Tensor:
    """A unit vector for each name, (classes, embed_dim): the mean of the unit vectors of its texts,
    one a template.

    templates: with `{name}`. The procedure is that of CLIP's zero-shot evaluation, which the
    paper's evaluation code follows.
    """
    device = clip.model.logit_scale.device
    tokens = clip.tokenize([template.format(name=name) for name in names for template in templates])
    texts = torch.cat(
        [
            clip.model.encode_text(part.to(device), normalize=True).cpu()
            for part in tokens.split(batch_size)
        ]
    )
    return torch.nn.functional.normalize(
        texts.reshape(len(names), len(templates), -1).mean(1), dim=-1
    )


def logits(clip: Clip, features: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
    """(N, classes): cosines of images and heads, times the learned scale."""
    return clip.scale * features @ heads.T


def from_released(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict]:
    """Weights and description, as `save` takes them, of a released checkpoint of the paper's
    authors: a state dict of open_clip's CLIP.

    Its shapes tell the architecture; heads are 64 wide, as in every CLIP. Normalisation and
    QuickGELU are those of the authors' evaluation code. Raises ValueError where it is no such state
    dict.
    """
    weights = {
        name.removeprefix("module."): own.float().contiguous() for name, own in state.items()
    }
    try:
        _, _, patch, _ = weights["visual.conv1.weight"].shape
        context, text_width = weights["positional_embedding"].shape
        places, width = weights["visual.positional_embedding"].shape
        vocabulary, embed = (
            weights["token_embedding.weight"].shape[0],
            weights["text_projection"].shape[1],
        )
    except KeyError as error:
        raise ValueError(
            f"no weight {error} in it: not a CLIP model of open_clip with a ViT"
        ) from None
    layers = [
        {name.split(".")[place] for name in weights if name.startswith(start)}
        for start, place in (("visual.transformer.", 3), ("transformer.", 2))
    ]
    architecture = {
        "embed_dim": embed,
        "patch_size": patch,
        "width": width,
        "depth": len(layers[0]),
        "heads": width // 64,
    }
    architecture |= {
        "text_width": text_width,
        "text_depth": len(layers[1]),
        "text_heads": text_width // 64,
        "context_length": context,
    }
    size = patch * round((places - 1) ** 0.5)
    with torch.device("meta"):
        expected = CLIP(**config(architecture, size)).state_dict()
    wrong = [
        name
        for name in {**expected, **weights}
        if name not in weights
        or name not in expected
        or weights[name].shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} weights are not those of a CLIP model with {vocabulary} tokens, the first: {', '.join(sorted(wrong)[:3])}"
        )
    return weights, {
        "architecture": architecture,
        "image_size": size,
        "training": {"normalisation": "openai"},
    }
