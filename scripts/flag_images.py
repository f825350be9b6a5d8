"""Flag the images of one shard that a safety checker takes for not safe for work. A record beside
the images: it changes none and no training reads it.

The checker is the one that Stable Diffusion is published with (diffusers:
StableDiffusionSafetyChecker): an image is flagged where its CLIP embedding is nearer to one of 17
concepts than that concept's threshold, which falls by 0.01 where it is near to one of three more.
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import (
    StableDiffusionSafetyChecker,
    cosine_distance,
)
from PIL import Image
from transformers import CLIPImageProcessor

from synscale.data import shards
from synscale.models import checksums
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.workflow.settings.generation import flag_settings


class Checker:
    """The safety checker of a fetched folder. Raises WeightsError where a file of it has changed."""

    def __init__(self, folder: str, settings: dict, device: torch.device):
        files = [
            str(path.relative_to(folder)) for path in sorted(Path(folder).rglob("*.safetensors"))
        ]
        checksums.as_fetched(folder, checksums.hashes(folder, files))
        self.processor = CLIPImageProcessor.from_pretrained(
            Path(folder) / "feature_extractor", local_files_only=True
        )
        kind = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
        variant = (
            settings["variant"]
            if any(f".{settings['variant']}." in file for file in files)
            else None
        )
        self.model = (
            StableDiffusionSafetyChecker.from_pretrained(
                Path(folder) / "safety_checker", variant=variant, **kind
            )
            .to(device)
            .eval()
        )

    @torch.inference_mode()
    def scores(self, pictures: list[Image.Image]) -> torch.Tensor:
        """(N,) cosine to the concept that it most exceeds its threshold for, less that threshold:
        above 0 is flagged.

        Rounded to three digits, as the checker's own answer is; that answer comes with images
        blacked out, and without scores.
        """
        given = self.processor(images=pictures, return_tensors="pt")["pixel_values"].to(
            self.model.device
        )
        seen = self.model.visual_projection(self.model.vision_model(given)[1])
        special = (
            cosine_distance(seen, self.model.special_care_embeds)
            - self.model.special_care_embeds_weights
        )
        concepts = (
            cosine_distance(seen, self.model.concept_embeds) - self.model.concept_embeds_weights
        )
        near = 0.01 * (special.round(decimals=3) > 0).any(1, keepdim=True)
        return (concepts + near).round(decimals=3).amax(1).cpu()


def picture(pixels: np.ndarray) -> Image.Image:
    """An RGB image of uint8 pixels (C, H, W)."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).convert(
        "RGB"
    )


def flags(tar: str, checker: Checker, batch_size: int) -> pd.DataFrame:
    """key, nsfw and concept_score of every image of a shard."""
    rows = []
    for images, own in shards.batches(tar, batch_size):
        rows += zip(
            own["key"], checker.scores([picture(pixels) for pixels in images]).tolist(), strict=True
        )
    table = pd.DataFrame(rows, columns=["key", "concept_score"])
    table.insert(1, "nsfw", table["concept_score"] > 0)
    return table


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "source")
    parser.add_argument("--images", required=True, help="tar of a shard")
    parser.add_argument("--checker", required=True, help="folder of the safety checker")
    parser.add_argument("--output", required=True, help="parquet: key, nsfw, concept_score")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, flag_settings)

    device = deterministic(args.threads)
    try:
        checker = Checker(args.checker, settings["checker"], device)
    except checksums.WeightsError as error:
        raise SystemExit(str(error)) from None
    table = flags(args.images, checker, settings["batch_size"])
    with atomic_write(args.output) as (part,):
        table.to_parquet(part, index=False)
    print(f"{table['nsfw'].sum()} of {len(table)} images are flagged")


if __name__ == "__main__":
    main()
