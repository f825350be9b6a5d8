"""The workflow from the outside: targets, plans, and what runs again when something changes."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from scripts.lib import jobs, shards
from scripts.lib.study import Figures, Tables
from scripts.lib.study_file import load
from tests.support.workflow import ROOT, SNAKEMAKE

FIGURES, TABLES = list(Figures.model_fields), list(Tables.model_fields)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name[0] != "."
    }


@contextlib.contextmanager
def edited(workflow, old, new, path="studies/smoke.yaml"):
    """Change a file for a while; content and time of change are put back."""
    file = workflow.folder / path
    text, times = file.read_text(), (file.stat().st_atime, file.stat().st_mtime)
    workflow.edit(old, new, path)
    try:
        yield
    finally:
        file.write_text(text)
        os.utime(file, times)


# -- from nothing to figures ---------------------------------------------------------------------------------------------------------


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


def test_the_run_ends_by_saying_where_the_figures_are(finished):
    assert "What was asked for is in figures/smoke/, tables/smoke/" in finished.output
    assert re.search(r"\d+ of \d+ steps \(100%\) done", finished.output)


def test_of_another_study_than_the_default_one_it_says_where_that_one_is(workflow):
    workflow.study.with_name("mine.yaml").write_text(workflow.study.read_text())
    assert "What was asked for is in tables/mine/\n" in workflow.run("tables/mine/hyperparameters.csv")
    assert "What was asked for" not in workflow.run("results/mine/prompts/class_names.parquet")


def test_the_law_of_each_curve_has_an_exponent_with_an_interval_and_its_objective(finished):
    law = json.loads((finished.folder / "results/smoke/laws/supervised.json").read_text())
    assert {(curve["source"], curve["guidance"]) for curve in law["curves"]} == {("real", None), ("diffusion_class_names", 1.5)}
    for curve in law["curves"]:
        low, high = curve["k_interval"]
        assert low <= curve["k"] <= high
        assert curve["sizes"] == [10, 20, 40]
        assert "least squares" in curve["objective"]
        assert curve["all_sizes"]["reason"]


def test_metrics_are_overall_and_per_class_on_every_evaluation_set(finished):
    table = pd.read_parquet(finished.folder / "results/smoke/metrics/real/vit_tiny.parquet")
    one = table[(table["size"] == 40) & (table["seed"] == 0) & (table["evaluation"] == "one_writer")]
    overall, classes = one[one["class_id"].isna()], one[one["class_id"].notna()]
    assert sorted(classes["class_id"]) == list(range(10))
    for measure in ("top1", "cross_entropy"):
        assert overall[measure].item() == pytest.approx((classes[measure] * classes["images"]).sum() / classes["images"].sum())
    assert set(table["evaluation"]) == {"one_writer", "other_writer", "outlines", "printed", "misread"}


def test_clip_models_are_judged_on_sets_and_tasks(finished):
    table = pd.read_parquet(finished.folder / "results/smoke/clip_metrics/both/clip_tiny.parquet")
    overall = table[table["class_id"].isna()]
    assert set(overall["evaluation"]) == {"one_writer", "other_writer", "outlines", "printed", "misread", "parity", "ink"}
    assert sorted(set(overall["size"])) == [20, 40, 80]
    assert (overall["logit_scale"] > 1).all() and (overall["cross_entropy"] > 0).all()
    whole, some = (overall.loc[overall["evaluation"] == name, "images"].iloc[0] for name in ("parity", "ink"))
    assert whole == overall.loc[overall["evaluation"] == "one_writer", "images"].iloc[0] > some > 0


def test_scores_hold_every_guidance_scale(finished):
    scores = json.loads((finished.folder / "results/smoke/scores/diffusion_class_names.json").read_text())
    assert [entry["guidance"] for entry in scores] == [1.0, 1.5]
    assert all(0 <= entry["recognizability"] <= 1 and entry["diversity"] > 0 and len(entry["per_class"]) == 10 for entry in scores)


def test_the_table_has_a_row_for_each_configuration_and_size(finished):
    table = pd.read_csv(finished.folder / "tables/smoke/supervised.csv")
    assert len(table) == 3 + 3 + 1 + 1 + 2  # two curves at three sizes, two more configurations at the sweep's, a mixture at two
    assert (table["seeds"] == 2).all()


def test_nothing_is_left_half_written(finished):
    assert not list(finished.folder.rglob("*.part*"))
    assert not list((finished.folder / ".state").rglob("*.state"))


# -- what a manifest says ------------------------------------------------------------------------------------------------------------


def test_images_are_nested_balanced_and_made_once(finished):
    study = load(ROOT / "tests/workflow/smoke.yaml")
    tars = [finished.folder / tar for tar in jobs.image_files("smoke", study, "diffusion_class_names")]
    manifest = pd.concat([pd.read_parquet(shards.manifest_path(tar)) for tar in tars])
    assert not manifest.duplicated(["guidance", "image"]).any()
    assert manifest["seed"].is_unique
    for scale, count in study.sources["diffusion_class_names"].images.items():
        own = manifest[manifest["guidance"] == scale]
        assert own["image"].tolist() == list(range(count))
        for size in (10, 20, 40):
            assert own["class_id"].head(min(size, count)).value_counts().nunique() == 1
    small = shards.read_source(tars[:1])[1.5]
    large = shards.read_source(tars)[1.5]
    assert (large[0][: len(small[0])] == small[0]).all()
    assert {"key", "class_name", "prompt", "recipe", "seed", "guidance", "steps", "sampler", "generator", "revision", "sha256"} <= set(manifest)


def test_more_images_are_more_blocks_and_the_first_ones_stay(finished):
    with edited(finished, "1.5: 40}}", "1.5: 60}}"):
        planned = finished.planned("results/smoke/images/diffusion_class_names/00002.tar")
        assert planned == {"generate": 1}
        assert "generate" not in finished.planned("results/smoke/images/diffusion_class_names/00001.tar")


def test_killed_and_started_again_the_study_ends_with_the_same_bytes(finished, workflow):
    """Everything in another folder, snakemake and its jobs killed on the way: every shard, model, metric, fit and figure is the same."""
    killed = subprocess.Popen([SNAKEMAKE], cwd=workflow.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(workflow.folder.glob("results/smoke/images/*/*.parquet")):  # jobs of several stages are done, others are running
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (workflow.folder / "figures/smoke/supervised_scaling.pdf").exists()
    workflow.run("--unlock")
    workflow.run()
    assert not list(workflow.folder.rglob("*.part*"))
    for folder in ("results", "figures", "tables"):
        made = digests(workflow.folder / folder)
        assert made
        assert made == digests(finished.folder / folder)


# -- what runs again -----------------------------------------------------------------------------------------------------------------


def test_a_second_run_does_nothing(finished):
    assert "Nothing to be done" in finished.run("-n")


def test_touching_scripts_reruns_nothing(finished):
    for script in (finished.folder / "scripts").rglob("*.py"):
        os.utime(script)
    assert finished.planned() == {}


def test_a_comment_in_a_training_script_retrains_nothing(finished):
    for path in ("scripts/train_classifiers.py", "scripts/train_generator.py", "scripts/lib/classifier.py"):
        with edited(finished, "import json", "# a comment\nimport json", path):
            assert finished.planned() == {}


def test_editing_a_plotting_script_redraws_its_figure_alone(finished):
    with edited(finished, "guidance scale", "guidance weight", "scripts/plot_configuration_sweep.py"):
        assert finished.planned() == {"plot_configuration_sweep": 1, "write_provenance": 1}


def test_editing_one_source_reruns_its_branch_alone(finished):
    with edited(finished, "images: {1.5: 20}", "images: {2.0: 20}"):
        output = finished.run("-n")
    jobs_of = dict(re.findall(r"^rule (\w+):\n(?:.*\n)*?    wildcards: (.*)$", output, re.MULTILINE))
    changed = {rule for rule in jobs_of if rule in ("prepare_data", "write_prompts", "train_generator", "generate", "train_classifiers", "evaluate", "score")}
    assert changed == {"generate", "train_classifiers", "evaluate", "score"}
    assert set(re.findall(r"source=(\w+)", output)) == {"masked_captions"}


def test_editing_one_generator_reruns_its_sources_alone(finished):
    with edited(finished, "channels: [8, 8]", "channels: [8, 16]"):
        output = finished.run("-n")
    assert set(re.findall(r"source=(\w+)", output)) == {"diffusion_class_names", "diffusion_alt_texts", "real_10", "both"}
    assert set(re.findall(r"generator=(\w+)", output)) == {"diffusion"}


def test_a_new_sampler_does_not_train_the_generator_again(finished):
    with edited(finished, "sampler: dpmsolver++", "sampler: ddim"):
        planned = finished.planned()
    assert planned["generate"] == 2 + 2
    assert "train_generator" not in planned


def test_a_new_evaluation_set_trains_nothing(finished):
    one = "    other_writer: {kind: writers, forms: [3]}"
    with edited(finished, one, f"{one}\n    third_writer: {{kind: writers, forms: [4]}}"):
        planned = finished.planned()
    assert planned["prepare_data"] == 1
    assert (planned["evaluate"], planned["evaluate_clips"]) == (4, 3)
    assert not {"train_classifiers", "train_clips", "generate", "score"} & set(planned)
