"""Captions of one shard of the real training images, by a BLIP-2, in their order."""

import json

from synscale.runtime.torch_setup import deterministic

import pandas as pd

from synscale.data import shards
from synscale.models import language_models
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.study.models.rounding import without_rounding_only
from synscale.training import checkpoint
from synscale.workflow.settings.prompts import prompt_settings


def caption(
    settings: dict,
    tar: str,
    captioner: language_models.Captioner,
    state: checkpoint.TrainingCheckpoint,
    made: language_models.Made,
) -> pd.DataFrame:
    """key, class_id and caption of every image. made: rows of the first images, which `state` has
    kept of an earlier try.

    Raises TextError where a caption is empty.
    """
    done = state.load()
    for images, rows in shards.batches(tar, settings["batch_size"], done):
        for key, class_id, text in zip(
            rows["key"], rows["class_id"], captioner.captions(settings, images), strict=True
        ):
            if not text:
                raise language_models.TextError(
                    f"recipe {settings['recipe']!r}: the caption of image {key!r}, class {class_id}, is empty: min_tokens = 1 or a prompt may give one"
                )
            made.rows.append([key, int(class_id), text])
        done += len(images)
        state.save_if_due(done)
        print(f"{done} images: {made.rows[-1][2]}", flush=True)
    return pd.DataFrame(made.rows, columns=["key", "class_id", "caption"])


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "recipe")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--images", required=True, help="tar of the shard")
    parser.add_argument("--output", required=True, help="parquet: key, class_id, caption")
    parser.add_argument(
        "--state", required=True, help="folder of what is made so far, kept until the job is done"
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, prompt_settings)

    device, made = deterministic(args.threads), language_models.Made()
    identity = json.dumps(
        [
            without_rounding_only(settings),
            shards.identity([args.images]),
            language_models.identity(args.model),
        ],
        sort_keys=True,
    )
    state = checkpoint.TrainingCheckpoint(args.state, identity, {"made": made})
    try:
        table = caption(
            settings, args.images, language_models.Captioner(args.model, device), state, made
        )
    except language_models.TextError as error:
        raise SystemExit(str(error)) from None
    with atomic_write(args.output) as (part,):
        table.to_parquet(part, index=False)
    checkpoint.discard(args.state)


if __name__ == "__main__":
    main()
