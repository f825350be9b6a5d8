"""What others wrote, such as files, names, texts and tokens, is data: it runs nowhere, leads
nowhere, and shows as what it is.
"""

import ast
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tarfile
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from docutils.core import publish_parts
from jinja2 import Template

from scripts import write_provenance
from synscale.data import shards
from synscale.report import captions, tables
from synscale.report import html as pages
from synscale.study.load import StudyError, load_study
from synscale.study.models.sources import ReferenceModel
from synscale.training import checkpoint
from tests.support.workflow import ROOT, SMOKE, SNAKEMAKE

SOURCES = sorted(
    [
        *(ROOT / "scripts").rglob("*.py"),
        *(ROOT / "synscale").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
    ]
)
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
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


# -- nothing that runs when it is read --------------------------------------------------------------------------------------------------


def unsafe(tree: ast.AST) -> list[str]:
    """Every import of a module that unpickles, and every call that may unpickle, extract an archive
    or start a shell.
    """
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""] * (
                    names != ["UnpicklingError"]
                )  # what is raised, and unpickles nothing
            found += [
                f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in PICKLES
            ]
        if not isinstance(node, ast.Call):
            continue
        name, given = (
            ast.unparse(node.func),
            {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords},
        )
        if name == "torch.load" and given.get("weights_only") != "True":
            found.append(f"{node.lineno}: torch.load without weights_only=True")
        if (
            given.get("allow_pickle", "False") != "False"
            or given.get("shell", "False") != "False"
            or given.get("trust_remote_code", "False") != "False"
        ):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        if name.split(".")[-1] in (
            "read_pickle",
            "to_pickle",
            "extractall",
            "unsafe_load",
            "system",
            "popen",
        ) or name in ("eval", "exec"):
            found.append(f"{node.lineno}: {name}")
        if name == "yaml.load" and "_UniqueKeyLoader" not in ast.unparse(
            node
        ):  # a SafeLoader, as a test below shows
            found.append(f"{node.lineno}: yaml.load")
        if name.split(".")[-1] == "extract" and isinstance(node.func, ast.Attribute):
            found.append(f"{node.lineno}: {name}")
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from pickle import UnpicklingError, load",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "tar.extractall(p)",
        "tar.extract(m)",
        "subprocess.run(c, shell=True)",
        "eval(text)",
        "yaml.load(text, yaml.Loader)",
    ],
)
def test_the_check_finds_what_it_looks_for(line):
    assert unsafe(ast.parse(line))


def test_no_source_unpickles_extracts_or_starts_a_shell():
    mine = {ROOT / "tests/unit/test_security.py"}  # it makes the pickles that must be refused
    found = {
        str(path.relative_to(ROOT)): unsafe(ast.parse(path.read_text()))
        for path in SOURCES
        if path not in mine
    }
    assert not {path: lines for path, lines in found.items() if lines}


class Trap:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_study_makes_no_objects(tmp_path):
    path = tmp_path / "hostile.yaml"
    path.write_text(
        SMOKE.read_text().replace(
            "title: Smoke", f"title: !!python/object/apply:os.mkdir [{tmp_path / 'pwned'}]"
        )
    )
    with pytest.raises(StudyError):
        load_study(path)
    assert not (tmp_path / "pwned").exists()


def test_training_state_that_holds_a_pickle_is_refused(tmp_path):
    state = checkpoint.TrainingCheckpoint(tmp_path, "identity", {})
    torch.save({"step": 1, "parts": Trap(tmp_path / "pwned")}, state.path)
    with pytest.raises(pickle.UnpicklingError):
        state.load()
    assert not (tmp_path / "pwned").exists()


# -- tars -----------------------------------------------------------------------------------------------------------------------------------


def tar_with(path, member: tarfile.TarInfo, data: bytes = b"") -> None:
    """A tar of one member, with a manifest that names it."""
    with tarfile.open(path, "w") as tar:
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    pd.DataFrame(
        [{"key": member.name.rpartition(".")[0], "class_id": 0, "prompt": "", "sha256": "0" * 64}]
    ).to_parquet(shards.manifest_path(path))


