"""The complete smoke study: every figure and table, and the same bytes after an interruption."""

import json
import os
import re
import signal
import subprocess
import time

import pandas as pd
import pytest

from synscale.study.models import Figures, Tables
from tests.support.shared import digests
from tests.support.workflow import SNAKEMAKE

pytestmark = pytest.mark.slow
ELSEWHERE = {"repetition", "selection"}  # figures that test_published_results.py draws
FIGURES = [name for name in Figures.model_fields if name not in ELSEWHERE]
TABLES = list(Tables.model_fields)


# -- from nothing to figures -----------------------------------------------------------------------


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_made_in_every_format(finished, figure):
    folder = finished.folder / "figures/smoke"
    assert (folder / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / f"{figure}.svg").read_text()
    assert len(pd.read_csv(folder / f"{figure}.csv")) > 0


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_made_for_programs_and_for_readers(finished, table):
    folder = finished.folder / "tables/smoke"
    assert len(pd.read_csv(folder / f"{table}.csv")) > 0
    assert "| " in (folder / f"{table}.md").read_text()


def test_run_ends_with_the_place_of_the_figures(finished):
    printed = (finished.folder / "printed.txt").read_text()
    assert "Results are in figures/smoke/, tables/smoke/" in printed
    assert re.search(r"\d+ of \d+ steps \(100%\) done", printed)


def test_clip_models_are_evaluated_on_sets_and_tasks(finished):
    table = pd.read_parquet(finished.folder / "results/smoke/clip_metrics/both/clip_tiny.parquet")
    overall = table[table["class_id"].isna()]
    assert set(overall["evaluation"]) == {
        "one_writer",
        "other_writer",
        "outlines",
        "printed",
        "misread",
        "parity",
        "ink",
    }
    assert sorted(set(overall["size"])) == [20, 40, 80]
    assert (overall["logit_scale"] > 1).all() and (overall["cross_entropy"] > 0).all()
    whole, some = (
        overall.loc[overall["evaluation"] == name, "images"].iloc[0] for name in ("parity", "ink")
    )
    assert whole == overall.loc[overall["evaluation"] == "one_writer", "images"].iloc[0] > some > 0


def test_scores_hold_every_guidance_scale(finished):
    scores = json.loads(
        (finished.folder / "results/smoke/scores/diffusion_class_names.json").read_text()
    )
    assert [entry["guidance"] for entry in scores] == [1.0, 1.5]
    assert all(
        0 <= entry["recognizability"] <= 1
        and entry["diversity"] > 0
        and len(entry["per_class"]) == 10
        for entry in scores
    )


def test_table_has_a_row_per_configuration_and_size(finished):
    table = pd.read_csv(finished.folder / "tables/smoke/supervised.csv")
    # Two curves at three sizes, two more configurations at the sweep's, a mixture at two.
    assert len(table) == 3 + 3 + 1 + 1 + 2
    assert (table["seeds"] == 2).all()


def test_nothing_is_left_half_written(finished):
    assert not list(finished.folder.rglob("*.part*"))
    assert not list((finished.folder / ".state").rglob("*.state"))


def test_killed_study_resumes_to_the_same_bytes(finished, workflow):
    """Everything in another folder, snakemake and its jobs killed on the way: every shard, model,
    metric, fit and figure is the same.
    """
    killed = subprocess.Popen(
        [SNAKEMAKE],
        cwd=workflow.folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not list(
        workflow.folder.glob("results/smoke/images/*/*.parquet")
    ):  # jobs of several stages are done, others are running
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (workflow.folder / "figures/smoke/supervised_scaling.pdf").exists()
    workflow.run("--unlock")
    workflow.run()
    assert not list(workflow.folder.rglob("*.part*"))
    for folder in ("results", "figures", "tables"):
        resumed = digests(workflow.folder / folder)
        assert resumed
        assert resumed == digests(finished.folder / folder)
