"""The texts of one prompt recipe, a pool for each class."""

import pandas as pd

from scripts.lib import command, jobs, own_texts, recipes
from scripts.lib.files import whole


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "recipe")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--known", required=True, nargs="+", help="manifest of the real training images, captions or sentences; or the user's own texts")
    parser.add_argument("--output", required=True, help="parquet: class_id, text_id, text")
    args, settings = command.parse(parser, arguments, jobs.prompt_settings)

    classes = pd.read_csv(args.classes)
    try:
        known = own_texts.read(settings, args.known, classes) if settings["kind"] == "texts" else pd.read_parquet(args.known[0])
    except own_texts.TextsError as error:
        raise SystemExit(str(error)) from None
    with whole(args.output) as (part,):
        recipes.pool(settings, classes, known).to_parquet(part, index=False)


if __name__ == "__main__":
    main()
