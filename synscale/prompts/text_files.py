"""Files of the user's texts: one split of one configuration. Needs the standard library only."""

import json
from pathlib import Path

from synscale.runtime import file_names

ALL = "all"  # name for every split together
TABLES = (".parquet", ".arrow")
SAVED = ("dataset_dict.json", "state.json")  # files of a data set that `save_to_disk` wrote
SAVE_AGAIN = "save the data set again"


class TextFilesError(ValueError):
    """A folder whose files are not the texts of one split."""


def files(recipe) -> list[str]:
    """List the files of a recipe of kind `texts`, in the order in which they are read.

    A folder that Hugging Face `datasets` saved (`dataset_dict.json`, `state.json`) gives the files
    that it names, any other folder its parquet and arrow files.

    Raises
    ------
    TextFilesError
        If there are none, the split is not there, or several splits would be pooled.
    """
    if recipe.file is not None:
        return [recipe.file]
    return [str(path) for path in _of_folder(Path(recipe.dataset), recipe.split)]


def _of_folder(folder: Path, split: str | None) -> list[Path]:
    if (folder / "dataset_dict.json").is_file():
        names = _read(folder / "dataset_dict.json", "splits")
        if not names:
            raise TextFilesError(f"{folder}/dataset_dict.json names no split; {SAVE_AGAIN}")
        if split != ALL:
            names = [_selected(folder, names, split)]
        paths = []
        for name in names:
            paths += _saved(folder / name)
        return paths
    if (folder / "state.json").is_file():
        if split is not None:
            raise TextFilesError(f"{folder}: a saved data set without splits; remove the key split")
        return _saved(folder)
    tables = _tables(folder)
    groups = file_names.splits(tables)
    if split != ALL and (split is not None or len(groups) > 1):
        names = [name for name in groups if name is not None] or ["none"]
        tables = groups[_selected(folder, names, split, others=None in groups)]
    return [folder / path for path in tables]


def _tables(folder: Path) -> list[Path]:
    """Return relative paths of the tables of one configuration."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*"))]
    paths = [path for path in paths if not file_names.is_clutter(path)]
    if saved := [str(path.parent) for path in paths if path.name in SAVED]:
        problem = f"saved data sets are in its folders ({', '.join(saved)})"
        raise TextFilesError(f"{folder}: {problem}; name one of them")
    paths = [path for path in paths if path.suffix in TABLES]
    tables = [path for path in paths if not path.name.startswith("cache-")]
    if odd := [path for path in tables if not file_names.is_utf8(str(path))]:
        raise TextFilesError(f"{folder}: the name {str(odd[0])!a} is not UTF-8; rename the file")
    if not tables:
        fix = "name the folder that holds them"
        raise TextFilesError(f"{folder}: no parquet or arrow file in it; {fix}")
    configurations = sorted({_configuration(path) for path in tables})
    if len(configurations) > 1:
        names = ", ".join(name or "files outside folders" for name in configurations)
        raise TextFilesError(f"{folder}: several configurations ({names}); name the folder of one")
    return tables


def _configuration(path: Path) -> str:
    return "/".join(part for part in path.parent.parts if not file_names.split_of(part))


def _selected(folder: Path, known: list[str], split: str | None, others: bool = False) -> str:
    """Return the name of the split to read; `others`: there are files that name no split."""
    names = ", ".join([*known, *["files without one"] * (others and known != ["none"])])
    if split is None and (len(known) > 1 or others):
        fix = f"select one with the key split, or {ALL}"
        raise TextFilesError(f"{folder}: several splits ({names}); {fix}")
    if split is not None and split not in known:
        raise TextFilesError(f"{folder}: no split {split!r} (found {names}); name one of them")
    return split or known[0]


def _saved(folder: Path) -> list[Path]:
    """Return the files of a data set that `save_to_disk` wrote, as its state names them."""
    state = folder / "state.json"
    if not state.is_file():
        raise TextFilesError(f"{folder}: no state.json in it; {SAVE_AGAIN}")
    if _read(state, "_indices_data_files", []):
        fix = "call flatten_indices() on the data set and save it again"
        raise TextFilesError(f"{state}: selects rows of its files; {fix}")
    names = [file["filename"] for file in _read(state, "_data_files")]
    if not names:
        raise TextFilesError(f"{state} names no file; {SAVE_AGAIN}")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise TextFilesError(f"{state} names missing files ({', '.join(missing)}); {SAVE_AGAIN}")
    return [folder / name for name in names]


def _read(path: Path, key: str, default=None):
    try:
        value = json.loads(path.read_text(encoding="utf-8")).get(key, default)
    except (ValueError, AttributeError) as error:
        raise TextFilesError(f"{path}: not a JSON object ({error}); {SAVE_AGAIN}") from None
    if value is None:
        raise TextFilesError(f"{path}: no {key} in it; {SAVE_AGAIN}")
    return value
