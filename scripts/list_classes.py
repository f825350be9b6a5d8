"""Write the class table of a folder that has one folder per class.

python -m scripts.list_classes FOLDER --output data/birds_classes.csv

Rows are in the order of the folders' names, or of their numbers if all are numbers. The column
`label` is the folder's name, by which its images find their class; `name`, for prompts, is the same
with spaces for underscores. Edit names that mean nothing to a text-to-image model (n01440764), and
fill in `description` and `hypernyms` if your recipes need them.
"""

import argparse
from pathlib import Path

import pandas as pd

from synscale.data.datasets import class_names
from synscale.runtime.atomic import atomic_write
from synscale.study.class_table import TEXTS

COLUMNS = ["class_id", "name", "label"]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("folder", type=Path, help="folder that has one folder per class")
    options.add_argument("--output", required=True, type=Path, help="CSV to write; must not exist")
    return options


def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    if args.output.exists():
        raise SystemExit(f"{args.output}: exists already; remove it, or give another --output")
    try:
        labels = class_names.class_folders(args.folder)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    table = class_names.class_rows(labels)
    with atomic_write(args.output) as (part,):
        frame = pd.DataFrame(table, columns=COLUMNS)
        frame.assign(**dict.fromkeys(TEXTS, "")).to_csv(part, index=False)
    first = ", ".join(name for _, name, _ in table[:5])
    print(f"{len(table)} classes in {args.output}; the first: {first}")


if __name__ == "__main__":
    main()
