"""Images that were generated elsewhere are a source of every experiment, score and figure."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from synscale.data import shards
from tests.support import generated_images as generated
from tests.support.shared import create_once
from tests.support.workflow import Workflow

pytestmark = pytest.mark.slow
RESULTS = "results/elsewhere"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory, worker_id) -> Workflow:
    """The study of images that were generated elsewhere, finished. Read-only."""

    def create(folder):
        generated.create(folder).run()

    return Workflow(create_once(tmp_path_factory, worker_id, "elsewhere", create))


def test_prefixes_of_the_folder_are_balanced(elsewhere):
    tars = sorted((elsewhere.folder / RESULTS / "data/folders").glob("*.tar"))
    manifest = pd.concat([shards.read(tar)[1] for tar in tars])
    assert len(manifest) == 40  # 20 of the 50, as no run is larger
    for size in (10, 20, 40):
        assert (manifest["class_id"][:size].value_counts() == size // 10).all()
    assert (manifest["prompt"] == "").all()


def test_prompts_of_tars_are_read_with_their_images(elsewhere):
    manifest = pd.read_parquet(elsewhere.folder / RESULTS / "data/tars/00000.parquet")
    expected = [f"a drawn {label}" for label in manifest["class_id"]]
    assert manifest["prompt"].tolist() == expected
    assert set(pd.read_parquet(elsewhere.folder / RESULTS / "clip_metrics/tars/clip_tiny.parquet"))


def test_scores_compare_the_images_with_real_ones(elsewhere):
    for source in ("folders", "tars"):
        (entry,) = json.loads((elsewhere.folder / f"{RESULTS}/scores/{source}.json").read_text())
        assert entry["guidance"] is None and entry["images"] == 20
        assert entry["fid"] > 0 and 0 <= entry["precision"] <= 1


def test_figures_name_the_images_by_their_label(elsewhere):
    folder = elsewhere.folder / "figures/elsewhere"
    sweep = pd.read_csv(folder / "configuration_sweep.csv")
    assert sweep["recipe"].tolist() == ["real", "model A", "tars"]
    svg = (folder / "supervised_scaling.svg").read_text()
    assert "model A" in svg
    table = pd.read_csv(elsewhere.folder / "tables/elsewhere/supervised.csv")
    assert {"model A", "tars"} <= set(table["recipe"])


def test_provenance_has_folder_and_hash_of_the_images(elsewhere):
    record = json.loads((elsewhere.folder / "provenance/elsewhere.json").read_text())
    first, second = record["generated_elsewhere"]
    assert first["folder"] == "./generated/folders" and second["folder"] == "model_b"
    tars = sorted((elsewhere.folder / RESULTS / "data/folders").glob("*.tar"))
    assert first["sha256"] == shards.identity(tars)
    page = (elsewhere.folder / "provenance/elsewhere.html").read_text()
    assert "generated elsewhere" in page and first["sha256"] in page


def test_finished_study_has_nothing_to_do(elsewhere):
    assert elsewhere.planned() == {}
    assert elsewhere.planned("--config", "skip_finished_shards=true") == {}


def test_cleaned_study_redraws_figures_without_its_images(elsewhere, tmp_path):
    copy = elsewhere.copy(tmp_path / "copy")
    command = [sys.executable, "-m", "scripts.clean", "elsewhere"]
    done = subprocess.run(command, cwd=copy.folder, capture_output=True, text=True, check=True)
    assert "freed" in done.stdout
    tars = sorted(path.parent.name for path in copy.folder.glob(f"{RESULTS}/data/*/*.tar"))
    assert tars == ["folders"]  # the shard that figure per_class shows
    assert not list(copy.folder.glob(f"{RESULTS}/classifiers/*"))
    assert copy.planned() == {}
    script = copy.folder / "scripts/plot_per_class.py"
    script.write_text(script.read_text() + "# edited\n")
    assert copy.planned() == {"plot_per_class": 1, "write_provenance": 1}
    again = copy.planned("--forcerun", f"{RESULTS}/metrics/folders/vit_tiny.parquet")
    assert {"prepare_data", "index_shards", "train_classifiers"} <= again.keys()
