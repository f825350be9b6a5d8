"""Bundles of published results: what Snakemake plans after one was opened in a new tree."""

import re
import tarfile

import pytest

from benchmarks import planned_workflow
from synscale.runtime import archive
from tests.support.bundles import run_bundle
from tests.support.workflow import Workflow, in_fork

COPIED = ("scripts", "synscale", "data")
EXPENSIVE = {
    "prepare_data",
    "write_prompts",
    "train_generator",
    "generate",
    "index_shards",
    "train_classifiers",
    "evaluate",
    "train_clip",
    "evaluate_clip",
    "score",
}
METRICS = "results/smoke/metrics/real/vit_tiny.parquet"
LIMITED = "figures/smoke/limited_real"
OF_MIXTURE = "results/smoke/metrics/real_10/vit_tiny.parquet"


def draw_figures(workflow: Workflow) -> None:
    """Mark every job that is left as done, with empty outputs."""
    status, printed = in_fork(planned_workflow.mark_done, workflow.folder, [])
    assert status == 0, printed


@pytest.fixture(scope="module")
def bundle(no_jobs_left, tmp_path_factory):
    """A bundle of the finished smoke study, whose files are empty."""
    folder = tmp_path_factory.mktemp("bundle")
    workflow = no_jobs_left.copy(folder / "workflow")
    run_bundle(workflow, "create", "smoke", "--output", folder / "smoke.tar.xz")
    return folder / "smoke.tar.xz"


@pytest.fixture(scope="module")
def partial(no_jobs_left, tmp_path_factory):
    """A bundle without the results of a mixture, with generators, and what `create` printed."""
    folder = tmp_path_factory.mktemp("partial")
    workflow = no_jobs_left.copy(folder / "workflow")
    for path in [OF_MIXTURE, *(f"{LIMITED}.{suffix}" for suffix in ("pdf", "svg", "png", "csv"))]:
        (workflow.folder / path).unlink()
    for name in ("diffusion", "masked"):
        weights = workflow.folder / f"results/smoke/generators/{name}/unet/a.safetensors"
        weights.parent.mkdir()
        weights.write_bytes(bytes(1000))
    options = ["--partial", "--weights", "--output", folder / "smoke.tar.xz"]
    printed = run_bundle(workflow, "create", "smoke", *options)
    return folder / "smoke.tar.xz", printed


@pytest.fixture(scope="module")
def opened_once(bundle, tmp_path_factory):
    """A new tree with the bundle opened, before anything is drawn, and what `open` printed."""
    workflow = Workflow.create(tmp_path_factory.mktemp("opened") / "workflow", copied=COPIED)
    return workflow, run_bundle(workflow, "open", bundle)


@pytest.fixture
def opened(opened_once, tmp_path):
    workflow, _ = opened_once
    return workflow.copy(tmp_path / "workflow")


@pytest.fixture
def drawn(opened):
    draw_figures(opened)
    return opened


def test_bundle_has_what_cheap_jobs_read_and_nothing_else(bundle):
    manifest, files = archive.read(bundle)
    kinds = {name.split("/")[2] for name in files if name.startswith("results/")}
    assert kinds == {
        "metrics",
        "histories",
        "clip_metrics",
        "clip_histories",
        "scores",
        "laws",
        "prompts",
        "published",
    }
    others = {name for name in files if not name.startswith("results/")}
    assert others == {"studies/smoke.yaml", "data/digits_classes.csv"}
    tars = [name for name in files if name.endswith(".tar")]
    assert tars
    assert all("/published/shards/" in name for name in tars)
    assert all(name.replace(".tar", ".parquet") in files for name in tars)
    assert "results/smoke/published/figures/teaser.csv" in files
    assert "results/smoke/published/tables/claims.csv" in files
    assert manifest["missing"] == []
    assert manifest["machine"]["cores"] >= 1
    assert {"python", "numpy", "snakemake"} <= manifest["versions"].keys()


def test_archive_is_readable_by_tar(bundle):
    with tarfile.open(bundle) as tar:
        assert {member.mtime for member in tar} == {0}


def test_same_results_give_the_same_bundle(bundle, no_jobs_left, tmp_path):
    workflow = no_jobs_left.copy(tmp_path / "workflow")
    run_bundle(workflow, "create", "smoke", "--output", "smoke.tar.xz")
    assert (workflow.folder / "smoke.tar.xz").read_bytes() == bundle.read_bytes()


