"""Captions of figures and tables, and the commit that provenance states."""

import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_parts

from scripts.lib import captions, study_file
from scripts.lib.study import Figures, Tables
from tests.support.workflow import ROOT

NAMES = [*Figures.model_fields, *Tables.model_fields]
ITEMS = captions.paper_items()
# Where a rule makes several figures or tables, they share a caption.
CAPTIONS = dict.fromkeys(("supervised_scaling", "ood_scaling", "clip_scaling"), "scaling") | dict.fromkeys(("supervised", "ood", "clip"), "table")


# -- captions: no run and no browser -------------------------------------------------------------------------------------------------


def test_every_figure_and_table_has_its_section_of_the_paper():
    assert set(ITEMS) == set(NAMES)
    assert all(row["section"] for row in ITEMS.values())
    assert captions.label("Figure", "teaser") == "Figure: teaser (Figure 1 of the paper)"
    assert captions.label("Table", "clip") == "Table: CLIP"


def rendered(name: str, folder: str, study) -> str:
    """A caption as Snakemake renders it, but stopping at what is undefined and at every fault of its reStructuredText."""
    path = ROOT / f"report/{CAPTIONS.get(name, name)}.rst"
    config = {"study": folder, "facts": captions.Facts({folder: study})}
    snakemake = SimpleNamespace(config=config, wildcards=SimpleNamespace(study=folder, scaling=name, table=name))
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701  (not HTML)
    text = environment.from_string(path.read_text(encoding="utf-8")).render(snakemake=snakemake)
    if name == "workflow":
        text += "\n\n.. _Provenance: javascript:\n"  # a link that Snakemake adds
    return publish_parts(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})["html_body"]


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("name", [*NAMES, "provenance", "workflow"])
def test_every_caption_tells_what_is_measured_on_what_with_which_n_and_interval(name, path, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)  # away from results of an older study that may lie in the project
    study = study_file.load(path)
    if name in NAMES and not (getattr(study.figures, name, None) or getattr(study.tables, name, None)):
        pytest.skip(f"{path.stem} does not have it")
    text = re.sub(r"<[^>]*>|\s+", " ", rendered(name, path.stem, study))
    assert study.title in text
    if name in NAMES and name != "hyperparameters":
        assert all(re.search(part, text) for part in ("Measured:", "n:", "[Ii]nterval"))
        assert "On:" in text or name in ("samples", "prompts")  # nothing is measured there


def test_the_commit_is_that_of_the_code_and_says_where_it_was_edited(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        return subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def commit():
        code = "from scripts import write_provenance; print(write_provenance.commit())"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    git("init", "--quiet")
    assert commit() == "not known: no git checkout"  # the folder is another project's: the code is not in it
    git("add", "scripts")
    git("commit", "--quiet", "-m", "code")
    assert commit() == git("rev-parse", "HEAD")
    (tmp_path / "scripts/evaluate.py").write_text("")
    assert commit() == git("rev-parse", "HEAD") + "-dirty"
