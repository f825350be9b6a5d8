"""Models of prompt recipes: what is taken from a folder or from the hub."""

import inspect

import huggingface_hub
import pytest

from scripts import fetch_model
from tests.conftest import ROOT, SMOKE


def test_a_model_without_safetensors_is_refused(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "model/pytorch_model.bin").write_text("")
    recipe = f"recipes:\n  new: {{kind: image_captions, model: {tmp_path}/model}}\n"
    (tmp_path / "study.yaml").write_text(SMOKE.read_text().replace("recipes:\n", recipe, 1))
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match=r"has no \*\.safetensors: name a revision that has them"):
        fetch_model.main(["--study", str(tmp_path / "study.yaml"), "--recipe", "new", "--output", str(tmp_path / "out/new")])


def test_a_model_of_the_hub_is_fetched_at_its_revision_without_code(tmp_path, monkeypatch):
    """The hub is played, by a function that takes what the true one takes."""
    true, asked = inspect.signature(huggingface_hub.snapshot_download), {}

    def play(*arguments, **named):
        asked.update(true.bind(*arguments, **named).arguments)
        there = ["model.safetensors", "config.json", "tokenizer.json", "pytorch_model.bin", "modeling_own.py"]
        for name in huggingface_hub.utils.filter_repo_objects(there, allow_patterns=asked["allow_patterns"]):
            asked["local_dir"].mkdir(parents=True, exist_ok=True)
            (asked["local_dir"] / name).write_text(name)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", play)
    monkeypatch.chdir(ROOT)
    recipe = f"recipes:\n  new: {{kind: image_captions, model: owner/name, revision: {'a' * 40}}}\n"
    (tmp_path / "study.yaml").write_text(SMOKE.read_text().replace("recipes:\n", recipe, 1))
    fetch_model.main(["--study", str(tmp_path / "study.yaml"), "--recipe", "new", "--output", str(tmp_path / "out/new")])
    assert (asked["repo_id"], asked["revision"]) == ("owner/name", "a" * 40)
    assert sorted(path.name for path in (tmp_path / "out/new").iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
