"""Read a study file and report all of its errors at once, each with file, key, value and fix."""

import inspect
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from synscale.study import automatic
from synscale.study.checks import figures
from synscale.study.checks.messages import shorten, suggest
from synscale.study.checks.registry import CHECKS
from synscale.study.csv_tables import TableError
from synscale.study.models import Study
from synscale.study.models.base import COMMIT, NAME

MARK = re.compile(r"\[key\]$|literal\[|function-")  # parts of a location that pydantic adds
# Former keys of a study and their present names.
RENAMED = {
    "images_per_block": "images_per_shard",
    "scales_per_block": "guidance_per_shard",
    "largest_batch": "micro_batch_size",
    "clips": "clip",
    "released": "author_checkpoints",
    "much": "min_difference",
}
# Former values of `kind` and their present names.
RENAMED_KINDS = {"released": "pretrained"}
PATTERNS = {
    NAME: "a name is part of paths; use small letters, digits and _, with a letter first",
    COMMIT: "not a commit (branches and tags move); give its 40 hex digits",
}


class StudyError(ValueError):
    """Errors of a study file; the message has a line for each."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """Loader that refuses equal keys, of which YAML would silently use the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Raise StudyError if a key is there twice."""
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # the loader itself reports it
            line = key_node.start_mark.line + 1
            if key in lines:
                raise StudyError(
                    f"{key_node.start_mark.name}: line {line}: duplicate key {key!r} "
                    f"(first on line {lines[key]}); rename or remove one"
                )
            lines[key] = line
        return super().construct_mapping(node, deep)


@cache
def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        With all errors, if the file is missing, is not YAML, or has an invalid study.
    """
    return validate(read_yaml(path), str(path)).named(Path(path).stem)


