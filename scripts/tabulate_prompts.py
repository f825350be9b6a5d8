"""A few texts of every prompt recipe: those of its first images, not picked."""

from pathlib import Path

import pandas as pd

from synscale.report import tables
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings import tables as table_settings


def examples(pool: pd.DataFrame, classes: pd.Series, each: int) -> pd.DataFrame:
    """The texts of the first `each` images of a source: its images go through the classes, then
    through the texts.

    pool: class_id, text_id, text. classes: name by class_id. Columns class, text, texts (in the
    pool of that class).
    """
    pool = pool.assign(
        texts=pool.groupby("class_id")["text_id"].transform("size"),
        **{"class": pool["class_id"].map(classes)},
    )
    return pool.sort_values(["text_id", "class_id"]).head(each)[["class", "text", "texts"]]


def main(arguments: list[str] | None = None) -> None:
    parser = tables.arguments(__doc__, "prompts")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    args, settings = cli.parse(parser, arguments, table_settings.prompts_settings)

    names = class_table.read(args.classes).set_index("class_id")["name"]
    pools = {Path(path).stem: pd.read_parquet(path) for path in args.prompts}
    tidy = pd.concat(
        examples(pools[recipe], names, settings["each"]).assign(recipe=recipe)
        for recipe in settings["recipes"]
    )
    tidy = tidy[["recipe", "class", "texts", "text"]]
    counts = {
        recipe: tables.sizes(pools[recipe].groupby("class_id").size())
        for recipe in settings["recipes"]
    }
    read = pd.DataFrame(
        {
            "recipe": tidy["recipe"],
            "texts of a class": tidy["recipe"].map(counts),
            "class": tidy["class"],
            "text": tidy["text"],
        }
    )
    read.loc[read["recipe"].duplicated(), ["recipe", "texts of a class"]] = ""
    said = "The prompts of the first images that each recipe makes, not picked. An image takes the next text of its class; after the last, the first again."
    tables.write(tidy, ["# Prompt recipes", said, tables.markdown(read)], args.output)


if __name__ == "__main__":
    main()
