"""Captions of scaling figures state classes with different numbers of images."""

import pandas as pd
import pytest

from synscale.data import datasets
from synscale.report import captions
from synscale.study.load import load_study
from synscale.workflow.settings.data import index_settings
from synscale.workflow.shards import classes_file
from tests.support import fake_datasets as fake
from tests.support.captions import rendered
from tests.support.fake_datasets import WNIDS
from tests.support.workflow import ROOT


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that indexes class folders with these counts and returns the study of files."""

    def create(counts: list[int]):
        fake.of_files_study(tmp_path)
        fake.class_folders(tmp_path / "set", dict(zip(WNIDS, counts, strict=True)))
        monkeypatch.setenv("DATA_THINGS_TRAIN", str(tmp_path / "set"))
        monkeypatch.chdir(tmp_path)
        study = load_study(ROOT / "tests/workflow/files.yaml").named("files")
        table = classes_file(study, "things")
        data = datasets.of_split("things", table, index_settings(study, "things"))
        (tmp_path / "results/files/data/things").mkdir(parents=True)
        datasets.write_index(data, tmp_path / "results/files/data/things/index.parquet")
        (tmp_path / "data").symlink_to(ROOT / "data")
        return study

    return create


def test_caption_states_the_smallest_and_the_largest_class(study):
    study = study([8, 3, 2])
    facts = captions.about("files", study, "supervised_scaling")
    assert facts.imbalance == "real: 2 to 5 images of a class at 10 images"
    text = rendered("supervised_scaling", "files", study)
    assert "classes differ in their number of images; real: 2 to 5 images of a class" in text


def test_caption_of_balanced_classes_has_no_imbalance(study):
    study = study([5, 5, 5])
    assert captions.about("files", study, "supervised_scaling").imbalance == ""
    assert "Imbalance" not in rendered("supervised_scaling", "files", study)


def test_prefix_is_balanced_until_a_class_has_no_image_left(study, tmp_path):
    study([8, 3, 2])
    table = pd.read_parquet(tmp_path / "results/files/data/things/index.parquet")
    assert table["class_id"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 0, 0, 0, 0, 0]