@pytest.mark.parametrize("name", ["../outside.png", "/tmp/outside.png", "a/../../outside.png"])  # noqa: S108
def test_members_that_lead_out_of_the_tar_are_never_written(tmp_path, name):
    folder = tmp_path / "shards"
    folder.mkdir()
    tar_with(folder / "00000.tar", tarfile.TarInfo(name), shards.encode(np.zeros((8, 8), np.uint8)))
    with pytest.raises(shards.ShardError):
        shards.read(folder / "00000.tar")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "00000.parquet",
        "00000.tar",
        "shards",
    ]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_no_images(tmp_path, kind):
    (tmp_path / "secret").write_bytes(shards.encode(np.zeros((8, 8), np.uint8)))
    member = tarfile.TarInfo("000000000.png")
    member.type, member.linkname = kind, str(tmp_path / "secret")
    tar_with(tmp_path / "00000.tar", member)
    with pytest.raises((shards.ShardError, KeyError, AttributeError)):
        shards.read(tmp_path / "00000.tar")


# -- names and texts ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_prompts_go_through_shards_unchanged_and_touch_nothing(tmp_path, text):
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
        text,
        f"# {text}\n\n" + tables.markdown(pd.DataFrame({"class": [text], text: ["prompt"]})),
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
    text = captions.plain(title)
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
def test_names_that_become_paths_and_arguments_are_lower_case_words(tmp_path, name, place):
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


def test_a_study_whose_file_has_a_hostile_name_is_refused(workflow):
    hostile = workflow.folder / "studies/x; touch pwned; .yaml"
    hostile.write_text(SMOKE.read_text())
    told = workflow.dry_run(check=False)
    assert "touch pwned" in told and "rename the file" in told
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


# -- tokens -----------------------------------------------------------------------------------------------------------------------------------


def test_tokens_are_read_from_the_environment_and_appear_nowhere(workflow):
    """A run with tokens set: neither what it prints nor any file that it leaves holds them."""
    tokens = {
        name: f"secret-{name.lower()}-1234567890"
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY")
    }
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    } | tokens
    command = [
        SNAKEMAKE,
        "results/smoke/prompts/class_names.parquet",
        "tables/smoke/hyperparameters.csv",
        "--printshellcmds",
    ]
    done = subprocess.run(
        command, cwd=workflow.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    provenance = workflow.folder / "provenance.html"
    command = [
        "scripts.write_provenance",
        "--study",
        "studies/smoke.yaml",
        "--environments",
        "envs/torch.yaml",
        "--snakemake",
        "9",
    ]
    files = [
        "--results",
        "tables/smoke/hyperparameters.csv",
        "--output",
        str(provenance),
        str(provenance.with_suffix(".json")),
    ]
    done2 = subprocess.run(
        [sys.executable, "-m", *command, *files],
        cwd=workflow.folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done2.returncode == 0, done2.stderr
    told = (done.stdout + done.stderr + done2.stdout + done2.stderr).encode()
    left = [
        told,
        *(
            path.read_bytes()
            for path in workflow.folder.rglob("*")
            if path.is_file() and ROOT not in path.resolve().parents
        ),
    ]
    assert len(left) > 5
    for value in tokens.values():
        assert not any(value.encode() in content for content in left)


def test_no_token_is_named_in_a_tracked_file():
    """Neither as an argument, which every user of a machine can see, nor in a file. What looks like
    one has the form that hubs give them.
    """
    shapes = re.compile(
        r"\b(hf_[A-Za-z0-9]{20,}|ghp_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16})\b|--token\b"
    )
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    mine = "tests/unit/test_security.py"
    found = [
        name
        for name in tracked
        if name
        and name != mine
        and (ROOT / name).is_file()
        and shapes.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert not found
