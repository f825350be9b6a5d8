"""Published results end to end, and the bundles that the project ships."""

import os
import re
import shutil

import pytest

from synscale.runtime import archive
from synscale.workflow import bundles
from tests.support.bundles import COMMITTED, run_bundle
from tests.support.workflow import ROOT, Workflow

IDS = [path.name.removesuffix(".tar.xz") for path in COMMITTED]
LARGEST = 3_000_000  # bytes; the repository contains them
CHEAP = {"plot", "tabulate", "write_provenance", "fit_laws", "all"}


def rules_run(printed: str) -> set[str]:
    """Return the rules of the jobs that a run of Snakemake started."""
    return set(re.findall(r"^(?:local)?rule (\w+):", printed, re.MULTILINE))


def expensive(rules: set[str]) -> set[str]:
    return {rule for rule in rules if not {rule, rule.split("_")[0]} & CHEAP}


@pytest.fixture(scope="module")
def rebuilt(finished, tmp_path_factory):
    """A new tree with every figure from a bundle of the smoke study, and what was printed."""
    folder = tmp_path_factory.mktemp("rebuilt")
    source = finished.copy(folder / "source")
    run_bundle(source, "create", "smoke", "--output", folder / "smoke.tar.xz")
    shutil.rmtree(source.folder)
    copied = ("scripts", "synscale", "data")
    workflow = Workflow.create(folder / "workflow", copied=copied)
    run_bundle(workflow, "open", folder / "smoke.tar.xz")
    return workflow, workflow.run()


@pytest.mark.slow
def test_bundle_rebuilds_every_figure_and_table(rebuilt, finished):
    workflow, printed = rebuilt
    assert expensive(rules_run(printed)) == set()
    assert {"plot_samples", "plot_teaser", "tabulate_claims"} <= rules_run(printed)
    for kind in ("figures", "tables"):
        files = sorted((finished.folder / kind / "smoke").glob("*.csv"))
        assert files
        for file in files:
            assert (workflow.folder / kind / "smoke" / file.name).read_bytes() == file.read_bytes()
    assert "are as published" in run_bundle(workflow, "compare", "smoke")
    assert not (workflow.folder / "results/smoke/classifiers").exists()
    page = (workflow.folder / "provenance/smoke.html").read_text()
    assert "Published results that these are computed from" in page


@pytest.mark.slow
def test_edited_plot_redraws_only_its_figure(rebuilt, tmp_path):
    workflow = rebuilt[0].copy(tmp_path / "workflow")
    assert workflow.planned() == {}
    os.utime(workflow.folder / "scripts/plot_teaser.py")
    assert workflow.planned() == {}  # the same text
    workflow.edit('"""', '"""Edited. ', "scripts/plot_teaser.py")
    printed = workflow.run()
    assert rules_run(printed) == {"plot_teaser", "write_provenance", "all"}


def at_root(folder) -> Workflow:
    """The workflow with the project's studies and configuration."""
    workflow = Workflow.create(folder)
    shutil.copytree(ROOT / "studies", folder / "studies", dirs_exist_ok=True)
    workflow.study.unlink()
    shutil.copy(ROOT / "config.yaml", folder / "config.yaml")
    return workflow


@pytest.mark.parametrize("path", COMMITTED, ids=IDS)
def test_committed_bundle_fits_its_study(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    manifest, files = archive.read(path)
    assert manifest["study"] == path.name.removesuffix(".tar.xz")
    assert path.stat().st_size <= LARGEST
    # A developer's results may be others.
    inputs = {name: text for name, text in files.items() if not name.startswith("results/")}
    bundles.check(str(path), manifest, inputs)


@pytest.mark.slow
@pytest.mark.parametrize("path", COMMITTED, ids=IDS)
def test_committed_bundle_rebuilds_what_was_published(path, tmp_path):
    workflow = at_root(tmp_path / "workflow")
    run_bundle(workflow, "open", path)
    manifest, _ = archive.read(path)
    name = manifest["study"]
    missing = [file for file in manifest["missing"] if file.startswith(("figures/", "tables/"))]
    pages = [
        f"{kind}/{name}/{file.stem}.csv"
        for kind in ("figures", "tables")
        for file in (workflow.folder / f"results/{name}/published" / kind).glob("*.csv")
    ]
    assert pages
    assert not set(missing) & set(pages)
    printed = workflow.run(*pages)
    assert expensive(rules_run(printed)) == set()
    assert "are as published" in run_bundle(workflow, "compare", name)
