"""Images in a folder for each class, as ImageNet is unpacked."""

import difflib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from synscale.data.datasets import class_names, subset
from synscale.data.datasets.index_table import Index, image_table
from synscale.data.datasets.registry import IMAGES, DataSet, Survey, first_few
from synscale.runtime.file_names import is_clutter, is_utf8, nfc, split_of
from synscale.study import class_table

ENDINGS = tuple(f".{extension}" for extension in IMAGES)


def is_image(name: str) -> bool:
    """Return whether a file is an image, by its name."""
    return name.lower().endswith(ENDINGS) and not is_clutter(name)


def class_files(data: DataSet) -> tuple[dict[str, list[str]], dict[str, int], Survey]:
    """List the images of each class folder; nothing is opened.

    Returns
    -------
    files : dict of str to list of str
        Folder -> files, both sorted, without folders that are no class.
    ids : dict of str to int
        Folder -> class id.
    survey : Survey
    """
    with os.scandir(data.place) as scan:
        entries = [entry for entry in scan if not is_clutter(entry.name)]
    entries.sort(key=lambda entry: entry.name)
    files: dict[str, list[str]] = {}
    survey, others = Survey("class folders"), 0
    for entry in entries:
        if entry.is_dir():
            names = [name for name in os.listdir(entry.path) if not is_clutter(name)]
            files[entry.name] = sorted(filter(is_image, names))
            texts = data.has_prompts and sum(name.endswith(".txt") for name in names)
            others += len(names) - len(files[entry.name]) - texts
    if loose := sum(is_image(entry.name) for entry in entries):
        to_class = "move them into the folder of their class, or away"
        fix = to_class if files else "sort them into one folder per class"
        survey.problems.append(f"images without a class ({loose} in {data.place} itself); {fix}")
    if others:
        survey.notes.append(f"{others} other files in the class folders, which are left out")
    known, problems = class_ids(data, list(files))
    ids = {name: class_id for name, class_id in known.items() if class_id is not None}
    subset.leave_out(survey, data, sum(len(files[name]) for name in known.keys() - ids.keys()))
    survey.problems += problems + _file_problems(data, files, ids)
    counts = {ids[name]: len(images) for name, images in files.items() if name in ids and images}
    survey.classes = Counter(counts)
    return {name: files[name] for name in sorted(ids, key=ids.__getitem__)}, ids, survey


def _file_problems(data: DataSet, files: dict[str, list[str]], ids: dict[str, int]) -> list[str]:
    problems = []
    empty = [data.place / name for name in sorted(ids) if not files[name]]
    if empty:
        deeper = any(path.is_dir() for path in empty[0].iterdir())
        up = ", but folders; move the images up into the folder of their class"
        fix = up if deeper else "; add images"
        problems.append(f"{first_few(empty)}: no image in it{fix}")
    odd = []
    for name, images in files.items():
        odd += [ascii(f"{name}/{file}") for file in images if not is_utf8(file)]
    if odd:
        problems.append(f"{len(odd)} names of files are not UTF-8: {first_few(odd)}; rename them")
    return problems


def _places_by_name(data: DataSet, column: str) -> dict[str, list[int]]:
    """Return the places in `named_classes` of each name that a folder may have."""
    if column == "class_id":
        places = class_names.class_ids(data, data.place)
        return {str(number): [place] for number, place in enumerate(places)}
    places_by_name: dict[str, list[int]] = {}
    for place, row in enumerate(subset.named_classes(data).rows):
        places_by_name.setdefault(nfc(row[column]), []).append(place)
    return places_by_name


def class_ids(data: DataSet, folders: list[str]) -> tuple[dict[str, int | None], list[str]]:
    """Find the class of each folder, by the column of the class table that names most of them.

    Parameters
    ----------
    data : DataSet
    folders : list of str

    Returns
    -------
    ids : dict of str to int or None
        Folder -> class id; None if the study does not have the class.
    problems : list of str
    """
    named = subset.named_classes(data)
    column, _ = class_table.match(folders, named.rows)
    places_by_name = _places_by_name(data, column)
    counts = Counter(map(nfc, folders))
    places = {name: places_by_name[nfc(name)] for name in folders if nfc(name) in places_by_name}
    if folders and not places and all(map(split_of, folders)):
        fix = f"give the path of one, such as {data.place}/{folders[0]}"
        return {}, [f"{', '.join(folders)} are folders of splits; {fix}"]
    problems = []
    for name in [name for name, count in counts.items() if count > 1]:
        same = ", ".join(ascii(folder) for folder in folders if nfc(folder) == name)
        problems.append(f"folders {same} have the same name; move the images into one")
    expected = {i for i, class_id in enumerate(named.study_ids) if class_id in data.expected}
    missing = [name for name in places_by_name if name not in counts]
    missing = sorted(name for name in missing if expected & set(places_by_name[name]))
    if unknown := [_with_suggestion(name, missing) for name in folders if name not in places]:
        problem = f"{len(unknown)} folders are no {column} of {named.table}: {first_few(unknown)}"
        problems.append(f"{problem}; rename them, or move them away")
    if missing:
        names = first_few(missing)
        problems.append(f"{len(missing)} class folders are missing: {names}; add them")
    for name, candidates in places.items():
        if len(candidates) > 1:
            fix = "name the folders by class id or WordNet id"
            problems.append(f"folder {name!r} is the {column} of classes {candidates}; {fix}")
    return {name: named.study_ids[candidates[0]] for name, candidates in places.items()}, problems


def _with_suggestion(name: str, missing: list[str]) -> str:
    close = difflib.get_close_matches(name, missing, n=1)
    return f"{name} (did you mean {close[0]}?)" if close else name


def survey(data: DataSet) -> Survey:
    """Count the images of each class."""
    return class_files(data)[2]


def index(data: DataSet, threads: int) -> Index:
    """Return a row for every image, class by class, and a survey. See `datasets`.

    Parameters
    ----------
    data : DataSet
    threads : int
        Threads that read images.
    """
    files, ids, counts = class_files(data)
    rows: list[tuple] = []
    for name, images in files.items():
        rows += [(ids[name], f"{name}/{file}", None, None, None) for file in images]
    if data.has_prompts:
        texts, problems = _texts(data, [origin for _, origin, *_ in rows])
        counts.problems += problems
        rows = [(*row, text) for row, text in zip(rows, texts, strict=True)]
    return image_table(rows), counts


def _texts(data: DataSet, origins: list[str]) -> tuple[list[str], list[str]]:
    """Return the text of each image, in the file of its name with .txt, and problems."""
    paths = [Path(data.place, origin).with_suffix(".txt") for origin in origins]
    if missing := [path for path in paths if not path.is_file()]:
        problem = f"{len(missing)} images have no text: {first_few(missing)}"
        return [""] * len(origins), [f"{problem}; add these files, or remove the key prompts"]
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in paths], []


def reader(data: DataSet) -> Callable[[dict], bytes]:
    """Return a function from a row of the index to the bytes of its image."""
    return lambda row: Path(data.place, row["origin"]).read_bytes()
