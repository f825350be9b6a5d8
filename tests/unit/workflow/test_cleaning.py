"""The command that removes intermediate files of a finished study."""

import json

import pytest

from scripts import clean
from synscale.study.load import load_study
from synscale.workflow.settings.figures import names_of
from synscale.workflow.settings.provenance import provenance_settings
from tests.support.workflow import ROOT, SMOKE

RESULTS = "results/smoke"
REMOVED = [
    f"{RESULTS}/images/masked_captions/00000.tar",
    f"{RESULTS}/images/diffusion_class_names/00001.tar",
    f"{RESULTS}/data/one_writer/00000.tar",
    f"{RESULTS}/shard_index/real/00001.csv",
    f"{RESULTS}/classifiers/real/vit_tiny/a.safetensors",
    f"{RESULTS}/generators/diffusion/unet/weights.safetensors",
    ".state/smoke/clip/both/vit_tiny/a.state",
]
STAYING = [
    f"{RESULTS}/images/diffusion_class_names/00000.tar",  # images of figure samples
    f"{RESULTS}/images/masked_captions/00000.parquet",
    f"{RESULTS}/metrics/real/vit_tiny.parquet",
    f"{RESULTS}/models/released/model.safetensors",
    "results/other/images/masked_captions/00000.tar",
]


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A folder with files of the smoke study, finished."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/smoke.yaml").write_text(SMOKE.read_text())
    load_study.cache_clear()
    study = load_study("studies/smoke.yaml")
    files = [f"figures/smoke/{name}.pdf" for name in names_of(study.figures)]
    files += [f"tables/smoke/{name}.csv" for name in names_of(study.tables)]
    for file in [*files, *REMOVED, *STAYING]:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    record = tmp_path / "provenance/smoke.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"settings": provenance_settings(study).digest()}))
    return tmp_path


def test_clean_removes_intermediate_files_only(finished, capsys):
    clean.main(["smoke"])
    assert not [file for file in REMOVED if (finished / file).exists()]
    assert all((finished / file).is_file() for file in STAYING)
    assert "freed 0.0 MB of study smoke" in capsys.readouterr().out
    assert (finished / "figures/smoke/samples.pdf").is_file()


def test_clean_reports_what_it_would_free(finished, capsys):
    (finished / REMOVED[0]).write_bytes(bytes(3_000_000))
    clean.main(["smoke", "--dry-run"])
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["images", "4", "files", "3.0", "MB"]
    assert "would free 3.0 MB of study smoke" in printed
    assert all((finished / file).is_file() for file in [*REMOVED, *STAYING])


def test_clean_keeps_the_named_kinds(finished):
    clean.main(["smoke", "--keep", "models", "states"])
    left = [file for file in REMOVED if (finished / file).exists()]
    assert left == REMOVED[4:]


def remove_figure(folder):
    (folder / "figures/smoke/teaser.pdf").unlink()


def edit_study(folder):
    path = folder / "studies/smoke.yaml"
    path.write_text(path.read_text().replace("title: Smoke", "title: Other"))
    load_study.cache_clear()


def lock(folder):
    (folder / ".snakemake/locks").mkdir(parents=True)
    (folder / ".snakemake/locks/0.input.lock").touch()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_figure, "not finished (missing: figures/smoke/teaser.pdf); run snakemake --config"),
        (edit_study, "edited since its results were written; run snakemake --config study=smoke"),
        (lock, ".snakemake/locks: snakemake is running; wait for its end"),
    ],
)
def test_clean_refuses_a_study_that_is_not_finished(finished, change, message):
    change(finished)
    with pytest.raises(SystemExit) as error:
        clean.main(["smoke"])
    assert message in str(error.value)
    assert all((finished / file).is_file() for file in REMOVED)


def test_clean_refuses_an_unknown_study(finished):
    with pytest.raises(SystemExit, match=r"studies/smok\.yaml: no such study file; studies here"):
        clean.main(["smok"])


def test_clean_refuses_an_unknown_kind(finished, capsys):
    with pytest.raises(SystemExit):
        clean.main(["smoke", "--keep", "pictures"])
    assert "invalid choice: 'pictures'" in capsys.readouterr().err
