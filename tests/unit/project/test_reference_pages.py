"""Generated parts of the reference: they are up to date, complete, and their examples are valid."""

import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from scripts import write_reference
from synscale.report import command_reference
from synscale.study import schema
from synscale.study.models import Figures, Study, Tables
from synscale.study.reference.examples import Examples
from synscale.study.reference.types import in_words
from synscale.workflow import rule_names
from tests.support.workflow import ROOT, STUDIES

PAGES = ROOT / "docs/reference"


@pytest.fixture(autouse=True)
def in_project_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def parts():
    """Generated parts of the pages; the commands are imported once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return write_reference.generated_parts()


def text(page: str) -> str:
    return (PAGES / page).read_text(encoding="utf-8")


def test_generated_parts_are_up_to_date(parts):
    for page, part in parts.items():
        old = "old; run: python -m scripts.write_reference"
        assert write_reference.replaced(text(page), part) == text(page), f"{page} is {old}"


def test_page_without_marks_is_an_error(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(write_reference, "generated_parts", lambda: parts)
    monkeypatch.setattr(write_reference, "PAGES", tmp_path)
    (tmp_path / "study_file.md").write_text(write_reference.BEGIN)
    with pytest.raises(SystemExit, match=r"study_file\.md: no part between .*; add both lines"):
        write_reference.main([])


def test_text_around_the_generated_part_is_kept():
    page = f"before\n{write_reference.BEGIN}old\n{write_reference.END}after\n"
    new = f"before\n{write_reference.BEGIN}\nnew\n\n{write_reference.END}after\n"
    assert write_reference.replaced(page, "new") == new
    assert write_reference.replaced(new, "new") == new


def test_study_sections_are_in_order():
    sections = re.findall(r"^## (\w+)$", text("study_file.md"), re.MULTILINE)
    assert sections == [name for name in Study.model_fields if name in sections]
    assert {"data", "generators", "sources", "classifiers", "figures"} <= set(sections)


def test_every_key_has_a_description():
    content = schema.schema()
    models = {"Study": content} | content["$defs"]
    missing = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, field in model.get("properties", {}).items()
        if not field.get("description") and key != "kind"
    ]
    assert missing == []


def test_examples_are_valid():
    content = schema.schema()
    examples = Examples(content, tuple(map(str, STUDIES.values())))
    assert len(examples.found) > 40
    for model, (_, place, _) in examples.found.items():
        examples.shown.clear()
        value = yaml.safe_load(examples.of(model))
        for key in place:
            value = value[0 if isinstance(key, int) else key]
        model_schema = {"$ref": f"#/$defs/{model}", "$defs": content["$defs"]}
        Draft202012Validator(model_schema).validate(json_keys(value))


def json_keys(value):
    """Return a value of YAML with texts as keys, as in JSON."""
    if isinstance(value, dict):
        return {str(key): json_keys(part) for key, part in value.items()}
    return [json_keys(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", STUDIES.values(), ids=STUDIES)
def test_schema_accepts_the_studies(path):
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    Draft202012Validator(schema.schema()).validate(json_keys(study))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, "integer > 0"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number ≥ 0 and < 1"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, "text"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integers"),
        (
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/RunOf"}},
            "map to [Run of](#r)",
        ),
    ],
)
def test_type_in_words(field, expected):
    assert in_words(field, {"RunOf": "r"}) == expected


@pytest.mark.parametrize(("model", "section"), [(Figures, "figures"), (Tables, "tables")])
def test_every_figure_and_table_is_listed(model, section):
    rows = re.findall(rf"^\| `{section}/{{study}}/(\w+)\.\w+` \|", text("figures.md"), re.MULTILINE)
    assert [row for row in rows if row != "author_checkpoints"] == list(model.model_fields)


def test_every_user_command_is_listed():
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    listed = set(re.findall(r"^## scripts\.(\w+)$", text("command_line.md"), re.MULTILINE))
    assert scripts - rule_names.rules().keys() <= listed
    assert {"plan", "fit_csv", "new_study", "clean", "check_gpu", "calibrate"} <= listed


def test_every_option_has_a_help_text(parts):
    rows = re.MULTILINE
    options = re.findall(r"^\| (`.*`) \| .* \| (.*) \|$", parts["command_line.md"], rows)
    assert len(options) > 30
    assert [option for option, about in options if not about.strip()] == []


def test_commands_in_a_docstring_become_code():
    parts = command_reference.paragraphs(
        "Plan.\n\npython -m scripts.plan\n    --target x\n\nNo job."
    )
    assert parts == ["Plan.", "```text\npython -m scripts.plan\n    --target x\n```", "No job."]
