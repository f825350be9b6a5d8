"""The texts of one prompt recipe, a pool for each class."""

import pandas as pd

from synscale.data import shard_index, shards
from synscale.prompts import recipes, user_prompts
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.study import class_table
from synscale.workflow.settings.prompts import prompt_settings


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "recipe")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument(
        "--known",
        nargs="*",
        default=[],
        help="lists of shards of real training images, captions or sentences; or the user's own texts",
    )
    parser.add_argument("--output", required=True, help="parquet: class_id, text_id, text")
    args, settings = cli.parse(parser, arguments, prompt_settings)

    classes = class_table.read(args.classes)
    if settings["kind"] == "texts":
        try:
            known = user_prompts.read(settings, args.known, classes)
        except user_prompts.TextsError as error:
            raise SystemExit(str(error)) from None
    else:
        files = (
            map(shards.manifest_path, shard_index.tars(args.known))
            if settings["kind"] in ("captions", "alt_texts")
            else args.known
        )
        known = pd.concat([pd.DataFrame({"class_id": []}), *map(pd.read_parquet, files)])
    with atomic_write(args.output) as (part,):
        recipes.pool(settings, classes, known).to_parquet(part, index=False)


if __name__ == "__main__":
    main()
