"""Figure `scores` and table `configurations` with measures in feature spaces, of simulated scores.

Top-1 rises with the kernel distance; no other score has to do with it.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts import plot_scores, tabulate_configurations
from synscale.report import plotting, tables
from synscale.report.score_names import score_name
from synscale.study.load import load_study
from synscale.workflow.settings.configuration_figures import scores_settings
from tests.support.captions import rendered
from tests.support.workflow import ROOT

STUDY = ROOT / "studies/digits_extensions.yaml"
FURTHER = ["kernel_distance", "density", "coverage", "memorisation"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Options with scores, measures of the generated images, and metrics."""
    folder = tmp_path_factory.mktemp("scores")
    random = np.random.default_rng(0)
    labels = scores_settings(load_study(STUDY)).labels
    scores, further, metrics = [], [], []
    for label in labels:
        configuration = {"source": label.source, "guidance": label.guidance}
        values = dict(zip(plot_scores.SCORES, random.normal(size=6), strict=True))
        entry = configuration | values | {"images": 480, "diversity_total": 1, "per_class": []}
        if label.source == "real":
            entry |= dict.fromkeys(("fid", "precision", "recall"))
        scores.append(entry)
        values = {f"{name}_reference": random.normal() for name in FURTHER}
        if label.source != "real":
            ends = {"memorisation_low_reference": 0.125, "memorisation_high_reference": 0.25}
            further.append(configuration | values | ends)
        top1 = 0.5 + 0.01 * values["kernel_distance_reference"]
        for seed in range(3):
            for evaluation in ("unseen_writers", "sketch"):
                row = {"architecture": "vit_short", "size": 480, "seed": seed, "top1": top1}
                row |= {"evaluation": evaluation, "cross_entropy": 1.0, "class_id": None}
                metrics.append(configuration | row)
    paths = [folder / name for name in ("scores.json", "further.json", "metrics.parquet")]
    paths[0].write_text(json.dumps(scores))
    paths[1].write_text(json.dumps(further))
    table = pd.DataFrame(metrics).astype({"guidance": "Float64", "class_id": "Int64"})
    table.to_parquet(paths[2])
    return ["--scores", str(paths[0]), str(paths[1]), "--metrics", str(paths[2])]


def drawn(folder: Path, files: list[str], study: Path = STUDY) -> pd.DataFrame:
    outputs = [str(folder / f"figure.{suffix}") for suffix in plotting.FORMATS]
    plot_scores.main(["--study", str(study), *files, "--output", *outputs])
    return pd.read_csv(outputs[-1], low_memory=False)


def test_figure_tests_all_scores_together(files, tmp_path):
    table = drawn(tmp_path, files)
    rows = table[table["part"] == "regression"].set_index("score")
    assert list(rows.index) == [*plot_scores.SCORES, *(f"{name}_reference" for name in FURTHER)]
    assert rows.loc["kernel_distance_reference", "p_holm"] < 0.001
    assert rows["p_holm"].drop("kernel_distance_reference").min() > 0.05
    assert (rows["p_holm"] >= rows["p"]).all()
    assert rows.loc["kernel_distance_reference", "partial"] > 0.99
    real = table[(table["part"] == "configuration") & (table["source"] == "real")]
    assert real["memorisation_reference"].isna().all()


def test_study_without_measures_draws_and_tests_as_before(files, tmp_path):
    keys = r"  features: \[reference\]\n  measures: .*\n"
    text, count = re.subn(keys, "", STUDY.read_text(encoding="utf-8"))
    assert count == 1
    study = tmp_path / STUDY.name
    study.write_text(text, encoding="utf-8")
    table = drawn(tmp_path, files, study)
    rows = table[table["part"] == "regression"]
    assert list(rows["score"]) == list(plot_scores.SCORES)
    assert not {"p", "p_holm", "memorisation_reference"} & set(table)


def test_measure_that_some_lack_is_in_no_regression(files, tmp_path):
    further = json.loads(Path(files[2]).read_text())
    for entry in further[:2]:
        entry["memorisation_reference"] = None
    path = tmp_path / "further.json"
    path.write_text(json.dumps(further))
    table = drawn(tmp_path, [*files[:2], str(path), *files[3:]])
    rows = table[table["part"] == "regression"].set_index("score")
    assert rows["coefficient"].isna().tolist() == [False] * 9 + [True]
    assert rows["spearman"].notna().all()


def test_table_has_measures_and_the_interval_of_memorisation(files, tmp_path):
    outputs = [str(tmp_path / f"table.{suffix}") for suffix in tables.FORMATS]
    tabulate_configurations.main(["--study", str(STUDY), *files, "--output", *outputs])
    text = Path(outputs[1]).read_text()
    assert "kernel distance (reference)" in text
    assert text.count("[0.125, 0.250]") == 14
    assert "95 % bootstrap interval" in text
    assert "memorisation_low_reference" in pd.read_csv(outputs[0])


@pytest.mark.parametrize("name", ["scores", "configurations"])
def test_caption_states_measures_and_number_of_tests(name, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    study = load_study(STUDY)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered(name, "digits_extensions", study))
    assert "kernel distance (reference), density (reference)" in text
    assert ("Holm's method for 10 tests" in text) == (name == "scores")
    assert "emorisation" in text
    text = rendered(name, "digits", load_study(ROOT / "studies/digits.yaml"))
    assert "Further measures" not in text


def test_names_of_scores_have_the_feature_space():
    assert score_name("fid") == "FID"
    assert score_name("frechet_distance_dinov2") == "Fréchet distance (DINOv2)"
    assert score_name("cmmd_clip") == "CMMD (CLIP)"
