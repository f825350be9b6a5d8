"""Files of the user's texts: one split of one configuration. Needs the standard library only."""

import json
from pathlib import Path

from synscale.runtime import file_names

ALL = "all"  # name for every split together
TABLES = (".parquet", ".arrow")


class TextFilesError(ValueError):
    """A folder whose files are not the texts of one split; the message says what to do."""


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
        known = _read(folder / "dataset_dict.json", "splits")
        if not known:
            raise TextFilesError(
                f"{folder}/dataset_dict.json names no split; save the data set again"
            )
        chosen = known if split == ALL else [_chosen(folder, known, split)]
        return [path for name in chosen for path in _saved(folder / name)]
    if (folder / "state.json").is_file():
        if split is not None:
            raise TextFilesError(f"{folder}: a saved data set without splits; remove the key split")
        return _saved(folder)
    relative = [path.relative_to(folder) for path in sorted(folder.rglob("*"))]
    relative = [path for path in relative if not file_names.is_clutter(path)]
    if saved := [
        str(path.parent) for path in relative if path.name in ("dataset_dict.json", "state.json")
    ]:
        raise TextFilesError(
            f"{folder}: saved data sets are in its folders ({', '.join(saved)}); name one of them"
        )
    tables = [
        path for path in relative if path.suffix in TABLES and not path.name.startswith("cache-")
    ]
    if odd := [path for path in tables if not file_names.is_utf8(str(path))]:
        raise TextFilesError(f"{folder}: the name {str(odd[0])!a} is not UTF-8; rename the file")
    if not tables:
        raise TextFilesError(
            f"{folder}: no parquet or arrow file in it; name the folder that holds them"
        )
    configurations = sorted(
        {
            "/".join(part for part in path.parent.parts if not file_names.split_of(part))
            for path in tables
        }
    )
    if len(configurations) > 1:
        names = ", ".join(name or "files outside folders" for name in configurations)
        raise TextFilesError(f"{folder}: several configurations ({names}); name the folder of one")
    groups = file_names.splits(tables)
    known = [name for name in groups if name is not None]
    if split == ALL or (split is None and len(groups) == 1):
        return [folder / path for path in tables]
    return [
        folder / path
        for path in groups[_chosen(folder, known or ["none"], split, others=None in groups)]
    ]


def _chosen(folder: Path, known: list[str], split: str | None, others: bool = False) -> str:
    """Name of the split to read. others: whether there are files that name no split."""
    names = ", ".join([*known, *["files without one"] * (others and known != ["none"])])
    if split is None and (len(known) > 1 or others):
        raise TextFilesError(
            f"{folder}: several splits ({names}); choose one with the key split, or {ALL}"
        )
    if split is not None and split not in known:
        raise TextFilesError(f"{folder}: no split {split!r} (found {names})")
    return split or known[0]


def _saved(folder: Path) -> list[Path]:
    """Files of a data set that `save_to_disk` wrote, as its state names them."""
    state = folder / "state.json"
    if not state.is_file():
        raise TextFilesError(f"{folder}: no state.json in it; save the data set again")
    if _read(state, "_indices_data_files", []):
        fix = "call flatten_indices() on the data set and save it again"
        raise TextFilesError(f"{state}: selects rows of its files; {fix}")
    names = [file["filename"] for file in _read(state, "_data_files")]
    if not names:
        raise TextFilesError(f"{state} names no file; save the data set again")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise TextFilesError(
            f"{state} names {', '.join(missing)}, which is not there; save the data set again"
        )
    return [folder / name for name in names]


def _read(path: Path, key: str, default=None):
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get(key, default)
    except (ValueError, AttributeError) as error:
        raise TextFilesError(
            f"{path}: not a JSON object ({error}); save the data set again"
        ) from None
    if found is None:
        raise TextFilesError(f"{path}: no {key} in it; save the data set again")
    return found
