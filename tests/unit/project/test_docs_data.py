"""Snippets of docs/guides/add_a_data_set.md work as they are."""

import os
import re

import yaml

from scripts import index_data, prepare_data
from synscale.data import shards
from synscale.runtime import environment
from synscale.study.load import load_study
from tests.support import fake_datasets as fake
from tests.support.workflow import ROOT


def snippets(language: str) -> list[str]:
    page = (ROOT / "docs/guides/add_a_data_set.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_documented_steps_create_a_shard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    table = snippets("csv")[0]
    lines, paths, held_out, images, _, skip = map(yaml.safe_load, snippets("yaml"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own/classes.csv").write_text(table)
    study = (
        yaml.safe_load((ROOT / "tests/workflow/files.yaml").read_text()) | lines | {"clip": None}
    )
    study["scores"] |= {
        "evaluation": "birds_test",
        "reference": {"source": "real", "architecture": "vit_tiny", "size": 4, "seed": 0},
    }
    study["classifiers"]["iterations"] = {2: 2, 4: 2, 6: 2}
    study["experiments"] = {
        "scaling": {
            "architectures": ["vit_tiny"],
            "sizes": [2, 4, 6],
            "seeds": [0],
            "curves": [{"source": "real"}],
        }
    }
    study["laws"] = {
        "supervised": {"experiments": ["scaling"], "evaluation": "birds_test", "sizes": [2, 6]}
    }
    for place in paths["paths"].values():
        fake.class_folders(tmp_path / place, {"robin": 3, "heron": 4})
    environment.prepare(paths["paths"])

    def planned_shards(**changes) -> list[str]:
        (tmp_path / "birds.yaml").write_text(yaml.safe_dump(study | changes))
        load_study.cache_clear()
        common = ["--study", "birds.yaml", "--split", "birds", "--classes", "own/classes.csv"]
        index_data.main([*common, "--output", "index.parquet"])
        prepare_data.main(
            [*common, "--shard", "00000", "--index", "index.parquet", "--output", "00000.tar"]
        )
        return shards.read("00000.tar")[1]["origin"].tolist()

    origins = planned_shards()
    assert len(origins) == 6 and {origin.split("/")[0] for origin in origins} == {"robin", "heron"}
    (tmp_path / "studies").mkdir()
    (tmp_path / skip["training"]["birds"]["skip"]).write_text(f"{origins[1]}\n")
    assert origins[1] not in planned_shards(data=study["data"] | skip)
    assert planned_shards(sources=study["sources"] | images["sources"]) == origins
    study["data"]["evaluation"] |= held_out["data"]["evaluation"]
    study["sources"]["real"]["images"] = 4  # one image of each class is held out
    study["experiments"]["scaling"]["sizes"] = [2, 3, 4]
    study["classifiers"]["iterations"] = {2: 2, 3: 2, 4: 2}
    assert len(planned_shards()) == 4
