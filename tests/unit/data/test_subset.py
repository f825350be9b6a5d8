"""A study with some of the classes of a data set, such as ImageNet-100 of ImageNet."""

from pathlib import Path

import pandas as pd
import pytest

from synscale.data import class_tables, datasets
from synscale.data.datasets import subset
from synscale.planning import evaluation_images
from synscale.study.load import load_study
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_error_of, index_of, set_row
from tests.support.workflow import ROOT

ALL = [f"n{i:08d}" for i in range(12)]  # classes of the data set
SOME = [ALL[10], ALL[2], ALL[7]]  # classes of the study, in another order
NOTE = "images of classes that are not in"


@pytest.fixture
def some(a_set, tmp_path, monkeypatch):
    """A function that makes a data set of 12 classes for a study with three of them."""
    complete = fake.class_table(tmp_path / "all.csv", ALL)
    table = fake.class_table(tmp_path / "some.csv", SOME)
    set_row(monkeypatch, tmp_path, class_table=str(complete), classes=12)

    def make(**changes):
        return a_set(**({"table": str(table)} | changes))

    make.folder = a_set.folder
    make.row = lambda **cells: set_row(
        monkeypatch, tmp_path, class_table=str(complete), classes=12, **cells
    )
    return make


def classes_of(index: pd.DataFrame) -> dict[str, int]:
    """Return folder or key -> class id."""
    names = index["origin"].str.split("/").str[0]
    return dict(zip(names, index["class_id"], strict=True))


def test_folders_of_other_classes_are_left_out(some, tmp_path):
    fake.class_folders(some.folder, dict.fromkeys(ALL, 2))
    assert datasets.check(some()) == "folders"
    index = index_of(some(training=False), tmp_path)
    assert classes_of(index) == {ALL[10]: 0, ALL[2]: 1, ALL[7]: 2}
    assert len(index) == 6


def test_numbers_of_folders_are_those_of_the_data_set(some, tmp_path):
    """As ImageNet-V2 has them: 0 to 999, whatever the classes of the study."""
    fake.class_folders(some.folder, {str(i): 1 for i in range(12)})
    index = index_of(some(training=False), tmp_path)
    assert classes_of(index) == {"10": 0, "2": 1, "7": 2}


def test_integers_in_tars_are_those_of_the_data_set(some, tmp_path):
    fake.class_tars(some.folder, [[0, 2, 7, 11], [10, 10, 3]])
    index = index_of(some(training=False), tmp_path)
    assert index["class_id"].tolist() == [1, 2, 0, 0]
    assert index["origin"].tolist() == [
        "00000.tar/000_0001",
        "00000.tar/000_0002",
        "00001.tar/001_0000",
        "00001.tar/001_0001",
    ]


def test_names_next_to_tars_may_be_of_other_classes(some, tmp_path):
    fake.class_tars(some.folder, [[0, 1, 2, 3]])
    (some.folder / "classes.txt").write_text("\n".join([ALL[7], ALL[0], ALL[2], ALL[10]]) + "\n")
    index = index_of(some(training=False), tmp_path)
    assert index["class_id"].tolist() == [2, 1, 0]


def test_log_states_how_many_images_are_left_out(some, tmp_path):
    fake.class_folders(some.folder, dict.fromkeys(ALL, 2))
    survey = datasets.write_index(some(), tmp_path / "index.parquet")
    assert f"18 {NOTE} {some().table}, which are left out" in survey.summary()
    (tmp_path / "tars").mkdir()
    fake.class_tars(tmp_path / "tars", [[10, 2, 7, 0, 0]])
    survey = datasets.write_index(some(place=tmp_path / "tars"), tmp_path / "index.parquet")
    assert f"2 {NOTE}" in survey.summary()


def test_images_left_out_count_for_the_data_set(some, tmp_path):
    fake.class_folders(some.folder, dict.fromkeys(ALL, 2))
    some.row(images=24)
    assert len(index_of(some(training=False), tmp_path)) == 6
    some.row(images=25)
    assert "wrong number of images (24, expected 25)" in error_of(some(training=False))


