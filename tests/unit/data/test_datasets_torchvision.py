"""Data sets of torchvision: arguments of their rows, and names of their classes."""

import re

import pandas as pd
import pytest
import torch

from synscale.data.datasets import DataSetError, torchvision_sets
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_error_of, index_of, set_row


@pytest.fixture
def torchvision_set(a_set, tmp_path, monkeypatch):
    """A function that makes a data set of a layout, with a class table of these labels."""

    def make(layout: str, labels=("a", "b"), **columns):
        set_row(monkeypatch, tmp_path, layout=f"torchvision:{layout}")
        table = pd.DataFrame({"class_id": range(len(labels)), "name": labels} | columns)
        table.to_csv(tmp_path / "own.csv", index=False)
        a_set.folder.mkdir(exist_ok=True)
        return a_set(training=False, table=str(tmp_path / "own.csv"))

    make.folder = a_set.folder
    return make


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("DTD(splitt=test)", r"unexpected keyword argument 'splitt'; it takes split, partition"),
        ("EMNIST(train=False)", r"missing a required argument: 'split'; it takes split"),
        ("EMNIST(split=letters, trian=False)", r"unexpected keyword argument 'trian'"),
        ("DTD(split=tst)", r"Unknown value 'tst' for argument split"),
        ("DTD(partition=x)", r"partition"),
        ("DTD(test)", r"no argument \('test', expected argument=value\)"),
        ("DTD(split=test, transform=x)", r"transform is not allowed in a layout"),
        ("DTD(root=x)", r"root is not allowed in a layout"),
        ("DTTD()", r"torchvision\.datasets has no data set DTTD; did you mean DTD\?"),
        ("folder()", r"torchvision\.datasets has no data set folder"),
        ("FakeData()", r"torchvision\.datasets\.FakeData is not read from a folder"),
        ("DTD", r"no layout \(expected torchvision:Name\(argument=value, \.\.\.\)\)"),
    ],
)
def test_wrong_arguments_are_reported(torchvision_set, layout, message):
    assert re.search(message, error_of(torchvision_set(layout)))


@pytest.mark.parametrize(
    "arguments",
    ["split=test, partition=1", " split = 'test' , partition = 1 ", 'split="test",partition=1'],
)
def test_arguments_may_have_spaces_and_quotes(arguments):
    assert torchvision_sets.parse_layout(f"torchvision:DTD({arguments})") == (
        "DTD",
        {"split": "test", "partition": 1},
    )


def eurosat(torchvision_set, folders: list[str]) -> None:
    fake.class_folders(torchvision_set.folder / "eurosat/2750", dict.fromkeys(folders, 1))


@pytest.mark.parametrize("column", ["label", "name"])
def test_classes_are_mapped_by_name(torchvision_set, tmp_path, column):
    eurosat(torchvision_set, ["Forest", "River", "SeaLake"])
    names = ["SeaLake", "Forest", "River"]
    columns = {"label": names} if column == "label" else {}
    data = torchvision_set(
        "EuroSAT()", names if column == "name" else ["lake", "wood", "stream"], **columns
    )
    assert index_of(data, tmp_path)["class_id"].tolist() == [1, 2, 0]


def test_classes_of_other_names_are_refused(torchvision_set):
    eurosat(torchvision_set, ["Forest", "River", "SeaLake"])
    message = error_of(torchvision_set("EuroSAT()", ["wood", "stream", "lake"]))
    assert (
        "3 of torchvision's 3 classes are not in" in message and "Forest, River, SeaLake" in message
    )
    assert "add a column label with torchvision's names" in message


def emnist(folder, split: str, labels: list[int]) -> None:
    """The test images of a split of EMNIST, in the binary format of MNIST."""
    raw = folder / "EMNIST/raw"
    raw.mkdir(parents=True)
    for name, values in (("images-idx3", [len(labels), 28, 28]), ("labels-idx1", [len(labels)])):
        size = 784 if "images" in name else 1
        data = bytes(784 * len(labels)) if size == 784 else bytes(labels)
        head = bytes([0, 0, 8, len(values)]) + b"".join(
            value.to_bytes(4, "big") for value in values
        )
        (raw / f"emnist-{split}-test-{name}-ubyte").write_bytes(head + data)


def test_letters_of_emnist_need_no_class_without_images(torchvision_set, tmp_path):
    """Its labels are 1 to 26, and torchvision calls label 0 N/A."""
    emnist(torchvision_set.folder, "letters", [1, 2, 26])
    letters = [chr(ord("a") + i) for i in range(26)]
    data = torchvision_set("EMNIST(split=letters, train=False)", letters)
    assert torchvision_sets.labels_of(data) == [0, 1, 25]
    message = index_error_of(
        torchvision_set("EMNIST(split=letters, train=False)", ["N/A", *letters]), tmp_path
    )
    assert "0 (N/A)" in message and "add images, or remove the classes from" in message


def test_capital_and_small_letters_are_different_classes(torchvision_set):
    emnist(torchvision_set.folder, "byclass", [0, 10, 36])
    labels = [
        *map(str, range(10)),
        *(chr(ord("A") + i) for i in range(26)),
        *(chr(ord("a") + i) for i in range(26)),
    ]
    assert torchvision_sets.labels_of(
        torchvision_set("EMNIST(split=byclass, train=False)", labels)
    ) == [0, 10, 36]


def test_image_of_a_class_outside_the_table_is_reported(torchvision_set, tmp_path):
    emnist(torchvision_set.folder, "letters", [0, 1])
    data = torchvision_set(
        "EMNIST(split=letters, train=False)", [chr(ord("a") + i) for i in range(26)]
    )
    assert "item 0 is of class 'N/A', which is not in" in index_error_of(data, tmp_path)


@pytest.mark.parametrize("target", [{"annotation": {}}, torch.ones(40, dtype=int), "cat", None])
def test_label_that_is_no_class_id_is_reported(target):
    with pytest.raises(
        DataSetError,
        match=r"the label of item 0 of torchvision\.datasets\.list is no integer .*a class id\)",
    ):
        torchvision_sets.class_ids_of([(None, target)])


def test_damaged_files_are_not_blamed_on_the_arguments(torchvision_set):
    raw = torchvision_set.folder / "MNIST/raw"
    raw.mkdir(parents=True)
    for part in ("t10k-images-idx3", "t10k-labels-idx1", "train-images-idx3", "train-labels-idx1"):
        (raw / f"{part}-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + (99).to_bytes(4, "big") + b"short"
        )
    message = error_of(torchvision_set("MNIST(train=False)", [str(i) for i in range(10)]))
    assert (
        "torchvision.datasets.MNIST does not find it or cannot read it: " in message
        and "it takes" not in message
    )
