"""Write the texts of one prompt recipe, a pool for each class."""

import pandas as pd

from synscale.data import shard_index, shards
from synscale.prompts import recipes, user_prompts
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.study import class_table
from synscale.workflow.settings.prompts import PromptSettings, prompt_settings


def known_texts(settings: PromptSettings, paths: list[str], classes: pd.DataFrame) -> pd.DataFrame:
    """Read the texts that do not come from the class table."""
    if settings.recipe.kind == "texts":
        return user_prompts.read(settings, paths, classes)
    if settings.recipe.kind in ("captions", "alt_texts"):
        paths = map(shards.manifest_path, shard_index.tars(paths))
    return pd.concat([pd.DataFrame({"class_id": []}), *map(pd.read_parquet, paths)])


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "recipe")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    help = "shard indexes of real images, captions, sentences, or the user's texts"
    parser.add_argument("--known", nargs="*", default=[], help=help)
    parser.add_argument("--output", required=True, help="parquet: class_id, text_id, text")
    args, settings = cli.parse(parser, arguments, prompt_settings)

    classes = class_table.read(args.classes)
    try:
        known = known_texts(settings, args.known, classes)
    except user_prompts.TextsError as error:
        raise SystemExit(str(error)) from None
    with atomic_write(args.output) as (part,):
        recipes.pool(settings, classes, known).to_parquet(part, index=False)


if __name__ == "__main__":
    main()