def test_missing_class_of_the_study_is_reported(some, tmp_path):
    fake.class_folders(some.folder, dict.fromkeys(ALL[:10], 1))
    assert f"1 class folders are missing: {ALL[10]}; add them" in error_of(some())
    fake.class_folders(tmp_path / "numbers", {str(i): 1 for i in range(10)})
    assert "1 class folders are missing: 10; add them" in error_of(some(place=tmp_path / "numbers"))


def test_folder_of_no_class_of_the_data_set_is_reported(some):
    fake.class_folders(some.folder, dict.fromkeys([*ALL[:7], *ALL[8:], "n0000007"], 1))
    message = error_of(some())
    assert "1 folders are no wnid of" in message
    assert f"n0000007 (did you mean {ALL[7]}?)" in message


def test_class_that_only_the_data_set_has_is_left_out(some, tmp_path):
    """The folder of a class that a user has added to those of the data set."""
    table = fake.class_table(tmp_path / "more.csv", [ALL[2], "n00000099"])
    fake.class_folders(some.folder, dict.fromkeys([*ALL, "n00000099"], 1))
    index = index_of(some(table=str(table), training=False), tmp_path)
    assert classes_of(index) == {ALL[2]: 0, "n00000099": 1}


def test_table_without_common_classes_names_the_folders(a_set, tmp_path, monkeypatch):
    """A user's data under the name of a row of data/datasets.csv."""
    complete = fake.class_table(tmp_path / "all.csv", [f"m{i}" for i in range(12)])
    set_row(monkeypatch, tmp_path, class_table=str(complete), classes=12)
    fake.class_folders(a_set.folder, dict.fromkeys([*fake.WNIDS, "m3"], 1))
    assert "1 folders are no wnid of" in error_of(a_set())


def test_tars_without_a_class_of_the_study_are_reported(some, tmp_path):
    fake.class_tars(some.folder, [[0, 1, 3]])
    assert "no image of 3 classes" in index_error_of(some(training=False), tmp_path)


def test_plan_counts_images_of_the_classes_of_the_study(monkeypatch):
    monkeypatch.chdir(ROOT)
    subset.share.cache_clear()
    evaluation_images.known_images.cache_clear()
    study = load_study(str(ROOT / "studies/imagenet100.yaml"))
    counts = {
        name: evaluation_images.evaluation_images(study, name) for name in study.data.evaluation
    }
    assert counts == {"imagenet": 5_000, "imagenet_sketch": 5_089, "imagenet_v2": 1_000}
    # 19 of the 200 classes of ImageNet-R are among the 100.
    assert subset.share("imagenet_r", study.classes) == 19 / 200
    assert subset.share("imagenet_val", "data/imagenet_classes.csv") == 1
    assert subset.share("birds", study.classes) == 1


def test_classes_of_imagenet100_are_those_of_the_list():
    listed = pd.read_csv(ROOT / "data/imagenet100_wnids.csv")["wnid"]
    table = pd.read_csv(ROOT / "data/imagenet100_classes.csv")
    imagenet = pd.read_csv(ROOT / "data/imagenet_classes.csv")
    assert len(listed) == 100 and set(listed) == set(table["wnid"])
    assert table["class_id"].tolist() == list(range(100))
    same = imagenet[imagenet["wnid"].isin(listed)].reset_index(drop=True)
    assert table.drop(columns="class_id").equals(same.drop(columns="class_id"))
    assert Path(ROOT / "data/imagenet100_wnids.csv").read_text().startswith("wnid\n")


def test_ids_that_imagenet_lacks_are_reported():
    rows = [{"class_id": 7, "wnid": "n1"}, {"class_id": 9, "wnid": "n2"}]
    assert class_tables.selection(rows, ["n2"]) == [{"class_id": 0, "wnid": "n2"}]
    with pytest.raises(class_tables.SourceError, match="no class of ImageNet has the ids n3; corr"):
        class_tables.selection(rows, ["n2", "n3"])
