"""Captions of figures and tables, and the commit that provenance states."""

import re
import shutil
import subprocess
import sys

import pytest

from synscale.report import captions
from synscale.study.load import load_study
from synscale.study.models import Figures, Tables
from tests.support.captions import rendered
from tests.support.workflow import ROOT, STUDIES

NAMES = [*Figures.model_fields, *Tables.model_fields]
ITEMS = captions.paper_items()


# -- captions: no run and no browser ---------------------------------------------------------------


def test_every_figure_and_table_has_its_section_of_the_paper():
    assert set(ITEMS) == set(NAMES)
    assert all(row["section"] for row in ITEMS.values())
    assert captions.label("Figure", "teaser") == "Figure: teaser (Figure 1 of the paper)"
    assert captions.label("Table", "clip") == "Table: CLIP"


@pytest.mark.parametrize("path", STUDIES.values(), ids=STUDIES)
@pytest.mark.parametrize("name", [*NAMES, "provenance", "workflow"])
def test_captions_state_measure_set_count_and_interval(name, path, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)  # away from results of an older study that may be in the project
    study = load_study(path)
    if name in NAMES and not (
        getattr(study.figures, name, None) or getattr(study.tables, name, None)
    ):
        pytest.skip(f"{path.stem} does not have it")
    text = re.sub(r"<[^>]*>|\s+", " ", rendered(name, path.stem, study))
    assert study.title in text
    if name in NAMES and name != "hyperparameters":
        assert all(re.search(part, text) for part in ("Measured:", "n:", "[Ii]nterval"))
        assert "On:" in text or name in ("samples", "prompts")  # nothing is measured there


def test_commit_is_that_of_the_code_with_its_edits(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit():
        code = "from synscale.runtime import origin; print(origin.commit())"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    for name in ("scripts", "synscale"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    git("init", "--quiet")
    assert (
        commit() == "not known: no git checkout"
    )  # the folder is another project's: the code is not in it
    git("add", "scripts", "synscale")
    git("commit", "--quiet", "-m", "code")
    assert commit() == git("rev-parse", "HEAD")
    (tmp_path / "scripts/evaluate.py").write_text("")
    assert commit() == git("rev-parse", "HEAD") + "-dirty"
