"""Tables of the digits study from simulated results: complete, tidy, and readable."""

import json
from pathlib import Path

import pandas as pd
import pytest

from scripts import (
    tabulate_configurations,
    tabulate_hyperparameters,
    tabulate_laws,
    tabulate_metrics,
    tabulate_prompts,
)
from synscale.analysis import laws
from synscale.report import tables
from synscale.workflow.runs import training_runs
from synscale.workflow.settings.tables import table_settings
from synscale.workflow.shards import synthetic_sources
from tests.support.simulated_results import Results, simulate, tabulate


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """Simulated results of the digits study."""
    return simulate(tmp_path_factory.mktemp("results"))


# -- numbers and cells -----------------------------------------------------------------------------
def test_numbers_are_rounded_for_readers():
    assert tables.number(-0.004) == "0.00"
    assert tables.number(-1234.56, 1) == "−1,234.6"
    assert tables.number(float("inf")) == "∞"
    assert tables.number(None) == ""
    assert tables.interval(0.25, 0.2, float("inf")) == "0.25 [0.20, ∞]"
    assert tables.interval(0.25, None, None) == "0.25"
    assert tables.spread(0.5, float("nan")) == "0.50"
    assert tables.sizes([480, 30, 480]) == "30 to 480"


def test_cell_cannot_end_its_row():
    assert "a\\|b c" in tables.markdown(pd.DataFrame({"x": ["a|b\nc"]}))


# -- tables ----------------------------------------------------------------------------------------
def test_prompts_are_those_of_the_first_images(results, tmp_path):
    tidy, text = tabulate(
        tabulate_prompts,
        tmp_path,
        "--classes",
        results.study.classes,
        "--prompts",
        *reversed(results.prompts),
    )
    assert list(tidy["recipe"].drop_duplicates()) == list(results.study.recipes)
    assert (
        tidy.groupby("recipe")["class"].agg(list).map(lambda names: names == ["zero", "one"]).all()
    )
    assert (tidy["texts"] == 3).all()
    assert "captions \\| 0 0" in text


def test_every_configuration_has_scores_and_accuracy(results, tmp_path):
    tidy, text = tabulate(
        tabulate_configurations,
        tmp_path,
        "--scores",
        *results.scores,
        "--metrics",
        *results.metrics,
    )
    assert len(tidy) == 1 + sum(
        len(results.study.sources[s].images) for s in synthetic_sources(results.study)
    )
    assert tidy.loc[tidy["source"] == "real", ["fid", "precision", "recall"]].isna().all(axis=None)
    assert tidy["lpips"].notna().all()
    assert (tidy["size"] == 480).all()
    assert (tidy["seeds"] == 3).all()
    assert "480 of these images" in text


@pytest.mark.parametrize("table", ["supervised", "ood", "clip"])
def test_every_run_is_in_its_table(results, tmp_path, table):
    tidy, text = tabulate(
        tabulate_metrics,
        tmp_path,
        "--table",
        table,
        "--metrics",
        *(results.clip_metrics if table == "clip" else results.metrics),
    )
    architectures = (
        results.study.clip if table == "clip" else results.study.classifiers
    ).architectures
    runs = [run for run in training_runs(results.study) if run.architecture in architectures]
    evaluations = table_settings(results.study, table).evaluations
    assert tidy["seeds"].sum() == len(runs) * len(evaluations)
    assert list(tidy["evaluation"].drop_duplicates()) == evaluations
    assert ("logit_scale" in tidy) == (table == "clip") == ("logit scale" in text)
    assert "real and synthetic" in text if table == "clip" else "30 real" in text
    assert "hypernyms" not in text  # trained at only one size: in the csv


def test_table_without_metrics_is_refused(results, tmp_path):
    with pytest.raises(ValueError, match="no metrics on parity"):
        tabulate(tabulate_metrics, tmp_path, "--table", "clip", "--metrics", *results.metrics)


def test_hyperparameters_are_those_of_the_study(tmp_path):
    tidy, text = tabulate(tabulate_hyperparameters, tmp_path)
    value = tidy.set_index(["part", "name", "key"])["value"]
    assert value["generators", "diffusion", "training.learning_rate"] == "0.002"
    assert value["classifiers: training by size", "480 images", "epochs"] == "13.3"
    assert "diffusion" in text


def test_every_law_is_in_the_table(results, tmp_path):
    files = ["--laws", *results.laws, "--histories", *results.histories]
    tidy, text = tabulate(tabulate_laws, tmp_path, *files)
    assert list(tidy["law"].drop_duplicates()) == list(results.study.laws)
    row = tidy[
        (tidy["law"] == "supervised")
        & (tidy["source"] == "real")
        & (tidy["architecture"] == "vit_small")
    ].iloc[0]
    assert row["k"] == pytest.approx(0.6, abs=0.02)
    assert row["k_low"] < row["k"] < row["k_high"]
    assert (row["smallest"], row["largest"], row["sizes"], row["seeds"]) == (30, 480, 5, 3)
    assert row["still_falling"] == "5 of 15"
    assert "mean loss of v2, sketch" in text


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([1, 1], "of one seed"),
        ([3], "mean ± standard deviation over 3 seeds"),
        ([3, 1], "over 1 to 3 seeds"),
    ],
)
def test_one_seed_has_no_spread(counts, said):
    assert said in tables.over_seeds(counts)


def test_curve_that_hardly_falls_has_no_scale(results, tmp_path):
    law = json.loads(Path(results.laws[0]).read_text())
    for curve in law["curves"]:
        curve |= laws.fit("power", [30, 60, 120, 240], [2.3, 2.2995, 2.3005, 2.2999]).as_json()
    (tmp_path / f"{Path(results.laws[0]).name}").write_text(json.dumps(law))
    tidy, _ = tabulate(
        tabulate_laws,
        tmp_path,
        "--laws",
        str(tmp_path / Path(results.laws[0]).name),
        "--histories",
        *results.histories,
    )
    assert tidy["scale"].isna().all()
