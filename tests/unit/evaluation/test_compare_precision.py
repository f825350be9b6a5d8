"""The comparison of a generator's precision with float32 on the same texts and seeds."""

import json

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch

from scripts import compare_precision
from synscale.data import shards
from synscale.evaluation.paired_bootstrap import paired_bootstrap
from synscale.evaluation.precision_comparison import paths_of
from synscale.evaluation.reference import ReferenceOutputs
from synscale.models import classifier, generation
from synscale.study.load import load_study
from synscale.study.models.classifiers import Architecture
from synscale.workflow.paths import reference_run
from tests.support import tiny_pipelines
from tests.support.study_with import study_with
from tests.support.workflow import ROOT

CPU = deterministic(1)
GENERATOR = ", sampler: ddim, precision: bfloat16, batch_size: 8"
CLASSES = 10


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Path of a study whose generator has bfloat16, in the working directory."""
    path = study_with(tmp_path, "owner/name", f", revision: {'0' * 40!r}{GENERATOR}")
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def finished(study, tmp_path):
    """The same study; what the comparison reads exists."""
    loaded = load_study(str(study))
    paths = paths_of(loaded, "released_images", "00000")
    tiny_pipelines.save("stable_diffusion", tmp_path / paths.pipeline[0])
    prompts = tmp_path / paths.prompts
    prompts.parent.mkdir(parents=True)
    texts = {"class_id": range(CLASSES), "text_id": 0, "text": ["one", "three"] * 5}
    pd.DataFrame(texts).to_parquet(prompts)
    random = np.random.default_rng(0)
    rows = [
        (f"{i}", random.integers(0, 256, (8, 8), np.uint8), {"class_id": i % 10, "prompt": ""})
        for i in range(30)
    ]
    shards.write(tmp_path / paths.real, rows)
    architecture = Architecture(label="", patch_size=4, width=8, depth=1, heads=2, pool="avg")
    build = {"image_size": 8, "channels": 1, "classes": CLASSES, "architecture": architecture}
    torch.manual_seed(0)
    name = reference_run(loaded).name
    model = classifier.build(**build)
    classifier.save(tmp_path / paths.reference / f"{name}.safetensors", model, {"build": build})
    return study


def compare(study, *more: str) -> None:
    what = ["--study", str(study), "--source", "released_images", "--guidance", "2"]
    compare_precision.main([*what, "--images", "20", "--resamples", "20", *more])


@pytest.mark.slow
def test_precisions_are_compared_on_the_same_images(finished, tmp_path, capsys, monkeypatch):
    compare(finished, "--folder", "out")
    printed = capsys.readouterr().out
    comparison = json.loads((tmp_path / "out/comparison.json").read_text())
    assert (comparison["images"], comparison["precision"]) == (20, "bfloat16")
    for key in ("fid", "recognizability"):
        row = comparison[key]
        assert row["difference"] == pytest.approx(row["low_precision"] - row["float32"])
        assert row["interval_low"] <= row["interval_high"]
        assert f"{key}: float32 {row['float32']:.5g}, bfloat16" in printed
    assert abs(comparison["fid"]["difference"]) < 0.1 * comparison["fid"]["float32"]
    manifests = [pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert len(manifests) == 2
    assert (manifests[0]["seed"] == manifests[1]["seed"]).all()
    assert (manifests[0]["sha256"] != manifests[1]["sha256"]).any()
    monkeypatch.setattr(
        generation, "ShardGeneration", None
    )  # images of the first run are used again
    compare(finished, "--folder", "out")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--images", "19"], r"--images 19: too few \(expected 2 of each class, 20 or more\)"),
        (["--images", "40"], r"released_images has 20 images .*\(expected at least 40\)"),
        (["--source", "real"], "--source real: no synthetic source with classes; choose of "),
        (["--source", "diffusion_class_names", "--guidance", "1.5"], "precision is float32"),
    ],
)
def test_comparison_of_no_use_is_refused(study, more, message):
    with pytest.raises(SystemExit, match=message):
        compare(study, *more)


def test_missing_results_are_named_with_their_command(study):
    with pytest.raises(SystemExit, match=r"snakemake results/released/models/released .*prompts"):
        compare(study)


def test_paired_bootstrap_finds_a_difference_of_all_images():
    random = np.random.default_rng(0)
    features = torch.from_numpy(random.normal(size=(200, 1))).float()
    exact = ReferenceOutputs(np.zeros(200, int), np.zeros(200, int), features, 0.0)
    fast = ReferenceOutputs(exact.class_ids, exact.predicted, features + 0.1, 0.0)

    def mean(images, positions):
        return float(images.features[torch.from_numpy(positions)].mean())

    difference = paired_bootstrap(mean, exact, fast)
    assert difference.difference == pytest.approx(0.1, abs=1e-6)
    assert difference.interval_high - difference.interval_low < 1e-4  # the draw cancels
