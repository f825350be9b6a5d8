"""A few texts of every prompt recipe: those of its first images, not picked."""

from pathlib import Path

import pandas as pd

from synscale.report import tables
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings.tables import prompts_settings

TEXT = (
    "The prompts of the first images of each recipe, without selection. The images of a class use "
    "its texts in turn, and start again after the last text."
)


def examples(pool: pd.DataFrame, classes: pd.Series, each: int) -> pd.DataFrame:
    """Return the texts of the first `each` images of a source.

    Its images take the classes in turn, then the texts.

    Parameters
    ----------
    pool : DataFrame
        class_id, text_id, text.
    classes : Series
        Name by class_id.
    each : int

    Returns
    -------
    DataFrame
        class, text, and texts: their number in the pool of that class.
    """
    pool = pool.assign(texts=pool.groupby("class_id")["text_id"].transform("size"))
    pool["class"] = pool["class_id"].map(classes)
    return pool.sort_values(["text_id", "class_id"]).head(each)[["class", "text", "texts"]]


def main(arguments: list[str] | None = None) -> None:
    """Write the table of prompts."""
    parser = tables.arguments(__doc__, "prompts")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    args, settings = cli.parse(parser, arguments, prompts_settings)
    names = class_table.read(args.classes).set_index("class_id")["name"]
    pools = {Path(path).stem: pd.read_parquet(path) for path in args.prompts}
    pools = {recipe: pools[recipe] for recipe in settings.recipes}
    parts = {recipe: examples(pool, names, settings.each) for recipe, pool in pools.items()}
    tidy = pd.concat(parts, names=["recipe"]).reset_index(level="recipe")
    tidy = tidy[["recipe", "class", "texts", "text"]]
    by_class = {recipe: pool.groupby("class_id").size() for recipe, pool in pools.items()}
    counts = {recipe: tables.sizes(sizes) for recipe, sizes in by_class.items()}
    texts = tidy[["recipe", "class", "text"]].copy()
    texts.insert(1, "texts of a class", tidy["recipe"].map(counts))
    texts.loc[texts["recipe"].duplicated(), ["recipe", "texts of a class"]] = ""
    tables.write(tidy, ["# Prompt recipes", TEXT, tables.markdown(texts)], args.output)


if __name__ == "__main__":
    main()