def read_yaml(path: str | Path) -> dict:
    """Read the content of a study file without checking its keys.

    Raises
    ------
    StudyError
        If the file is missing, has a name that paths cannot contain, or has no YAML mapping.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise StudyError(f"{path}: no such study file; studies here: {known}")
    if not re.fullmatch(NAME, path.stem):
        fix = "rename the file to small letters, digits and _, with a letter first"
        raise StudyError(f"{path}: the name of a study is part of paths; {fix}")
    try:
        with path.open(encoding="utf-8") as file:
            content = yaml.load(file, _UniqueKeyLoader)  # noqa: S506  (it is a SafeLoader)
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    if not isinstance(content, dict):
        fix = "start from studies/digits.yaml"
        raise StudyError(f"{path}: not a mapping of keys (found {type(content).__name__}); {fix}")
    return content


def validate(raw: dict, where: str) -> Study:
    """Return the study of these keys.

    Parameters
    ----------
    raw : dict
        Content of a study file.
    where : str
        Start of each line of an error message.

    Raises
    ------
    StudyError
        With a line for each error.
    """
    errors = [_unknown_key(str(key), raw[key], Study) for key in raw.keys() - Study.model_fields]
    sections: dict[str, Any] = {}
    errors += _read_sections(raw, Study.model_fields.keys() - automatic.SECTIONS, sections)
    errors += _check(CHECKS, sections)
    shown = {name: automatic.without_auto(raw.get(name)) for name in automatic.SECTIONS}
    for name in automatic.SECTIONS if not errors else ():
        shown[name], unsupported = automatic.fill(name, raw.get(name), sections)
        errors += unsupported
    errors += _read_sections(shown, automatic.SECTIONS, sections)
    errors += _check(figures.CHECKS, sections)
    if errors:
        raise StudyError("\n".join(f"{where}: {error}" for error in dict.fromkeys(errors)))
    return Study.model_construct(**sections)


def _check(checks: list[Callable], sections: dict[str, Any]) -> list[str]:
    """Return the errors that checks find in the valid sections of a study."""
    errors: list[str] = []
    for check in checks:
        needed = inspect.signature(check).parameters
        if all(name in sections for name in needed):
            try:
                errors += check(**{name: sections[name] for name in needed})
            except TableError as error:  # in a table of data/ that a check reads
                errors.append(str(error))
    return errors


def _read_sections(raw: dict, keys: Iterable[str], sections: dict[str, Any]) -> list[str]:
    """Add the valid ones of some top-level sections of a study; return the errors of the others."""
    errors: list[str] = []
    for key in sorted(keys, key=list(Study.model_fields).index):
        field = Study.model_fields[key]
        if key in raw:
            errors += _boolean_errors(key, raw[key])
            try:
                annotation: Any = Annotated[field.annotation, field]
                sections[key] = TypeAdapter(annotation).validate_python(raw[key])
            except ValidationError as error:
                rows = [dict(row) for row in error.errors()]
                errors += [_describe(key, row) for row in rows if not _has_old_key(row)]
        elif field.is_required() and not _old_keys(key) & raw.keys():
            errors.append(_missing_key(key, key, [Study]))
        elif not field.is_required():
            sections[key] = field.default
    return errors


@cache
def _boolean_keys(annotation: Any = Study) -> frozenset[str]:
    """Return the keys of a model, and of all models inside it, that are true or false."""
    names: set[str] = set()
    for model in _models_in(annotation):
        for name, field in model.model_fields.items():
            inner: Any = field.annotation
            names |= {name} if inner is bool else _boolean_keys(inner)
    return frozenset(names)


def _boolean_errors(key: str, value) -> Iterator[str]:
    """Yield an error for each boolean under another key: pydantic would read `mixup: true` as 1."""
    if isinstance(value, bool) and key.rpartition(".")[2] not in _boolean_keys():
        yield f"{key} = {value}: input should not be true or false (also written yes and no)"
    items = value.items() if isinstance(value, dict) else ()
    for name, inner in enumerate(value) if isinstance(value, list) else items:
        yield from _boolean_errors(f"{key}.{name}", inner)


def _unknown_key(key: str, value, model: type[BaseModel]) -> str:
    """Return the message about a key that a model does not have."""
    where, name = f"{key} = {shorten(value)}", key.rpartition(".")[2]
    if RENAMED.get(name) in model.model_fields:
        return f"{key}: renamed to {RENAMED[name]!r}; rename the key"
    if reason := getattr(model, "removed", {}).get(name):
        return f"{where}: removed: {reason}"
    fields = model.model_fields
    fix = suggest(name, fields, f"remove it, or use one of: {', '.join(fields)}")
    return f"{where}: unknown key; {fix}"


def _old_keys(key: str) -> set[str]:
    """Return the former names of a key."""
    return {old for old, new in RENAMED.items() if new == key}


def _has_old_key(error: dict) -> bool:
    """Whether a key is missing only because it still has its former name."""
    return error["type"] == "missing" and bool(_old_keys(error["loc"][-1]) & error["input"].keys())


def _missing_key(key: str, name: str, models: list[type[BaseModel]]) -> str:
    """Return the message about a missing key, with its description in one of the models."""
    rows = [model.model_fields[name] for model in models if name in model.model_fields]
    described = [row.description for row in rows if row.description]
    return f"{key}: missing; add it ({described[0] if described else 'see studies/digits.yaml'})"


def _models_in(annotation) -> list[type[BaseModel]]:
    """Return the models in an annotation such as `dict[Name, A | B]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _locate(section: str, location: tuple) -> tuple[str, list[type[BaseModel]]]:
    """Return the key in the file for the location of an error, and the models of its value.

    Pydantic adds marks to a location, and the `kind` that selected a member of a union; the file
    has no such keys. A user may give a recipe the name of its kind, so only the annotation shows
    which of the two a step is.
    """
    key, annotation = [section], Study.model_fields[section].annotation
    for step in location:
        if isinstance(step, str) and MARK.match(step):
            continue
        while get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        models = _models_in(annotation)
        if get_origin(annotation) in (dict, list):
            key.append(str(step))
            annotation = get_args(annotation)[-1]
            continue
        member = next((m for m in models if len(models) > 1 and _has_kind(m, step)), None)
        if member:
            annotation = member
            continue
        key.append(str(step))
        fields = [m.model_fields[step] for m in models if step in m.model_fields]
        annotation = fields[0].annotation if fields else annotation
    return ".".join(key), _models_in(annotation)


def _has_kind(model: type[BaseModel], kind) -> bool:
    return kind in get_args(model.model_fields["kind"].annotation)


def _describe(section: str, error: dict) -> str:
    """Return the message about an error of pydantic."""
    key, _ = _locate(section, error["loc"])
    _, models = _locate(section, error["loc"][:-1])
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(key, value, models[0])
        case "missing":
            return _missing_key(key, str(error["loc"][-1]), models)
        case "union_tag_not_found":
            return f"{key}.kind: missing; add it"
        case "union_tag_invalid":
            kind, expected = value["kind"], context["expected_tags"]
            nearest = _nearest(kind, expected)
            return f"{key}.kind = {shorten(kind)}: input should be {expected}{nearest}"
        case "inner_key":  # raised by synscale/study/models/starts.py
            return f"{key}.{error['msg']}"
        case "literal_error" if key.endswith(".kind") and str(value) in RENAMED_KINDS:
            return f"{key} = {value!r}: renamed to {RENAMED_KINDS[value]!r}; change the value"
        case "string_pattern_mismatch" if context["pattern"] in PATTERNS:
            return f"{key} = {shorten(value)}: {PATTERNS[context['pattern']]}"
        case _:
            message = error["msg"]
            nearest = _nearest(value, context["expected"]) if "expected" in context else ""
            return f"{key} = {shorten(value)}: {message[0].lower()}{message[1:]}{nearest}"


def _nearest(value, expected: str) -> str:
    """Return a suggestion of the value that is nearest to a wrong one, if one is near."""
    known = re.findall("'([^']+)'", expected)
    nearest = suggest(str(value), known, "")
    return f"; {nearest}" if nearest else ""
