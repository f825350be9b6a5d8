"""An authors' checkpoint to its table, and a pretrained reference to scores, in the workflow."""

import json

import pandas as pd
import pytest
import timm
import torch

from tests.support.author_checkpoint import NUMBERS, PUBLISHED, state_dict
from tests.support.workflow import Workflow

pytestmark = pytest.mark.slow

TINY = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}
RUN = "reference: {source: real, architecture: vit_tiny, size: 40, seed: 0}"


@pytest.fixture
def others(workflow: Workflow) -> Workflow:
    torch.save(state_dict(), workflow.folder / "theirs.pt")
    torch.manual_seed(0)
    model = timm.create_model("vit_base_patch16_224", num_classes=10, **TINY)
    changes = {"input_size": [3, 8, 8], "crop_pct": 1.0, "num_classes": 10}
    config = {"pretrained_cfg": model.pretrained_cfg | changes, "model_args": TINY}
    folder = workflow.folder / "reference"
    timm.models.save_for_hf(model, folder, model_config=config, safe_serialization=True)
    workflow.edit("laws:\n", PUBLISHED % NUMBERS + "laws:\n")
    workflow.edit(RUN, "reference: {model: ./reference}")
    return workflow


def test_checkpoint_has_a_table_and_a_pretrained_model_scores(others):
    target = ["tables/smoke/author_checkpoints.csv", "results/smoke/scores/real.json"]
    assert others.planned(*target) == {
        "prepare_data": 5,
        "convert_author_checkpoint": 1,
        "evaluate_author_checkpoint": 1,
        "tabulate_author_checkpoints": 1,
        "fetch_reference": 1,
        "score": 1,
    }
    others.run(*target)
    table = pd.read_csv(others.folder / target[0])
    sets = {"one_writer", "other_writer", "outlines", "printed", "misread"}
    assert set(table["evaluation"]) == sets
    assert table["published"].notna().sum() == 2
    (real,) = json.loads((others.folder / target[1]).read_text())
    assert 0 <= real["recognizability"] <= 1 and real["lpips"] > 0
    assert (others.folder / "results/smoke/reference/sources.csv").is_file()
    assert others.planned(*target) == {}


def test_unknown_checkpoint_is_named(others):
    output = others.run("results/smoke/author_checkpoint_metrics/ours.parquet", check=False)
    assert "no author checkpoint 'ours'; known: theirs" in output
