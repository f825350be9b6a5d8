"""No source runs what it reads, and members of tars stay inside."""

import ast
import io
import os
import pickle
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch

from synscale.data import shards
from synscale.study.load import StudyError, load_study
from synscale.training import checkpoint
from tests.support.workflow import ROOT, SMOKE

SOURCES = sorted(
    [
        *(ROOT / "scripts").rglob("*.py"),
        *(ROOT / "synscale").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
    ]
)
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def unsafe(tree: ast.AST) -> list[str]:
    """Every import of a module that unpickles, and every call that may unpickle, extract an archive
    or start a shell.
    """
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""] * (
                    names != ["UnpicklingError"]
                )  # what is raised, and unpickles nothing
            lines += [
                f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in PICKLES
            ]
        if not isinstance(node, ast.Call):
            continue
        name, given = (
            ast.unparse(node.func),
            {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords},
        )
        if name == "torch.load" and given.get("weights_only") != "True":
            lines.append(f"{node.lineno}: torch.load without weights_only=True")
        if (
            given.get("allow_pickle", "False") != "False"
            or given.get("shell", "False") != "False"
            or given.get("trust_remote_code", "False") != "False"
        ):
            lines.append(f"{node.lineno}: {ast.unparse(node)}")
        if name.split(".")[-1] in (
            "read_pickle",
            "to_pickle",
            "extractall",
            "unsafe_load",
            "system",
            "popen",
        ) or name in ("eval", "exec"):
            lines.append(f"{node.lineno}: {name}")
        if name == "yaml.load" and "_UniqueKeyLoader" not in ast.unparse(
            node
        ):  # a SafeLoader, as a test below shows
            lines.append(f"{node.lineno}: yaml.load")
        if name.split(".")[-1] == "extract" and isinstance(node.func, ast.Attribute):
            lines.append(f"{node.lineno}: {name}")
    return lines


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
def test_unsafe_line_is_recognized(line):
    assert unsafe(ast.parse(line))


def test_no_source_unpickles_extracts_or_starts_a_shell():
    mine = {
        ROOT / "tests/unit/runtime/test_security_of_code.py"
    }  # it makes the pickles that must be refused
    calls = {
        str(path.relative_to(ROOT)): unsafe(ast.parse(path.read_text()))
        for path in SOURCES
        if path not in mine
    }
    assert not {path: places for path, places in calls.items() if places}


class Trap:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_study_creates_no_objects(tmp_path):
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
def test_links_and_devices_are_not_images(tmp_path, kind):
    (tmp_path / "secret").write_bytes(shards.encode(np.zeros((8, 8), np.uint8)))
    member = tarfile.TarInfo("000000000.png")
    member.type, member.linkname = kind, str(tmp_path / "secret")
    tar_with(tmp_path / "00000.tar", member)
    with pytest.raises((shards.ShardError, KeyError, AttributeError)):
        shards.read(tmp_path / "00000.tar")
