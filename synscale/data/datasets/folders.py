"""Images in a folder for each class, as ImageNet is unpacked."""

import difflib
import os
from collections import Counter
from pathlib import Path

from synscale.data.datasets import class_names
from synscale.data.datasets.registry import IMAGES, DataSet, Found, shown
from synscale.runtime.file_names import is_clutter, is_utf8, nfc, split_of
from synscale.study import class_table

ENDINGS = tuple(f".{extension}" for extension in IMAGES)


def is_image(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not is_clutter(name)


def listed(data: DataSet) -> tuple[dict[str, list[str]], Found]:
    """Folder -> files of its images, both sorted, and what is there; nothing is opened."""
    with os.scandir(data.place) as entries:
        top = sorted(
            (entry for entry in entries if not is_clutter(entry.name)), key=lambda entry: entry.name
        )
    folders, other, found = {}, 0, Found("class folders")
    for entry in top:
        if entry.is_dir():
            files = [name for name in os.listdir(entry.path) if not is_clutter(name)]
            folders[entry.name] = sorted(filter(is_image, files))
            other += len(files) - len(folders[entry.name])
    loose = sum(is_image(entry.name) for entry in top)
    if loose:
        mend = (
            "sort them into one folder a class"
            if not folders
            else "move them into the folder of their class, or away"
        )
        found.faults.append(
            f"{loose} images lie in {data.place} itself, so that their class is not known: {mend}"
        )
    if other:
        found.notes.append(
            f"{other} other files in the class folders, which are no images by their names and are left out"
        )
    ids, faults = class_ids(data, list(folders))
    found.faults += faults
    empty = [data.place / name for name in sorted(ids) if not folders[name]]
    if empty:
        deeper = any(path.is_dir() for path in empty[0].iterdir())
        found.faults.append(
            f"{shown(empty)}: no image in it"
            + ", but folders: move the images up into the folder of their class" * deeper
        )
    odd = [
        ascii(f"{name}/{file}")
        for name, files in folders.items()
        for file in files
        if not file.isascii() and not is_utf8(file)
    ]
    if odd:
        found.faults.append(
            f"{len(odd)} files have names that are not UTF-8: {shown(odd)}: rename them"
        )
    found.classes = Counter(
        {ids[name]: len(files) for name, files in folders.items() if name in ids and files}
    )
    return {name: folders[name] for name in sorted(ids, key=lambda name: ids[name])}, found


def class_ids(data: DataSet, folders: list[str]) -> tuple[dict[str, int], list[str]]:
    """Folder -> class id, by the column of the class table that names most of them, and faults."""
    column, _ = class_table.match(folders, data.classes)
    named: dict[str, list[int]] = {}
    if column == "class_id":
        named = {
            str(number): [class_id]
            for number, class_id in enumerate(class_names.class_ids(data, data.place))
        }
    else:
        for i, row in enumerate(data.classes):
            named.setdefault(nfc(row[column]), []).append(i)
    expected = set(data.expected)
    missing = sorted(
        name
        for name, ids in named.items()
        if expected & set(ids) and name not in set(map(nfc, folders))
    )
    unknown = [name for name in folders if nfc(name) not in named]
    faults = []
    if folders and len(unknown) == len(folders) and all(map(split_of, folders)):
        fix = f"give the path of one, such as {data.place}/{folders[0]}"
        return {}, [f"{', '.join(folders)} are folders of splits: {fix}"]
    for name, count in Counter(map(nfc, folders)).items():
        if count > 1:
            same = ", ".join(ascii(folder) for folder in folders if nfc(folder) == name)
            faults.append(f"folders {same} have the same name: move the images into one")
    if unknown:
        told = [
            name
            + "".join(
                f" (did you mean {close}?)"
                for close in difflib.get_close_matches(name, missing, n=1)
            )
            for name in unknown
        ]
        faults.append(
            f"{len(unknown)} folders are no {column} of {data.table}: {shown(told)}: rename them, or move them away"
        )
    if missing:
        faults.append(f"{len(missing)} class folders are missing: {shown(missing)}")
    found = {name: named[nfc(name)] for name in folders if nfc(name) in named}
    for name, ids in found.items():
        if len(ids) > 1:
            fix = "name the folders by class id or WordNet id"
            faults.append(f"folder {name!r} is the {column} of classes {ids}: {fix}")
    return {name: ids[0] for name, ids in found.items()}, faults


def survey(data: DataSet) -> Found:
    return listed(data)[1]


def index(data: DataSet, threads: int):
    """Rows of every image, class by class, and what is there. See datasets.index."""
    import pandas as pd

    folders, found = listed(data)
    ids, _ = class_ids(data, list(folders))
    rows = [
        (ids[name], f"{name}/{file}", None, None, None)
        for name, files in folders.items()
        for file in files
    ]
    return pd.DataFrame(rows, columns=["class_id", "origin", "tar", "offset", "size"]).astype(
        {"class_id": int}
    ), found


def reader(data: DataSet):
    """A function from a row of the index to the bytes of its image."""
    return lambda row: Path(data.place, row["origin"]).read_bytes()