def test_opened_bundle_leaves_figures_and_tables_to_do(opened_once):
    workflow, printed = opened_once
    assert "next: snakemake --config study=smoke" in printed
    planned = workflow.planned()
    assert {re.sub("_.*", "", rule) for rule in planned} == {"plot", "tabulate", "write"}
    assert not EXPENSIVE & planned.keys()
    assert workflow.planned("figures/smoke/teaser.pdf") == {"plot_teaser": 1}


def test_nothing_is_left_after_the_figures(drawn):
    assert drawn.planned() == {}


def test_opening_twice_changes_nothing(opened, bundle):
    before = (opened.folder / METRICS).stat().st_mtime_ns
    assert "0 files written" in run_bundle(opened, "open", bundle)
    assert (opened.folder / METRICS).stat().st_mtime_ns == before


def test_edited_plot_redraws_only_its_figure(drawn):
    drawn.edit("guidance scale", "guidance weight", "scripts/plot_configuration_sweep.py")
    assert drawn.planned() == {"plot_configuration_sweep": 1, "write_provenance": 1}


def test_edited_law_is_fitted_again(drawn):
    drawn.edit("evaluation: printed, sizes", "evaluation: misread, sizes")
    planned = drawn.planned()
    assert planned["fit_laws"] == 1
    assert "tabulate_laws" in planned
    assert not EXPENSIVE & planned.keys()


def test_edited_training_needs_its_images_again(drawn):
    drawn.edit("learning_rate: 5.0e-3", "learning_rate: 6.0e-3")
    planned = drawn.planned()
    assert planned["train_classifiers"] == planned["evaluate"] == 4
    rules = {"prepare_data", "train_generator", "generate", "index_shards", "fit_laws"}
    assert rules <= planned.keys()
    assert not {"train_clip", "evaluate_clip"} & planned.keys()


def test_edited_generator_reruns_what_depends_on_it(drawn):
    drawn.edit("iterations: 20", "iterations: 21")  # training of the generator `diffusion`
    planned = drawn.planned()
    assert planned["train_generator"] == 1
    # Trained on its images: two classifier groups and two of pairs. The reference of the scores
    # is trained again, too, as bundles have no classifiers.
    assert (planned["train_classifiers"], planned["train_clip"]) == (3, 2)
    assert planned["evaluate"] == 2


def test_deleted_result_is_computed_again(drawn):
    (drawn.folder / METRICS).unlink()
    planned = drawn.planned(METRICS)
    assert planned["evaluate"] == planned["train_classifiers"] == 1


def test_published_result_as_a_target_is_refused(opened):
    printed = opened.dry_run(METRICS, check=False)
    assert f"{METRICS}: exists, and no rule creates it as it is finished" in printed
    assert opened.planned(METRICS, "--config", "published_results=false") == {}


# -- partial bundles


def test_unfinished_study_is_refused(no_jobs_left, tmp_path):
    workflow = no_jobs_left.copy(tmp_path / "workflow")
    (workflow.folder / METRICS).unlink()
    printed = run_bundle(workflow, "create", "smoke", fails=True)
    assert "studies/smoke.yaml: not finished (" in printed
    assert "results are missing or out of date); run snakemake --config study=smoke" in printed


def test_study_without_results_is_refused(workflow):
    printed = run_bundle(workflow, "create", "smoke", "--partial", fails=True)
    assert "studies/smoke.yaml: no results yet; run snakemake first" in printed


def test_partial_bundle_lists_what_is_missing(partial):
    path, printed = partial
    manifest, files = archive.read(path)
    assert OF_MIXTURE in manifest["missing"]
    assert f"{LIMITED}.csv" in manifest["missing"]
    assert OF_MIXTURE not in files
    assert "results/smoke/published/figures/limited_real.csv" not in files
    assert "results/smoke/generators/diffusion/unet/a.safetensors" in files
    assert "partial: " in printed


def test_opened_partial_bundle_continues_where_the_study_stopped(partial, tmp_path):
    """The images of a mixture are generated again; trainings on the same images stay."""
    workflow = Workflow.create(tmp_path / "workflow", copied=COPIED)
    printed = run_bundle(workflow, "open", partial[0])
    assert "results are missing and will be computed" in printed
    planned = workflow.planned()
    assert planned["train_classifiers"] == planned["evaluate"] == 1
    assert {"prepare_data", "generate", "index_shards"} <= planned.keys()
    assert not {"train_generator", "train_clip", "score", "write_prompts"} & planned.keys()


