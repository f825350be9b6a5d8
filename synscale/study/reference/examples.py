"""Examples of the models of a study file, from studies of the project."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from synscale.study.reference.types import Schema, entries, model_name, options

Place = tuple[str | int, ...]


class Examples:
    """First occurrence of each model in some studies. Each is shown once."""

    def __init__(self, schema: Schema, studies: tuple[str, ...]):
        self.definitions: dict[str, Schema] = schema["$defs"]
        self.found: dict[str, tuple[str, Place, Any]] = {}
        self.shown: set[str] = set()
        for path in studies:
            study = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            for key, field in schema["properties"].items():
                for model, place, value in self._models(field, study.get(key), (key,)):
                    self.found.setdefault(model, (path, place, value))

    def of(self, model: str) -> str | None:
        """Return an example as YAML, None if no study has one or if it was shown within another."""
        if model not in self.found or model in self.shown:
            return None
        path, place, value = self.found[model]
        value = self._shortened({"$ref": f"#/$defs/{model}"}, value)
        for key in reversed(place):
            value = [value] if isinstance(key, int) else {key: value}
        text = yaml.safe_dump(
            value, default_flow_style=None, sort_keys=False, width=100, allow_unicode=True
        )
        return f"# {path}\n{text}"

    def _model_of(self, schema: Schema, value: Any) -> str | None:
        """Return the name of the model that describes a value."""
        names = (model_name(option) for option in options(schema))
        return next((name for name in names if name and self._describes(name, value)), None)

    def _describes(self, model: str, value: Any) -> bool:
        fields = self.definitions[model].get("properties", {})
        if not isinstance(value, dict) or not value.keys() <= fields.keys():
            return False
        if not value.keys() >= set(self.definitions[model].get("required", ())):
            return False
        kind = fields.get("kind", {})
        allowed = kind.get("enum", [kind.get("const")])
        return "kind" not in value or value["kind"] in allowed

    def _parts(self, schema: Schema, value: Any) -> Iterator[tuple[str | int, Schema, Any]]:
        """Yield key, schema and value of everything in a value."""
        if model := self._model_of(schema, value):
            fields = self.definitions[model].get("properties", {})
            yield from ((key, fields[key], part) for key, part in value.items())
            return
        kind = "object" if isinstance(value, dict) else "array"
        for option in options(schema):
            inner = entries(option)
            if inner and option.get("type") == kind and isinstance(value, (dict, list)):
                pairs = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((key, inner, part) for key, part in pairs)
                return

    def _models(self, schema: Schema, value: Any, place: Place) -> Iterator[tuple[str, Place, Any]]:
        """Yield each model in a value with its place in the study."""
        if model := self._model_of(schema, value):
            yield model, place, value
        for key, inner, part in self._parts(schema, value):
            yield from self._models(inner, part, (*place, key))

    def _shortened(self, schema: Schema, value: Any) -> Any:
        """Return a value in which lists and maps have one entry of each model."""
        model = self._model_of(schema, value)
        self.shown |= {model} if model else set()
        fewest = max(option.get("minItems", 0) for option in options(schema))
        parts: dict[str | int, Any] = {}
        models: set[str] = set()
        for key, inner, part in self._parts(schema, value):
            entry = self._model_of(inner, part)
            if model or entry is None or entry not in models or len(parts) < fewest:
                parts[key] = self._shortened(inner, part)
            models |= {entry} if entry else set()
        if not parts:
            return value
        return list(parts.values()) if isinstance(value, list) else parts
