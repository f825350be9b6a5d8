"""Measures in feature spaces, in the workflow: a model in a folder, and a CLIP run of the study."""

import json

import pytest

from synscale.study.models.scores import MEASURES
from tests.support.tiny_models import save_dinov2
from tests.support.workflow import Workflow

pytestmark = pytest.mark.slow

SOURCE = "diffusion_class_names"
RUN = "{kind: clip_run, source: real, architecture: clip_tiny, size: 40, seed: 0}"
FEATURES = f"scores:\n  features: [{{kind: dinov2, model: ./dinov2}}, {RUN}]\n"


@pytest.fixture
def measured(workflow: Workflow) -> Workflow:
    folder = workflow.folder / "dinov2"
    folder.mkdir()
    save_dinov2(folder)
    workflow.edit("scores:\n", f"{FEATURES}  measures: [{', '.join(MEASURES)}]\n")
    return workflow


def test_source_is_measured_in_each_feature_space(measured):
    folder = "results/smoke/feature_scores"
    target = [f"{folder}/{name}/{SOURCE}.json" for name in ("dinov2", "clip")]
    planned = measured.planned(*target)
    assert (planned["fetch_feature_model"], planned["score_features"]) == (1, 2)
    measured.run(*target)
    for path, names in zip(target, (set(MEASURES) - {"cmmd"}, set(MEASURES)), strict=True):
        space = path.split("/")[3]
        for entry in json.loads((measured.folder / path).read_text()):
            assert all(isinstance(entry[f"{name}_{space}"], float) for name in names)
            ends = [entry[f"memorisation{end}_{space}"] for end in ("_low", "", "_high")]
            assert 0 <= ends[0] <= ends[1] <= ends[2] <= 1
    assert (measured.folder / "results/smoke/feature_models/dinov2/sources.csv").is_file()
    assert measured.planned(*target) == {}
    measured.edit("recall, density", "density")
    assert measured.planned(*target) == {"score_features": 2}


def test_unknown_feature_space_is_named(measured):
    output = measured.run(f"results/smoke/feature_scores/dinov/{SOURCE}.json", check=False)
    assert "no feature space 'dinov'; did you mean 'dinov2'?" in output