def test_bundle_of_a_continued_study_has_the_opened_results(partial, tmp_path):
    workflow = Workflow.create(tmp_path / "workflow", copied=COPIED)
    run_bundle(workflow, "open", partial[0])
    draw_figures(workflow)
    run_bundle(workflow, "create", "smoke", "--output", "smoke.tar.xz")
    first, _ = archive.read(partial[0])
    second, files = archive.read(workflow.folder / "smoke.tar.xz")
    assert second["missing"] == []
    assert OF_MIXTURE in files
    stay = [name for name in first["files"] if "/generator" not in name]
    assert set(stay) <= files.keys()
    created = {"written", "commit", "machine"}
    assert [entry.keys() for entry in second["earlier"]] == [created]


def test_too_large_weights_are_refused(no_jobs_left, tmp_path):
    workflow = no_jobs_left.copy(tmp_path / "workflow")
    weights = workflow.folder / "results/smoke/generators/diffusion/a.safetensors"
    weights.write_bytes(bytes(300_000))
    printed = run_bundle(workflow, "create", "smoke", "--weights", "0.2", fails=True)
    assert "results/smoke/generators: too large (0.3 MB, expected at most 0.2)" in printed


# -- bundles that do not fit


def test_unknown_study_is_refused(workflow):
    printed = run_bundle(workflow, "create", "smok", fails=True)
    assert "studies/smok.yaml: no such study file; studies here: smoke" in printed


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("iterations: 20", "iterations: 21", "training.iterations (found 21, expected 20)"),
        (
            "evaluation: printed, sizes",
            "evaluation: misread, sizes",
            "laws.supervised_printed.evaluation (found 'misread', expected 'printed')",
        ),
    ],
)
def test_other_version_of_the_study_is_refused(bundle, workflow, old, new, difference):
    workflow.edit(old, new)
    printed = run_bundle(workflow, "open", bundle, fails=True)
    assert f"{bundle}: of another version of studies/smoke.yaml; check out commit " in printed
    assert difference in printed
    assert not (workflow.folder / "results/smoke/metrics").exists()


def test_study_with_other_labels_fits(bundle, workflow):
    workflow.edit("# Every stage", "# Each stage")
    workflow.edit("label: tiny ViT", "label: small ViT")
    run_bundle(workflow, "open", bundle)
    assert "small ViT" in workflow.study.read_text()


def test_missing_study_is_put_in_place(bundle, workflow):
    text = workflow.study.read_text()
    workflow.study.unlink()
    run_bundle(workflow, "open", bundle)
    assert workflow.study.read_text() == text


def test_files_that_exist_and_differ_are_listed(bundle, workflow):
    path = workflow.folder / METRICS
    path.parent.mkdir(parents=True)
    path.write_text("others")
    printed = run_bundle(workflow, "open", bundle, fails=True)
    assert f"{bundle}: 1 files exist and differ; move them away" in printed
    assert f"{METRICS} (found {archive.sha256(b'others')}, expected " in printed
    assert path.read_text() == "others"


def test_other_format_is_refused(bundle, workflow):
    manifest, files = archive.read(bundle)
    archive.write(workflow.folder / "new.tar.xz", files, manifest | {"format": 2})
    printed = run_bundle(workflow, "open", "new.tar.xz", fails=True)
    assert "another format of bundles (found 2, expected 1); update the workflow" in printed


def test_other_file_is_refused(workflow):
    printed = run_bundle(workflow, "open", "config.yaml", fails=True)
    assert "config.yaml: not a bundle, or damaged" in printed


# -- comparison with what was published


def test_compare_reports_missing_and_different_results(drawn):
    assert "figures and tables are as published" in run_bundle(drawn, "compare", "smoke")
    (drawn.folder / "figures/smoke/teaser.csv").write_text("x\n1\n")
    (drawn.folder / "tables/smoke/claims.csv").unlink()
    printed = run_bundle(drawn, "compare", "smoke", fails=True)
    assert "studies/smoke.yaml: 2 of " in printed
    assert "tables/smoke/claims.csv: missing; run snakemake" in printed
    assert "figures/smoke/teaser.csv: " in printed


def test_compare_needs_an_opened_bundle(workflow):
    printed = run_bundle(workflow, "compare", "smoke", fails=True)
    assert "results/smoke/published: no published figures or tables" in printed
