"""Keys of a study that a plan changes.

The first key is the study: `--config override="{imagenet.generators.stable_diffusion.steps: 25}"`.
Keys are joined by dots or nested: `{imagenet: {generators: {stable_diffusion: {steps: 25}}}}`. Keys
that are numbers with a point have to be nested. The changed study is checked as a file is.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from synscale.study.checks.messages import shorten
from synscale.study.load import StudyError, load_study, read_yaml, validate
from synscale.study.models import Study

NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?")
FIX = (
    "write it as {study.key.key: value}, "
    "such as override='{imagenet.generators.stable_diffusion.steps: 25}'"
)


def read(override: dict | str | None, folder: str | Path = "studies") -> dict[str, dict]:
    """Return the changes of each study.

    Parameters
    ----------
    override : dict, str or None
        Value in the configuration, or text of the command line.
    folder : str or Path
        Folder of the study files.

    Raises
    ------
    StudyError
        If the override is not a mapping of studies to changes.
    """
    try:
        content = yaml.safe_load(override) if isinstance(override, str) else override
        if not isinstance(content or {}, dict):
            raise StudyError(f"override = {shorten(override)}: not a mapping; {FIX}")
        changes = _nest(content or {})
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise StudyError(f"override = {shorten(override)}: {problem}; {FIX}") from None
    known = sorted(path.stem for path in Path(folder).glob("*.yaml"))
    for name, keys in changes.items():
        if name not in known:
            raise StudyError(
                f"override: {name} = {shorten(keys)}: the first key must be a study, "
                f"one of {', '.join(known) or 'none'}; {FIX}"
            )
        if not isinstance(keys, dict):
            raise StudyError(f"override: {name} = {shorten(keys)}: no key of the study; {FIX}")
    return changes


def _nest(keys: dict) -> dict:
    """Return keys joined by dots as nested mappings."""
    nested: dict = {}
    for key, value in keys.items():
        names = [key] if NUMBER.fullmatch(str(key)) else str(key).split(".")
        branch = _parse(value)
        for name in reversed(names):
            branch = {yaml.safe_load(str(name)): branch}
        nested = merge(nested, branch)
    return nested


def _parse(value: Any) -> Any:
    """Return a value of a nested --config, which Snakemake passes on as text."""
    if isinstance(value, dict):
        return _nest(value)
    if isinstance(value, list):
        return [_parse(item) for item in value]
    return yaml.safe_load(value) if isinstance(value, str) else value


def merge(old: Any, new: Any) -> Any:
    """Return `old` with the keys in `new`; values that are not mappings are replaced.

    Parameters
    ----------
    old, new : object
        Nested values of a study.
    """
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: merge(old.get(key), value) for key, value in new.items()}


def load(path: str | Path, changes: dict[str, dict]) -> Study:
    """Return the study of a file, with its changes.

    Parameters
    ----------
    path : str or Path
        Study file.
    changes : dict of str to dict
        Changes of each study, by its name.

    Raises
    ------
    StudyError
        With all errors of the file, or else of the changed study.
    """
    study = load_study(path)
    keys = changes.get(Path(path).stem)
    if not keys:
        return study
    changed = validate(merge(read_yaml(path), keys), f"override of {path}")
    return changed.named(study.name)


def text(override: dict | None) -> str:
    """Return an override as one line that `read` accepts; `{}` for none."""
    style = {"default_flow_style": True, "width": 1_000_000, "sort_keys": False}
    return yaml.safe_dump(override or {}, **style).strip()
