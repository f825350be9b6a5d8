"""Evaluate the classifiers of one batch on every evaluation set: top-1 and cross-entropy, over all images and per class (`lib/tally.py`)."""

from scripts.lib.torch_setup import deterministic

import pandas as pd
import torch

from scripts.lib import classifier, command, jobs, shards
from scripts.lib.files import whole
from scripts.lib.tally import Tally


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--models", required=True, help="folder of the batch")
    parser.add_argument("--sets", required=True, nargs="+", help="tars of the evaluation sets, in the order of settings.evaluation")
    parser.add_argument("--output", required=True, help="parquet, a row for each run, evaluation set and class")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.evaluation_settings)

    device, rows = deterministic(args.threads), []
    models = {run["name"]: classifier.load(f"{args.models}/{run['name']}.safetensors", device) for run in settings["runs"]}
    for name, tar in zip(settings["evaluation"], args.sets, strict=True):
        images, labels = shards.read_source([tar])[None]
        images, labels = classifier.normalise(images), torch.from_numpy(labels)
        for run in settings["runs"]:
            own = {key: run[key] for key in ("source", "guidance", "architecture", "size", "seed")}
            tally = Tally(name, labels.unique() if settings.get("masked") else None)
            tally.add(classifier.outputs(models[run["name"]], images).logits, labels)
            rows += [own | row for row in tally.rows()]
    table = pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"})
    with whole(args.output) as (part,):
        table.to_parquet(part, index=False)


if __name__ == "__main__":
    main()
