"""Write the class table of a folder that has one folder per class.

python -m scripts.list_classes FOLDER --output data/birds_classes.csv

Rows are in the order of the folders' names, or of their numbers if all are numbers. The column
`label` is the folder's name, by which its images find their class; `name`, for prompts, is the same
with spaces for underscores. Edit names that mean nothing to a text-to-image model (n01440764).
"""

import argparse
import csv
from pathlib import Path

from synscale.runtime.atomic import atomic_write
from synscale.runtime.file_names import is_clutter, is_utf8, nfc, split_of

COLUMNS = ("class_id", "name", "label")


def classes(folder: Path) -> list[str]:
    """Return the names of the class folders in the order of their class ids.

    Raises
    ------
    ValueError
        If there are none, if they are splits, or if a name is not UTF-8.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give the folder that has one folder per class")
    names = [path.name for path in folder.iterdir() if path.is_dir() and not is_clutter(path.name)]
    if not names:
        raise ValueError(f"{folder}: no folder in it (expected one per class); give another folder")
    if all(map(split_of, names)):
        found = ", ".join(sorted(names))
        raise ValueError(f"{folder}: its folders are splits ({found}); give the path of one")
    if odd := [ascii(name) for name in names if not is_utf8(name)]:
        raise ValueError(f"{folder}: names that are not UTF-8 ({', '.join(odd[:5])}); rename them")
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, nfc(name)))


def rows(labels: list[str]) -> list[tuple[int, str, str]]:
    """Return class id, name and label of each class."""
    names = [nfc(" ".join(label.replace("_", " ").split())) or label for label in labels]
    return [(number, *row) for number, row in enumerate(zip(names, map(nfc, labels), strict=True))]


def main(arguments: list[str] | None = None) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("folder", type=Path, help="folder that has one folder per class")
    parser.add_argument("--output", required=True, type=Path, help="CSV to write; must not exist")
    args = parser.parse_args(arguments)
    if args.output.exists():
        raise SystemExit(f"{args.output}: exists already; remove it, or give another --output")
    try:
        table = rows(classes(args.folder))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.output) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *table])
    first = ", ".join(name for _, name, _ in table[:5])
    print(f"{len(table)} classes in {args.output}; the first: {first}")


if __name__ == "__main__":
    main()
