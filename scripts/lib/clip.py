"""CLIP models of open_clip: their architecture, their file format, and what they say of images, zero-shot."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import scripts.lib.torch_setup  # noqa: F401

import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer, default_bpe
from safetensors import safe_open
from safetensors.torch import save_file

from scripts.lib.files import whole


def tokenizer(architecture: dict) -> SimpleTokenizer:
    """CLIP's tokenizer. `merges`, where the architecture names it: only the first so many of its 48,894 byte pairs, the most frequent.

    All of them make a table of 49,408 rows, which a model of a few captions never reads but AdamW goes through in every iteration.
    """
    kept = architecture.get("merges")
    if kept is None:
        return SimpleTokenizer(context_length=architecture["context_length"])
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).split(b"\n")[: kept + 1]  # the first line is a comment
    return SimpleTokenizer(io.BytesIO(gzip.compress(b"\n".join(lines))), context_length=architecture["context_length"])


def config(architecture: dict, image_size: int) -> dict:
    """The model in open_clip's terms. Always 3 channels, as its transforms turn every image into RGB. QuickGELU as the paper's CLIP."""
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

    @property
    def scale(self) -> torch.Tensor:
        """What cosines are multiplied with: learned, and at most 100 (the trainer holds it there)."""
        return self.model.logit_scale.detach().exp().cpu()


def save(path, weights: dict[str, torch.Tensor], description: dict) -> None:
    """Write weights with `description` (`architecture`, `image_size` and the run) in the header, so that the file can be loaded alone."""
    with whole(path) as (part,):
        save_file(weights, part, metadata={"description": json.dumps(description, sort_keys=True)})


def load(path, device: torch.device) -> Clip:
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["description"])
        model = CLIP(**config(description["architecture"], description["image_size"]))
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (safe_open is no dict)
    return Clip(model.to(device).eval(), tokenizer(description["architecture"]))


@torch.inference_mode()
def image_features(clip: Clip, images: torch.Tensor, batch_size: int = 512) -> torch.Tensor:
    """Unit vectors (N, embed_dim) of normalised images (N, C, H, W); grey ones become RGB, as in training."""
    device = clip.model.logit_scale.device
    parts = images.expand(-1, 3, -1, -1).split(batch_size)
    return torch.cat([clip.model.encode_image(part.to(device), normalize=True).cpu() for part in parts])


@torch.inference_mode()
def heads(clip: Clip, names: list[str], templates: list[str], batch_size: int = 512) -> torch.Tensor:
    """A unit vector for each name, (classes, embed_dim): the mean of the unit vectors of its texts, one a template.

    templates: with `{name}`. The procedure is that of CLIP's zero-shot evaluation, which the paper's evaluation code follows.
    """
    device = clip.model.logit_scale.device
    tokens = clip.tokenize([template.format(name=name) for name in names for template in templates])
    texts = torch.cat([clip.model.encode_text(part.to(device), normalize=True).cpu() for part in tokens.split(batch_size)])
    return torch.nn.functional.normalize(texts.reshape(len(names), len(templates), -1).mean(1), dim=-1)


def logits(clip: Clip, features: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
    """(N, classes): cosines of images and heads, times the learned scale."""
    return clip.scale * features @ heads.T
