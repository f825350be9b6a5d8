"""Images in a folder for each class, as ImageNet is unpacked."""

import difflib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from synscale.data.datasets import class_names
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
    ids, problems = class_ids(data, list(files))
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


def _ids_by_name(data: DataSet, column: str) -> dict[str, list[int]]:
    """Return the class ids of each name that a folder may have."""
    if column == "class_id":
        ids = class_names.class_ids(data, data.place)
        return {str(number): [class_id] for number, class_id in enumerate(ids)}
    ids_by_name: dict[str, list[int]] = {}
    for class_id, row in enumerate(data.classes):
        ids_by_name.setdefault(nfc(row[column]), []).append(class_id)
    return ids_by_name


def class_ids(data: DataSet, folders: list[str]) -> tuple[dict[str, int], list[str]]:
    """Find the class of each folder, by the column of the class table that names most of them.

    Parameters
    ----------
    data : DataSet
    folders : list of str

    Returns
    -------
    ids : dict of str to int
        Folder -> class id.
    problems : list of str
    """
    column, _ = class_table.match(folders, data.classes)
    ids_by_name = _ids_by_name(data, column)
    counts = Counter(map(nfc, folders))
    ids = {name: ids_by_name[nfc(name)] for name in folders if nfc(name) in ids_by_name}
    if folders and not ids and all(map(split_of, folders)):
        fix = f"give the path of one, such as {data.place}/{folders[0]}"
        return {}, [f"{', '.join(folders)} are folders of splits; {fix}"]
    problems = []
    for name in [name for name, count in counts.items() if count > 1]:
        same = ", ".join(ascii(folder) for folder in folders if nfc(folder) == name)
        problems.append(f"folders {same} have the same name; move the images into one")
    expected = set(data.expected)
    missing = [name for name in ids_by_name if name not in counts]
    missing = sorted(name for name in missing if expected & set(ids_by_name[name]))
    if unknown := [_with_suggestion(name, missing) for name in folders if name not in ids]:
        problem = f"{len(unknown)} folders are no {column} of {data.table}: {first_few(unknown)}"
        problems.append(f"{problem}; rename them, or move them away")
    if missing:
        names = first_few(missing)
        problems.append(f"{len(missing)} class folders are missing: {names}; add them")
    for name, candidates in ids.items():
        if len(candidates) > 1:
            fix = "name the folders by class id or WordNet id"
            problems.append(f"folder {name!r} is the {column} of classes {candidates}; {fix}")
    return {name: candidates[0] for name, candidates in ids.items()}, problems


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
