"""What the documents tell users to write into a study is what a study may hold."""

import re

import pytest
import yaml

from scripts.lib import weights
from scripts.lib.study_file import load
from tests.support.workflow import ROOT, SMOKE

DOCUMENT = ROOT / "docs/add_a_generator.md"
SNIPPETS = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: re.search(r"model: \S*?([\w.-]+)[,\s]", snippet)[1])
def test_each_snippet_fits_a_study(snippet, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = yaml.safe_load(SMOKE.read_text())
    parts = yaml.safe_load(snippet.replace("<commit>", "'" + "0" * 40 + "'"))
    assert parts
    for key, part in parts.items():
        study[key] = (study[key] | part) if key in study else part
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    held = load(path)
    assert all(name in held.generators for name in parts.get("generators", {}))


def released(part) -> set[tuple[str, str]]:
    """Model and commit of everything in a snippet that others released, where it is pinned."""
    found = {(part["model"], part["revision"])} if "revision" in part and part["revision"] != "<commit>" else set()
    return found.union(*(released(own) for own in part.values() if isinstance(own, dict)))


def test_every_commit_that_the_document_names_is_that_of_a_known_source():
    known = {(row["id"], row["revision"]) for row in weights.rows(ROOT / "data/sources.csv")}
    pinned = set().union(*(released(yaml.safe_load(snippet)) for snippet in SNIPPETS))
    assert len(pinned) == 4
    assert pinned <= known
