"""Classes of data sets: their names next to the data, and the class table."""

import unicodedata

import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_of, set_row


def test_class_folders_are_compared_in_one_unicode_form(a_set, tmp_path):
    names = ["café", "naïve", "plain"]
    for table, folder in (("NFC", "NFD"), ("NFD", "NFC")):
        place = tmp_path / folder
        fake.class_folders(place, {unicodedata.normalize(folder, name): 1 for name in names})
        path = fake.named_table(tmp_path, [unicodedata.normalize(table, name) for name in names])
        assert index_of(a_set(place, table=path), tmp_path)["class_id"].tolist() == [0, 1, 2]
    fake.class_folders(place, {unicodedata.normalize("NFD", "café"): 1})
    assert (
        r"folders 'cafe\u0301', 'caf\xe9' have the same name; move the images into one"
        in error_of(a_set(place, table=path))
    )


@pytest.mark.parametrize("file", ["classes.txt", "classnames.txt"])
def test_class_names_next_to_tars_are_mapped(a_set, tmp_path, file):
    fake.class_tars(a_set.folder, [[0, 1, 2, 0]])
    (a_set.folder / file).write_text("thing 2\nthing 0\nthing 1\n", encoding="utf-8-sig")
    index = index_of(a_set(training=False), tmp_path)
    assert index["class_id"].tolist() == [2, 0, 1, 2]
    (a_set.folder / file).write_text("thing 2\nthing 0\nanother\n")
    message = error_of(a_set())
    assert (
        f"{file}: 'another' (class 2) is no" in message
        and f"rename it, or move {file} away" in message
    )


def test_class_names_next_to_numbered_folders_are_mapped(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(["0", "1", "2"], 1))
    (a_set.folder / "classes.txt").write_text("thing 1\nthing 2\nthing 0\n")
    index = index_of(a_set(training=False), tmp_path)
    assert dict(zip(index["origin"].str[0], index["class_id"], strict=True)) == {
        "0": 1,
        "1": 2,
        "2": 0,
    }


def test_empty_line_of_class_names_keeps_its_place(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 1, 2]])
    (a_set.folder / "classes.txt").write_text("thing 0\n\nthing 2\n")
    assert "classes.txt: '' (class 1) is no" in error_of(a_set())


def test_classes_outside_the_table_are_reported(a_set, tmp_path, monkeypatch):
    """As torchvision 0.12 gave labels 1 to 102 for Flowers102."""
    set_row(monkeypatch, tmp_path, layout="torchvision:Flowers102(split=test)")
    from synscale.data.datasets import torchvision_sets

    a_set.folder.mkdir()
    monkeypatch.setattr(torchvision_sets, "labels_of", lambda data: [1, 2, 3])
    with pytest.raises(DataSetError, match=r"images of class ids 3, but .*classes\.csv has 0 to 2"):
        index_of(a_set(training=False), tmp_path)


def test_numbered_class_folders_are_not_sorted_as_text(a_set, tmp_path):
    """As ImageNet-V2 has them: 10 comes before 2 in the order of names."""
    path = fake.named_table(tmp_path, [f"class {i}" for i in range(12)])
    fake.class_folders(a_set.folder, {str(i): 1 for i in range(12)})
    index = index_of(a_set(table=path, training=False), tmp_path)
    assert index["origin"].str.split("/").str[0].astype(int).tolist() == index["class_id"].tolist()


def test_number_of_images_in_the_table_must_be_digits(a_set, tmp_path, monkeypatch):
    """A spreadsheet may write 1,281,167."""
    set_row(monkeypatch, tmp_path, images="1,281,167")
    with pytest.raises(
        DataSetError,
        match=r"datasets\.csv: images of things is no number \('1,281,167', expected digits\)",
    ):
        datasets.check(a_set())
