"""The texts of one prompt recipe, a pool for each class."""

import pandas as pd

from scripts.lib import command, jobs, recipes
from scripts.lib.files import whole


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "recipe")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--real", required=True, help="manifest of the real training images")
    parser.add_argument("--output", required=True, help="parquet: class_id, text_id, text")
    args, settings = command.parse(parser, arguments, jobs.prompt_settings)

    pool = recipes.pool(settings, pd.read_csv(args.classes), pd.read_parquet(args.real))
    with whole(args.output) as (part,):
        pool.to_parquet(part, index=False)


if __name__ == "__main__":
    main()
