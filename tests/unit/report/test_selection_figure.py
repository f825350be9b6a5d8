"""Figure `selection` of simulated losses: images generated, and the worth of a selected image."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts import fit_laws, plot_exchange_rate, plot_scaling, plot_selection
from synscale.report import plotting
from synscale.study.load import load_study
from synscale.workflow.settings.laws import law_settings
from tests.support.captions import rendered
from tests.support.workflow import ROOT

STUDY = ROOT / "studies/digits_extensions.yaml"
# Images of the complete source that each selected image is worth.
WORTH = {"recognizable": 3.0, "diverse": 1.2}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Options with metrics of a known law, and with the fit."""
    folder = tmp_path_factory.mktemp("selection")
    random = np.random.default_rng(0)
    settings = law_settings(load_study(STUDY), "supervised")
    rows = []
    for run in settings.experiments:
        for (source, guidance), name, size, seed in product(
            run.curves, run.architectures, run.sizes, run.seeds
        ):
            loss = (30 / (WORTH.get(source, 1.0) * size)) ** 0.3 * np.exp(random.normal(0, 0.003))
            rows.append((source, guidance, name, size, seed, loss))
    columns = ["source", "guidance", "architecture", "size", "seed", "cross_entropy"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.assign(top1=0.5, evaluation="unseen_writers", class_id=pd.NA)
    metrics, law = folder / "metrics.parquet", folder / "supervised.json"
    table.astype({"guidance": "Float64", "class_id": "Int64"}).to_parquet(metrics)
    options = ["--study", str(STUDY), "--metrics", str(metrics)]
    fit_laws.main([*options, "--law", "supervised", "--output", str(law)])
    return [*options, "--laws", str(law)]


def drawn(script, folder: Path, *options: str) -> pd.DataFrame:
    outputs = [str(folder / f"figure.{suffix}") for suffix in plotting.FORMATS]
    script.main([*options, "--output", *outputs])
    return pd.read_csv(outputs[-1], low_memory=False)


def test_worth_of_a_selected_image_is_that_of_the_simulation(files, tmp_path):
    table = drawn(plot_selection, tmp_path, *files)
    worth = table[table["part"] == "worth"]
    for source, expected in WORTH.items():
        rows = worth[worth["source"] == source]
        assert (rows["generated_for_one"] == 2).all()
        assert (rows["worth_low"] < expected).all() and (rows["worth_high"] > expected).all()
        assert np.allclose(rows["worth"], expected, rtol=0.1)


def test_csv_counts_the_images_that_are_generated(files, tmp_path):
    table = drawn(plot_selection, tmp_path, *files)
    runs = table[table["part"] == "runs"].set_index("source")
    selected, everything = runs.loc[["recognizable", "diverse"]], runs.loc["diffusion_class_names"]
    assert (selected["images_generated"] == 2 * selected["size"]).all()
    assert (everything["images_generated"] == everything["size"]).all()
    assert np.allclose(runs["k"], 0.3, atol=0.01)


def test_supervised_scaling_counts_the_images_that_are_generated(files, tmp_path):
    options = [*files, "--scaling", "supervised_scaling"]
    table = drawn(plot_scaling, tmp_path, *options).set_index("source")
    selected = table.loc["diverse"]
    assert (selected["images_generated"] == 2 * selected["size"]).all()
    assert table.loc["real", "images_generated"].isna().all()


@pytest.mark.parametrize("name", ["selection", "supervised_scaling"])
def test_caption_states_the_real_images_behind_the_selection(name, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered(name, "digits_extensions", load_study(STUDY)))
    expected = "30 of each 60 images by recognizability, with a classifier that is trained on 480"
    assert expected in text
    assert ("held out from every training" in text) == (name == "selection")


def test_exchange_rate_counts_the_images_that_are_generated(files, tmp_path):
    text = STUDY.read_text()
    keys = "{law: supervised, architecture: vit_small, curves: [{source: recognizable}]}"
    study = tmp_path / STUDY.name
    study.write_text(text.replace("exchange_rate: auto", f"exchange_rate: {keys}"))
    options = ["--study", str(study), *files[2:4]]
    table = drawn(plot_exchange_rate, tmp_path, *options)
    assert np.allclose(table["rate_generated"], 2 * table["rate"])
    assert np.allclose(table["rate"], 1 / WORTH["recognizable"], rtol=0.1)
