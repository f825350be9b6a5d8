"""JSON schemas of a study file in words."""

import re
from collections.abc import Iterator
from typing import Any

from synscale.study.models.base import COMMIT, NAME

Schema = dict[str, Any]

WORDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "null",
}
PATTERNS = {NAME: "name", COMMIT: "commit (40 hex digits)"}
PLURAL = re.compile(r"^(text|name|integer|number)\b")
LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def heading(model: str) -> str:
    """Return the heading of a model: `GeneratorTraining` is "Generator training"."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", model).capitalize()
    return words.replace("Clip", "CLIP")


def options(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, or the schema itself if it has none."""
    choices = schema.get("anyOf") or schema.get("oneOf") or []
    return [each for choice in choices for each in options(choice)] or [schema]


def model_name(schema: Schema) -> str | None:
    """Return the name of the model that a schema refers to."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def entries(schema: Schema) -> Schema | None:
    """Return the schema of the entries of a list or map; None for others."""
    if "items" in schema:
        return schema["items"]
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return values[0] if isinstance(values[0], dict) else None


def model_names(schema: Schema) -> Iterator[str]:
    """Yield the names of the models in a field: it is one of them, a list or a map of them."""
    for option in options(schema):
        name = model_name(option)
        if name:
            yield name
        elif inner := entries(option):
            yield from model_names(inner)


def either(texts: list[str]) -> str:
    """Join alternatives: "a, b or c"."""
    *others, last = dict.fromkeys(texts)
    return f"{', '.join(others)} or {last}" if others else last


def in_words(schema: Schema, anchors: dict[str, str]) -> str:
    """Return the type of a field.

    Parameters
    ----------
    schema : dict
        JSON schema of the field. `null` is left out if it is the default.
    anchors : dict of str to str
        Anchor of each model on the page.
    """
    choices = options(schema)
    if schema.get("default", "") is None:
        choices = [choice for choice in choices if choice.get("type") != "null"]
    return either([_one(choice, anchors) for choice in choices])


def _one(schema: Schema, anchors: dict[str, str]) -> str:
    if name := model_name(schema):
        return f"[{heading(name)}](#{anchors[name]})" if name in anchors else "`{}`"
    if "const" in schema or "enum" in schema:
        return either([f"`{value}`" for value in schema.get("enum", [schema.get("const")])])
    if parts := schema.get("prefixItems"):
        return f"list of {len(parts)}: " + ", ".join(in_words(part, anchors) for part in parts)
    inner = entries(schema)
    if inner is None:
        return _simple(schema)
    plural = PLURAL.sub(r"\1s", in_words(inner, anchors))
    if schema["type"] == "array":
        return f"list of {plural}"
    return f"map from names to {plural}" if "patternProperties" in schema else f"map to {plural}"


def _simple(schema: Schema) -> str:
    word = PATTERNS.get(schema.get("pattern", ""), WORDS[schema["type"]])
    limits = [f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema]
    return f"{word} {' and '.join(limits)}".strip()
