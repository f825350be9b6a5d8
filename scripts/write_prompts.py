"""The texts of one prompt recipe, a pool for each class."""

import argparse
import json

import pandas as pd

from scripts.lib import recipes
from scripts.lib.files import whole


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--real", required=True, help="manifest of the real training images")
    parser.add_argument("--output", required=True, help="parquet: class_id, text_id, text")
    args = parser.parse_args(arguments)

    pool = recipes.pool(args.settings, pd.read_csv(args.classes), pd.read_parquet(args.real))
    with whole(args.output) as (part,):
        pool.to_parquet(part, index=False)


if __name__ == "__main__":
    main()
