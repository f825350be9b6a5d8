"""Keys of a study changed for a plan alone: `--config
override="{imagenet.generators.stable_diffusion.steps: 25}"`.

The study's name comes first. Keys are joined by dots, or nested: `{imagenet: {generators:
{stable_diffusion: {steps: 25}}}}`, which is the way to keys that are numbers with a point. Only
what is named changes, and the whole is checked as a study file is.
"""

import re
from pathlib import Path

import yaml

from synscale.study.checks.sources import short
from synscale.study.load import StudyError, load_study, read_yaml, validate
from synscale.study.models import Study

NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?")
MEND = "write it as {study.key.key: value}, such as override='{imagenet.generators.stable_diffusion.steps: 25}'"


def _value(given):
    """Snakemake hands over every value of a nested --config as text."""
    if isinstance(given, dict):
        return parsed(given)
    if isinstance(given, list):
        return [_value(own) for own in given]
    return yaml.safe_load(given) if isinstance(given, str) else given


def parsed(given: dict) -> dict:
    """Nested, a key each: those that are joined by dots are taken apart."""
    found: dict = {}
    for key, value in given.items():
        names = [key] if NUMBER.fullmatch(str(key)) else str(key).split(".")
        own = _value(value)
        for name in reversed(names):
            own = {yaml.safe_load(str(name)): own}
        found = merged(found, own)
    return found


def merged(old, new):
    """`old` with what `new` names; mappings are merged, anything else takes the other's place."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: merged(old.get(key), value) for key, value in new.items()}


def read(given: dict | str | None, folder: str | Path = "studies") -> dict[str, dict]:
    """Changes by study, from a configuration or a command line. Raises StudyError where they are no
    mapping or of no study.
    """
    try:
        given = yaml.safe_load(given) if isinstance(given, str) else given
        if not isinstance(given or {}, dict):
            raise StudyError(f"override = {short(given)}: {MEND}")
        changes = parsed(given or {})
    except yaml.YAMLError as error:
        raise StudyError(
            f"override = {short(given)}: {' '.join(str(error).split())}: {MEND}"
        ) from None
    known = sorted(path.stem for path in Path(folder).glob("*.yaml"))
    for name, own in changes.items():
        if name not in known:
            raise StudyError(
                f"override: {name} = {short(own)}: the first key is the study, one of {', '.join(known) or 'none'}: {MEND}"
            )
        if not isinstance(own, dict):
            raise StudyError(f"override: {name} = {short(own)}: no key of the study: {MEND}")
    return changes


def load(path: str | Path, changes: dict[str, dict]) -> Study:
    """The study file at `path`, with the changes of that study. Raises StudyError, with every fault
    found, of the file first.
    """
    study, own = load_study(path), changes.get(Path(path).stem)
    if not own:
        return study
    changed = validate(merged(read_yaml(path), own), f"override of {path}")
    return changed.named(study.name)


def text(given: dict | None) -> str:
    """In one line, as `read` takes it; `{}` for none."""
    return yaml.safe_dump(
        given or {}, default_flow_style=True, width=1_000_000, sort_keys=False
    ).strip()
