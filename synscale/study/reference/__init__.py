"""Sections of docs/reference/study_file.md: every key of a study file, from its models."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from synscale.study.reference import types
from synscale.study.reference.examples import Examples
from synscale.study.reference.types import Schema, heading, model_names
from synscale.study.schema import schema

STUDIES = ("studies/digits.yaml", "studies/imagenet.yaml")  # studies of the examples
MARKS = {
    "rounding_only": "Rounding only.",
    "display_only": "Display only.",
    "sampling_only": "Sampling only.",
}


def description(field: Schema) -> str:
    """Return what a key means, with its marks."""
    text = field.get("description", "selects this table" if "const" in field else "")
    marks = [f"*{mark}*" for name, mark in MARKS.items() if field.get(name)]
    return " ".join([f"{text}." if marks else text, *marks])


def default(field: Schema, required: bool) -> str:
    """Return the default of a key, as it would be in a study file.

    Parameters
    ----------
    field : Schema
        Schema of the key.
    required : bool
        Whether the key is required.
    """
    value = field.get("default")
    if required:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, dict) and value:
        value = {key: part for key, part in value.items() if part is not None}
        if not value:  # figures and tables that follow from the experiments
            return "automatic"
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False)
    return f"`{text.splitlines()[0]}`"


@dataclass(frozen=True)
class Page:
    """Models of a schema with their places on the page.

    Parameters
    ----------
    definitions : dict of str to dict
        JSON schema of each model.
    anchors : dict of str to str
        Anchor of each model: a section of the study, or a heading.
    examples : Examples
    """

    definitions: dict[str, Schema]
    anchors: dict[str, str]
    examples: Examples

    def table(self, model: Schema) -> str:
        """Return the keys of a model as a table."""
        rows = ["| key | type | default | description |", "|---|---|---|---|"]
        fields = model["properties"]
        for key in sorted(fields, key="kind".__ne__):  # `kind` first, the others in their order
            field = fields[key]
            is_conditional = key in model.get("then", {}).get("required", ())
            required = key in model.get("required", ())
            row = [
                f"`{key}`",
                types.in_words(field, self.anchors),
                "required without `start`" if is_conditional else default(field, required),
                description(field),
            ]
            rows.append(f"| {' | '.join(row)} |")
        return "\n".join(rows)

    def model(self, name: str) -> list[str]:
        """Return the paragraphs of a model."""
        model = self.definitions[name]
        parts = [model["description"], self.table(model)]
        example = self.examples.of(name)
        return [*parts, f"```yaml\n{example}```"] if example else parts

    def section(self, name: str, field: Schema, headings: list[str]) -> list[str]:
        """Return the paragraphs of a section of the study, with a heading for each nested model.

        Parameters
        ----------
        name : str
            Key of the section.
        field : Schema
            Schema of the section.
        headings : list of str
            Nested models that have a heading.
        """
        parts = [f"## {name}"]
        models = list(model_names(field))
        if self.anchors[models[0]] == name:
            parts += self.model(models[0])
        else:
            text = f"{description(field)}: {types.in_words(field, self.anchors)}."
            parts.append(text[0].upper() + text[1:])
        for model in headings:
            parts += [f"### {heading(model)}", *self.model(model)]
        return parts


def nested_models(definitions: dict[str, Schema], schema: Schema) -> Iterator[str]:
    """Yield the models in a field, each before those in its own fields.

    Parameters
    ----------
    definitions : dict of str to Schema
        Schema of each model, by name.
    schema : Schema
        Schema of the field.
    """
    for name in model_names(schema):
        if fields := definitions[name].get("properties"):
            yield name
            for field in fields.values():
                yield from nested_models(definitions, field)


def content() -> str:
    """Return the sections as Markdown."""
    study = schema()
    definitions = study["$defs"]
    sections = {name: f for name, f in study["properties"].items() if list(model_names(f))}
    anchors: dict[str, str] = {}
    headings: dict[str, list[str]] = {name: [] for name in sections}
    for name, field in sections.items():
        single = len(list(model_names(field))) == 1
        for place, model in enumerate(nested_models(definitions, field)):
            if model not in anchors:
                is_section = single and place == 0
                anchors[model] = name if is_section else heading(model).lower().replace(" ", "-")
                headings[name] += [] if is_section else [model]
    page = Page(definitions, anchors, Examples(study, STUDIES))
    parts = ["## Top level", page.table(study)]
    for name, field in sections.items():
        parts += page.section(name, field, headings[name])
    return "\n\n".join(parts)
