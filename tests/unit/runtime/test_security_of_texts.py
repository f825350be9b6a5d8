"""Names and texts of others lead nowhere and are displayed as they are."""

import json
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_parts
from jinja2 import Template

from scripts import write_provenance
from synscale.data import shards
from synscale.report import captions, names, tables
from synscale.report import html as pages
from synscale.study.load import StudyError, load_study
from synscale.study.models.scores import ReferenceModel
from tests.support.workflow import ROOT, SMOKE

HOSTILE = [
    '"; touch pwned; "',
    "$(touch pwned)",
    "`touch pwned`",
    "' && touch pwned #",
    "../../../pwned",
    "<script>document.title='pwned'</script>",
    "<img src=x onerror=alert(1)>",
    "[here](javascript:alert(1))",
    "| | |",
    "{wildcards.study} {0} %s",
    "\u202etxt.exe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_shards_keep_prompts_unchanged(tmp_path, text):
    tar = tmp_path / "s" / "00000.tar"
    shards.write(
        tar,
        [
            (
                "000000000",
                np.zeros((8, 8), np.uint8),
                {"image": 0, "class_id": 0, "class_name": text, "prompt": text},
            )
        ],
    )
    _, manifest = shards.read(tar)
    assert manifest["prompt"].tolist() == manifest["class_name"].tolist() == [text]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["00000.parquet", "00000.tar", "s"]


@pytest.mark.parametrize("text", HOSTILE)
def test_tables_show_texts_as_text(text):
    html = pages.page(
        text, f"# {text}\n\n" + tables.markdown(pd.DataFrame({"class": [text], text: ["prompt"]}))
    )
    assert not re.search(r"<(script|img|iframe|object)", html)
    assert 'href="javascript:' not in html


@pytest.mark.parametrize(
    "title",
    [
        *HOSTILE,
        ".. raw:: html",
        ".. include:: /etc/passwd",
        "text\n\n.. raw:: html\n\n   <b>bold</b>",
    ],
)
def test_captions_show_a_title_as_text(title):
    text = names.escape_rst(title)
    html = publish_parts(
        f"{text}\n{'=' * 80}\n\n**Samples**, {text}. More.",
        writer="html",
        settings_overrides={"report_level": 5},
    )["html_body"]
    assert not re.search(r"<(script|img|b|pre)\b", html) and "root:" not in html
    assert 'href="javascript:' not in html


def test_captions_show_the_name_of_a_model_as_text():
    """A folder may have any name, markup of reStructuredText included."""
    study = load_study("studies/digits.yaml")
    reference = ReferenceModel(model="./judges/ **the first** `x`_")
    study = study.model_copy(
        update={"scores": study.scores.model_copy(update={"reference": reference})}
    )
    facts = {
        ("digits", "recognizability_diversity"): captions.about(
            "no such run", study, "recognizability_diversity"
        )
    }
    snakemake = SimpleNamespace(
        config=SimpleNamespace(facts=facts), wildcards=SimpleNamespace(study="digits")
    )
    text = Template(
        (ROOT / "report/recognizability_diversity.rst").read_text(encoding="utf-8")
    ).render(snakemake=snakemake)
    html = publish_parts(text, writer="html", settings_overrides={"report_level": 5})["html_body"]
    assert "one classifier (./judges/ **the first** `x`_, as released)" in " ".join(html.split())


@pytest.mark.parametrize("title", [*HOSTILE[5:], "*a* `b` _c_", "$a_b$", "a  b"])
def test_provenance_shows_the_title_as_text(tmp_path, title):
    study = tmp_path / "hostile.yaml"
    text = Path("studies/digits.yaml").read_text(encoding="utf-8")
    text = text.replace("title: Handwritten digits", f"title: {json.dumps(title)}")
    study.write_text(text, encoding="utf-8")
    outputs = [str(tmp_path / "provenance.html"), str(tmp_path / "provenance.json")]
    arguments = [
        "--study",
        str(study),
        "--results",
        str(study),
        "--environments",
        "envs/analysis.yaml",
        "--snakemake",
        "9",
        "--output",
        *outputs,
    ]
    write_provenance.main(arguments)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", Path(outputs[0]).read_text(encoding="utf-8"))
    assert cells[0] == "title"
    assert unescape(cells[1]) == " ".join(title.split())


@pytest.mark.parametrize("name", [*HOSTILE[:7], "-rf", "A", "a b", ".."])
@pytest.mark.parametrize("place", ["sources", "recipes", "generators", "laws", "evaluation"])
def test_hostile_name_of_a_section_is_refused(tmp_path, name, place):
    old = {
        "sources": "  masked_captions:",
        "recipes": "  captions:",
        "generators": "  masked:",
        "laws": "  supervised:",
        "evaluation": "    printed:",
    }[place]
    path = tmp_path / "hostile.yaml"
    path.write_text(
        SMOKE.read_text().replace(
            f"\n{old}", f"\n{old[: len(old) - len(old.lstrip())]}{json.dumps(name)}:", 1
        )
    )
    with pytest.raises(StudyError):
        load_study(path)


def test_study_file_with_hostile_name_is_refused(workflow):
    hostile = workflow.folder / "studies/x; touch pwned; .yaml"
    hostile.write_text(SMOKE.read_text())
    output = workflow.dry_run(check=False)
    assert "touch pwned" in output and "rename the file" in output
    assert not (workflow.folder / "pwned").exists()


def test_hostile_class_names_reach_no_shell(workflow):
    """Class names and titles end in manifests and pages; the command lines of jobs hold none of
    them.
    """
    workflow.edit("title: Smoke", f"title: {json.dumps(HOSTILE[1])}")
    workflow.edit("label: tiny ViT", f"label: {json.dumps(HOSTILE[2])}")
    workflow.edit('"{name}, thick"', json.dumps("{name}" + HOSTILE[0]))
    commands = workflow.dry_run("--printshellcmds")
    assert "scripts.train_clip --study" in commands and "pwned" not in commands
