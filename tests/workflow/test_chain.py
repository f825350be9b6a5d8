"""One chain of real jobs through Snakemake, from prompts to a figure: what each stage writes."""

import json
import os

import pandas as pd
import pytest

from synscale.data import shards
from synscale.study.load import load_study
from synscale.workflow import finished_shards
from synscale.workflow.paths import image_files
from tests.support.workflow import SMOKE

MANIFEST = {
    "key",
    "class_name",
    "prompt",
    "recipe",
    "seed",
    "guidance",
    "steps",
    "sampler",
    "generator",
    "revision",
    "sha256",
}


def test_figure_is_written_in_every_format(chain):
    folder = chain.folder / "figures/smoke"
    assert (folder / "supervised_scaling.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "supervised_scaling.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "supervised_scaling.svg").read_text()
    assert len(pd.read_csv(folder / "supervised_scaling.csv")) > 0


def test_table_is_written_for_programs_and_readers(chain):
    folder = chain.folder / "tables/smoke"
    assert len(pd.read_csv(folder / "hyperparameters.csv")) > 0
    assert "| " in (folder / "hyperparameters.md").read_text()


def test_run_ends_with_the_folders_of_its_results(chain):
    printed = (chain.folder / "printed.txt").read_text()
    assert "Results are in figures/smoke/, tables/smoke/\n" in printed


def assert_permissions(folder, mode: int, *suffixes: str) -> None:
    """Every file that jobs wrote below a folder has these permissions; some have these suffixes."""
    places = [folder / name for name in ("results", "figures", "tables", "logs")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".safetensors", ".json", ".tar", *suffixes}
    assert [path for path in files if path.stat().st_mode & 0o777 != mode] == []


def test_all_results_have_the_permissions_of_the_umask(chain):
    mode = (chain.folder / "config.yaml").stat().st_mode & 0o777  # written with the same umask
    assert_permissions(
        chain.folder, mode, ".parquet", ".pdf", ".svg", ".csv", ".md", ".tsv", ".log"
    )


@pytest.mark.slow
def test_group_may_write_outputs_of_umask_002(workflow):
    before = os.umask(0o002)
    try:
        workflow.run("results/smoke/generators/diffusion")
    finally:
        os.umask(before)
    assert_permissions(workflow.folder, 0o664)


def test_law_has_exponents_with_intervals_and_objective(chain):
    law = json.loads((chain.folder / "results/smoke/laws/supervised.json").read_text())
    curves = {(curve["source"], curve["guidance"]) for curve in law["curves"]}
    assert curves == {("real", None), ("diffusion_class_names", 1.5)}
    for curve in law["curves"]:
        low, high = curve["k_interval"]
        assert low <= curve["k"] <= high
        assert curve["sizes"] == [10, 20, 40]
        assert "least squares" in curve["objective"]
        assert curve["all_sizes"]["reason"]


def test_metrics_are_overall_and_per_class_on_every_set(chain):
    table = pd.read_parquet(chain.folder / "results/smoke/metrics/real/vit_tiny.parquet")
    run = table[(table["size"] == 40) & (table["seed"] == 0)]
    rows = run[run["evaluation"] == "one_writer"]
    overall, classes = rows[rows["class_id"].isna()], rows[rows["class_id"].notna()]
    assert sorted(classes["class_id"]) == list(range(10))
    for measure in ("top1", "cross_entropy"):
        mean = (classes[measure] * classes["images"]).sum() / classes["images"].sum()
        assert overall[measure].item() == pytest.approx(mean)
    evaluations = {"one_writer", "other_writer", "outlines", "printed", "misread"}
    assert set(table["evaluation"]) == evaluations


def test_images_are_nested_balanced_and_generated_once(chain):
    study = load_study(SMOKE)
    tars = [chain.folder / tar for tar in image_files(study, "diffusion_class_names")]
    manifest = pd.concat([pd.read_parquet(shards.manifest_path(tar)) for tar in tars])
    assert not manifest.duplicated(["guidance", "image"]).any()
    assert manifest["seed"].is_unique
    for scale, count in study.sources["diffusion_class_names"].images.items():
        images = manifest[manifest["guidance"] == scale]
        assert images["image"].tolist() == list(range(count))
        for size in (10, 20, 40):
            assert images["class_id"].head(min(size, count)).value_counts().nunique() == 1
    assert set(manifest) >= MANIFEST


def test_list_is_trusted_under_the_settings_of_its_job(chain):
    """The settings that a job writes into a list are those that a plan compares with."""
    path = "smoke/shard_index/diffusion_class_names/00001.csv"
    study = load_study(chain.study)
    assert path in finished_shards.finished_indexes({"smoke": study}, chain.folder)
    assert (chain.folder / "results" / path).read_text().count("\n") == 3


def test_no_partial_file_or_state_is_left(chain):
    assert not list(chain.folder.rglob("*.part*"))
    assert not list((chain.folder / ".state").rglob("*.state"))


def test_run_of_another_study_ends_with_its_folders(workflow):
    workflow.study.with_name("mine.yaml").write_text(workflow.study.read_text())
    output = workflow.run("tables/mine/hyperparameters.csv")
    assert "Results are in tables/mine/\n" in output
    assert "Results are in" not in workflow.run("results/mine/prompts/class_names.parquet")
