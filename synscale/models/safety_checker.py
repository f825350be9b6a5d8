"""The safety checker that Stable Diffusion is published with, as scores of images.

Diffusers' StableDiffusionSafetyChecker flags an image if its CLIP embedding is nearer to one of 17
concepts than that concept's threshold, which is 0.01 lower if the image is near to one of three
more concepts.
"""

from pathlib import Path

import pandas as pd
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import (
    StableDiffusionSafetyChecker,
    cosine_distance,
)
from PIL import Image
from transformers import CLIPImageProcessor

from synscale.data import shards
from synscale.data.codec import as_rgb
from synscale.models import checksums


class Checker:
    """The safety checker of a fetched folder.

    Parameters
    ----------
    folder : str
    variant : str or None
        Variant of the weights, which is used if the folder has it.
    device : torch.device

    Raises
    ------
    WeightsError
        If a file has changed since it was fetched.
    """

    def __init__(self, folder: str, variant: str | None, device: torch.device):
        paths = sorted(Path(folder).rglob("*.safetensors"))
        files = [str(path.relative_to(folder)) for path in paths]
        checksums.check_fetched(folder, checksums.hashes(folder, files))
        self.processor = CLIPImageProcessor.from_pretrained(
            Path(folder) / "feature_extractor", local_files_only=True
        )
        has_variant = any(f".{variant}." in file for file in files)
        model = StableDiffusionSafetyChecker.from_pretrained(
            Path(folder) / "safety_checker",
            variant=variant if has_variant else None,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
        )
        self.model = model.to(device).eval()

    @torch.inference_mode()
    def scores(self, images: list[Image.Image]) -> torch.Tensor:
        """Return the largest difference of a cosine to a concept and its threshold, (N,).

        An image is flagged if it is above 0. The numbers are rounded to three digits, as in the
        checker's forward pass, which blacks images out and returns no scores.
        """
        model = self.model
        pixels = self.processor(images=images, return_tensors="pt")["pixel_values"]
        embeddings = model.visual_projection(model.vision_model(pixels.to(model.device))[1])
        special = cosine_distance(embeddings, model.special_care_embeds)
        special = special - model.special_care_embeds_weights
        concepts = cosine_distance(embeddings, model.concept_embeds) - model.concept_embeds_weights
        lowered = 0.01 * (special.round(decimals=3) > 0).any(1, keepdim=True)
        return (concepts + lowered).round(decimals=3).amax(1).cpu()


def flags(tar: str, checker: Checker, batch_size: int) -> pd.DataFrame:
    """Return key, nsfw and concept_score of every image of a shard.

    Parameters
    ----------
    tar : str
        The shard.
    checker : Checker
    batch_size : int
        Images that are checked at a time.
    """
    rows: list[tuple[str, float]] = []
    for images, manifest in shards.batches(tar, batch_size):
        scores = checker.scores([as_rgb(pixels) for pixels in images]).tolist()
        rows += zip(manifest["key"], scores, strict=True)
    table = pd.DataFrame(rows, columns=["key", "concept_score"])
    table.insert(1, "nsfw", table["concept_score"] > 0)
    return table
