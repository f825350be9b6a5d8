"""Evaluate the classifiers of one batch on every evaluation set: top-1 and cross-entropy, over all images and per class (`lib/tally.py`).

Protocol of the authors' code: the centre of each image, mean = std = 0.5, 32-bit floats. Images are stored as the first half of it leaves them
(shorter side to 256 pixels, centre square). Each is decoded once, for all classifiers.
"""

from pathlib import Path

from scripts.lib.torch_setup import deterministic

import pandas as pd
import torch

from scripts.lib import classifier, command, jobs, stream
from scripts.lib.files import whole
from scripts.lib.metrics import RUN
from scripts.lib.tally import Tally

BATCH = 512


def judge(models: list[torch.nn.Module], evaluation: str, images: stream.Images, masked: bool, device: torch.device, workers: int = 0) -> list[list[dict]]:
    """Rows of each model on a set. masked: classes that the set lacks are no answers (`lib/tally.py`). One batch of images is held at a time."""
    held = images.class_ids.unique().tolist() if masked else None
    tallies = [Tally(evaluation, len(images), held) for _ in models]
    for batch in stream.ordered(images, stream.at_once(BATCH, device), workers=workers):
        pixels, inputs = batch.images.to(device), {}  # by size: prepared once for all models that read the same
        for model, tally in zip(models, tallies, strict=True):
            size = model.patch_embed.img_size
            if size not in inputs:
                inputs[size] = classifier.inputs(model, pixels)
            tally.add(classifier.outputs(model, inputs[size]).logits, batch.class_ids)
    return [tally.rows() for tally in tallies]


def evaluate(settings: dict, folder: Path, tars: list[str], device: torch.device, workers: int = 0) -> pd.DataFrame:
    """The table of metrics. settings: jobs.evaluation_settings; folder: of the models; tars: of the sets, in the order of settings."""
    models, rows = [classifier.load(folder / f"{run['name']}.safetensors", device) for run in settings["runs"]], []
    for name, tar in zip(settings["evaluation"], tars, strict=True):
        found = judge(models, name, stream.find([tar]), settings.get("masked", False), device, workers)
        rows += [{key: run[key] for key in RUN} | row for run, own in zip(settings["runs"], found, strict=True) for row in own]
    return pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"})


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--models", required=True, help="folder of the batch")
    parser.add_argument("--sets", required=True, nargs="+", help="tars of the evaluation sets, in the order of settings.evaluation")
    parser.add_argument("--output", required=True, help="parquet, a row for each run, evaluation set and class")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.evaluation_settings)
    table = evaluate(settings, Path(args.models), args.sets, deterministic(args.threads), args.threads - 1)
    with whole(args.output) as (part,):
        table.to_parquet(part, index=False)


if __name__ == "__main__":
    main()
