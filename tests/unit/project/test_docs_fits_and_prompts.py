"""The examples of docs/guides/fit_your_table.md and add_prompts.md work as a reader sees them."""

import re
from typing import get_args

import pandas as pd
import yaml
from pydantic import TypeAdapter

from scripts import fit_csv, tabulate_prompts
from synscale.prompts import recipes, user_prompts
from synscale.report import tables
from synscale.study.models.recipes import Recipe, UserPrompts
from synscale.workflow.settings.prompts import PromptSettings
from tests.support.workflow import ROOT

FITS, PROMPTS = (
    (ROOT / f"docs/guides/{name}.md").read_text(encoding="utf-8")
    for name in ("fit_your_table", "add_prompts")
)


def snippets(page: str, language: str) -> list[str]:
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in blocks]


def test_documented_fit_prints_the_documented_output(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(snippets(FITS, "csv")[0])
    fit_csv.main(["data.csv", "--x", "images", "--y", "loss"])
    assert capsys.readouterr().out == snippets(FITS, "text")[0]


def test_documented_options_of_the_fit_exist():
    known = fit_csv.parser().format_help()
    documented = set(re.findall(r"^\| `(--[\w-]+)", FITS, re.MULTILINE))
    assert len(documented) == 5
    assert all(option in known for option in documented)


def test_documented_recipes_are_one_of_each_kind():
    documented = [yaml.safe_load(text)["recipes"] for text in snippets(PROMPTS, "yaml")]
    parsed = [
        TypeAdapter(Recipe).validate_python(value) for part in documented for value in part.values()
    ]
    models = get_args(get_args(Recipe)[0])
    kinds = [kind for model in models for kind in get_args(model.model_fields["kind"].annotation)]
    assert sorted(recipe.kind for recipe in parsed) == sorted(kinds)


def test_documented_prompts_are_those_of_the_table(tmp_path):
    (tmp_path / "mine.csv").write_text(snippets(PROMPTS, "csv")[0])
    classes = pd.DataFrame({"class_id": [0, 1], "name": ["robin", "heron"]})
    settings = PromptSettings("mine", UserPrompts(kind="texts", file="mine.csv"))
    known = user_prompts.read(settings, [str(tmp_path / "mine.csv")], classes)
    pool = recipes.pool(settings, classes, known)
    rows = tabulate_prompts.examples(pool, classes["name"], 3)[["class", "text"]]
    rows.insert(0, "recipe", ["mine", "", ""])
    rows.insert(1, "texts of a class", ["1 to 2", "", ""])
    assert snippets(PROMPTS, "text")[0].strip() == tables.markdown(rows).strip()
