"""What a release needs."""

import re
import subprocess

import pytest
import yaml

import synscale
from scripts import release_check
from tests.support.workflow import ROOT

CITATION = {"version": "1.2.3", "date-released": "2030-01-02"}
CHANGELOG = "# Changes\n\n## 1.2.3, 2030-01-02\n\n- All.\n"


def test_release_with_equal_versions_has_no_problem():
    assert release_check.version_problems(CHANGELOG, CITATION, "1.2.3") == []


@pytest.mark.parametrize(
    ("changelog", "version", "message"),
    [
        ("# Changes\n", "1.2.3", "CHANGELOG.md: no section"),
        (CHANGELOG, "1.3.0", "CITATION.cff: version 1.2.3 (expected 1.3.0 of synscale)"),
        (CHANGELOG.replace("2030-01-02", "unreleased"), "1.2.3", "wrong date (date unreleased"),
    ],
)
def test_release_with_other_versions_is_refused(changelog, version, message):
    problems = release_check.version_problems(changelog, CITATION, version)
    assert any(message in problem for problem in problems)


def test_versions_of_the_project_are_equal():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    heading = re.search(r"^## (\S+), ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert synscale.__version__ == citation["version"] == heading[1]


def test_uncommitted_files_and_old_tags_are_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "v1"]):
        subprocess.run(["git", *author, *command], check=True)
    (tmp_path / "new.txt").write_text("new")
    problems = release_check.tree_problems("1")
    assert any("1 files are not committed" in problem for problem in problems)
    assert any("tag v1: exists already" in problem for problem in problems)
    assert release_check.tree_problems("2") == problems[:1]
