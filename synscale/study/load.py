"""Reading a study file: every fault in it at once, each with file, key, value and mend."""

import difflib
import inspect
import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Annotated, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from synscale.study.checks import clip, data, figures, generators, recipes, sources
from synscale.study.checks.sources import short
from synscale.study.csv_tables import TableError
from synscale.study.models import Study
from synscale.study.models.base import NAME

MARK = re.compile(r"\[key\]$|literal\[|function-")  # of pydantic, in the location of an error


class StudyError(ValueError):
    """One or more faults of a study file; the message has a line for each."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets the later of two equal keys win in silence: of two sources with one name, one would
    be lost.
    """

    def construct_mapping(self, node, deep=False):
        seen = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # told by the loader itself
            if key in seen:
                line = key_node.start_mark.line + 1
                raise StudyError(
                    f"{key_node.start_mark.name}: line {line}: key {key!r} stands twice (first on line {seen[key]}): rename or remove one"
                )
            seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


@cache
def load_study(path: str | Path) -> Study:
    """Read and check the study file at `path`.

    Raises StudyError, with every fault found, where the file is missing, is not YAML, or does not
    hold a sound study.
    """
    return validate(read_yaml(path), str(path)).named(Path(path).stem)


def read_yaml(path: str | Path) -> dict:
    """Its content, of which nothing is known yet. Raises StudyError where the file is missing, is
    not YAML or holds no mapping.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise StudyError(f"{path}: no such study file; studies here: {known}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise StudyError(
            f"{path}: a study's name stands in paths: rename the file to small letters, digits and _"
        )
    try:
        with path.open(encoding="utf-8") as file:
            found = yaml.load(file, _UniqueKeyLoader)  # noqa: S506  (it is a SafeLoader)
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from None
    if not isinstance(found, dict):
        raise StudyError(
            f"{path}: holds {type(found).__name__}, not a mapping of keys: start from studies/digits.yaml"
        )
    return found


def validate(raw: dict, where: str) -> Study:
    """The study of these keys. Raises StudyError with a line for each fault, `where` before each."""
    parts, faults = {}, []
    for key in raw.keys() - Study.model_fields.keys():
        faults.append(f"{key} = {short(raw[key])}: unknown key; {_mend_unknown(str(key), Study)}")
    for key, field in Study.model_fields.items():
        if key not in raw and not field.is_required():
            parts[key] = field.default
            continue
        faults += _yes_for_a_number(key, raw.get(key))
        if key not in raw:
            faults.append(f"{key}: missing; {_mend_missing(key, [Study])}")
            continue
        try:
            parts[key] = TypeAdapter(Annotated[(field.annotation, field)]).validate_python(raw[key])
        except ValidationError as error:
            faults += [_fault(key, e) for e in error.errors()]
    modules = sources, clip, data, generators, recipes, figures
    for check in (check for module in modules for check in module.CHECKS):
        needs = inspect.signature(check).parameters
        if all(name in parts for name in needs):
            try:
                faults += check(**{name: parts[name] for name in needs})
            except TableError as error:  # of a table of data/ that a check reads
                faults.append(str(error))
    if faults:
        raise StudyError("\n".join(f"{where}: {fault}" for fault in dict.fromkeys(faults)))
    return Study.model_construct(**parts)


@cache
def _switches(annotation=Study) -> frozenset[str]:
    """Keys that are true or false, of a model or of those that an annotation is made of."""
    fields = [
        (name, field.annotation)
        for model in _models_in(annotation)
        for name, field in model.model_fields.items()
    ]
    return frozenset(name for name, own in fields if own is bool).union(
        *(_switches(own) for _, own in fields)
    )


def _yes_for_a_number(key: str, value) -> list[str]:
    """Pydantic reads true as 1: `mixup: true` would be an alpha of 1."""
    if isinstance(value, bool):
        return (
            []
            if key.rpartition(".")[2] in _switches()
            else [f"{key} = {value}: input should not be true or false, which yes and no are too"]
        )
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [fault for name, own in inside for fault in _yes_for_a_number(f"{key}.{name}", own)]


def _mend_unknown(key: str, model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(key, model.model_fields, n=1)
    return (
        f"did you mean {close[0]!r}?"
        if close
        else f"remove it, or use one of: {', '.join(model.model_fields)}"
    )


def _mend_missing(key: str, models: list[type[BaseModel]]) -> str:
    """models: those that the key may be of."""
    described = (
        model.model_fields[key].description for model in models if key in model.model_fields
    )
    return f"add it ({next(filter(None, described), 'see studies/digits.yaml')})"


def _models_in(annotation) -> list[type[BaseModel]]:
    """The models that an annotation such as `dict[Name, A | B]` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _place(top: str, location: tuple) -> tuple[str, list[type[BaseModel]]]:
    """An error's location as the key that a user wrote, and the models that may stand there.

    Pydantic puts the `kind` that told a union's members apart into the location, and marks of its
    own; no such key is in the file. What a user names, such as a recipe, may be called as its kind,
    so that only the annotation tells the two apart.
    """
    key, here = [top], Study.model_fields[top].annotation
    for step in location:
        if isinstance(step, str) and MARK.match(step):
            continue
        while get_origin(here) is Annotated:
            here = get_args(here)[0]
        named, models = get_origin(here) in (dict, list), _models_in(here)
        kinds = [
            m
            for m in models
            if not named and len(models) > 1 and step in get_args(m.model_fields["kind"].annotation)
        ]
        if kinds:
            here = kinds[0]
            continue
        key.append(str(step))
        here = (
            get_args(here)[-1]
            if named
            else next(
                (m.model_fields[step].annotation for m in models if step in m.model_fields), here
            )
        )
    return ".".join(key), _models_in(here)


def _fault(top: str, error: dict) -> str:
    key, _ = _place(top, error["loc"])
    if error["type"] == "extra_forbidden":
        _, models = _place(top, error["loc"][:-1])
        if removed := getattr(models[0], "removed", {}).get(error["loc"][-1]):
            return f"{key} = {short(error['input'])}: removed: {removed}"
        return f"{key} = {short(error['input'])}: unknown key; {_mend_unknown(str(error['loc'][-1]), models[0])}"
    if error["type"] == "union_tag_invalid":
        return f"{key}.kind = {short(error['input']['kind'])}: input should be {error['ctx']['expected_tags']}"
    if error["type"] == "union_tag_not_found":
        return f"{key}.kind: missing; add it"
    if error["type"] == "missing":
        _, models = _place(top, error["loc"][:-1])
        return f"{key}: missing; {_mend_missing(str(error['loc'][-1]), models)}"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME:
        return f"{key} = {short(error['input'])}: a name stands in paths: rename it to small letters, digits and _, a letter first"
    return f"{key} = {short(error['input'])}: {error['msg'][0].lower() + error['msg'][1:]}"
