"""Sentences about each class name, by a T5: `texts` different ones of every class."""

import json
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import pandas as pd

from synscale.models import language_models
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.study import class_table
from synscale.study.models.rounding import without_rounding_only
from synscale.training import checkpoint
from synscale.workflow.settings.prompts import prompt_settings


def write(
    settings: dict,
    classes: pd.DataFrame,
    writer: language_models.Writer,
    state: checkpoint.TrainingCheckpoint,
    made: language_models.Made,
) -> pd.DataFrame:
    """class_id and text of every sentence. made: rows of the first classes, which `state` has kept
    of an earlier try.
    """
    for done in range(state.load(), len(classes)):
        row = classes.iloc[done]
        class_id = int(row["class_id"])
        made.rows += [
            [class_id, text] for text in writer.sentences(settings, class_id, row["name"])
        ]
        state.save_if_due(done + 1)
        print(f"class {done + 1}/{len(classes)}: {row['name']}", flush=True)
    return pd.DataFrame(made.rows, columns=["class_id", "text"])


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "recipe")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--output", required=True, help="parquet: class_id, text")
    parser.add_argument(
        "--state", required=True, help="folder of what is made so far, kept until the job is done"
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, prompt_settings)

    device = deterministic(args.threads)
    classes, made = class_table.read(args.classes), language_models.Made()
    identity = json.dumps(
        [
            without_rounding_only(settings),
            classes["name"].tolist(),
            language_models.identity(args.model),
        ],
        sort_keys=True,
    )
    state = checkpoint.TrainingCheckpoint(args.state, identity, {"made": made})
    try:
        table = write(settings, classes, language_models.Writer(args.model, device), state, made)
    except language_models.TextError as error:
        raise SystemExit(str(error)) from None
    with atomic_write(Path(args.output)) as (part,):
        table.to_parquet(part, index=False)
    checkpoint.discard(args.state)


if __name__ == "__main__":
    main()
