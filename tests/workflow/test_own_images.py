"""From a folder of images to a classifier of images by a generator that was trained on them."""

import pandas as pd
import pytest

from scripts import new_study
from synscale.data import shards
from synscale.study.load import load_study
from tests.support.photographs import write_photographs
from tests.support.workflow import Workflow

pytestmark = pytest.mark.slow


def test_folder_of_images_trains_generator_and_classifier(tmp_path, monkeypatch):
    workflow = Workflow.create(tmp_path / "workflow", copied=("data",))
    monkeypatch.chdir(workflow.folder)
    monkeypatch.setattr(new_study.plan_command, "main", lambda arguments: None)
    load_study.cache_clear()
    write_photographs(workflow.folder / "photos", 30)
    new_study.main(["mine", "--train", "photos", "--train-generator", "--image-size", "16"])
    for old, new in (
        ("iterations: 3000, batch_size: 64", "iterations: 3, batch_size: 8"),
        ("channels: [32, 64]", "channels: [8, 8]"),
        ("{6: 200, 12: 280, 24: 400, 48: 570, 96: 800}", "{6: 2, 12: 2, 24: 2, 48: 2, 96: 2}"),
        ("seeds: [0, 1, 2]", "seeds: [0]"),
        ("images_per_shard: 96", "images_per_shard: 16"),
    ):
        workflow.edit(old, new, "studies/mine.yaml")
    results = "results/mine"
    metrics = f"{results}/metrics/class_names/vit_tiny.parquet"
    workflow.run(metrics, f"{results}/data/real/00001.tar")
    folder = workflow.folder / results
    generated, manifest = shards.read(folder / "images/class_names/00000.tar")
    assert generated.shape[1:] == (3, 16, 16)
    assert set(manifest["prompt"]) == {"cat", "green bird"}
    assert set(pd.read_parquet(workflow.folder / metrics)["size"]) == {6, 12, 24, 48, 96}
    names = []
    for split in ("real", "for_generator", "test"):
        paths = sorted((folder / f"data/{split}").glob("0*.parquet"))
        names.append(set(pd.concat(map(pd.read_parquet, paths))["origin"]))
    assert len(names[1]) == 27 and len(names[2]) == 6
    assert not any(one & other for one in names for other in names if one is not other)
