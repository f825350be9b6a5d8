"""Models of prompt recipes: what is taken from a folder or from the hub."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from scripts import fetch_model
from tests.support.fake_hub import COMMIT, MODEL, Hub
from tests.support.workflow import ROOT, SMOKE

OTHERS = ["pytorch_model.bin", "modeling_own.py", "onnx/model.safetensors"]


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    for name in ["config.json", "tokenizer.json", *OTHERS]:
        (folder / name).write_text("{}")
    return folder


def arguments(tmp_path, model: str, revision: str = "") -> list[str]:
    recipe = f"recipes:\n  new: {{kind: image_captions, model: {model}{revision}}}\n"
    (tmp_path / "study.yaml").write_text(SMOKE.read_text().replace("recipes:\n", recipe, 1))
    files = {"study": "study.yaml", "known": "known.csv", "record": "record.csv", "output": "out"}
    return [
        "--recipe",
        "new",
        *(part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))),
    ]


def test_model_of_a_folder_is_linked_without_code(tmp_path, model, monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in ("._model.safetensors", "__MACOSX/._config.json", "Thumbs.db"):
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes(b"of the operating system")
    fetch_model.main(arguments(tmp_path, model))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "model.safetensors",
        "sources.csv",
        "tokenizer.json",
    ]


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("model.safetensors", r"no \*\.safetensors; name a revision that has them"),
        ("tokenizer.json", "no tokenizer.json; save"),
    ],
)
def test_missing_file_of_a_model_is_reported(tmp_path, model, monkeypatch, lacks, message):
    monkeypatch.chdir(ROOT)
    (model / lacks).unlink()
    with pytest.raises(SystemExit, match=rf"recipes.new: .*{message}"):
        fetch_model.main(arguments(tmp_path, model))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("revision", [f", revision: {COMMIT!r}", ""])
def test_changed_model_of_the_hub_is_reported(tmp_path, model, revision):
    """With a commit or without: what the first fetch found holds for later ones."""
    with Hub(model) as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }
        command = [
            sys.executable,
            "-m",
            "scripts.fetch_model",
            *arguments(tmp_path, MODEL, revision),
        ]
        subprocess.run(command, check=True, env=environment, cwd=ROOT)
        assert set(hub.asked) == {"config.json", "model.safetensors", "tokenizer.json"}
        (model / "config.json").write_text("{ }")
        again = subprocess.run(
            command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True
        )
    assert (
        again.returncode
        and "config.json: wrong sha256" in again.stderr
        and "if the change is meant, remove" in again.stderr
    )
