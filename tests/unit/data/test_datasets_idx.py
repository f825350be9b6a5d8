"""Data sets in idx files: what is read, and the messages for files that are not as expected."""

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torchvision.datasets

from synscale.data import datasets
from synscale.data.datasets import DataSet, idx
from synscale.study.checks import data as data_checks
from tests.support.dataset_checks import error_of, index_error_of, index_of, set_row

ROOT = Path(__file__).parents[3]
FASHION = Path("/usr/share/datasets/fashion-mnist")  # files of Debian's package
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
CLASS_IDS = [2, 0, 1, 1, 0, 2]
PIXELS = np.random.default_rng(0).integers(0, 256, (len(CLASS_IDS), 5, 4), np.uint8)


def idx_bytes(values: np.ndarray) -> bytes:
    """An idx file of these bytes."""
    head = [bytes([0, 0, 8, values.ndim]), *(n.to_bytes(4, "big") for n in values.shape)]
    return b"".join([*head, values.tobytes()])


IMAGES_FILE, LABELS_FILE = idx_bytes(PIXELS), idx_bytes(np.array(CLASS_IDS, np.uint8))


def write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(contents) if path.suffix == ".gz" else contents)


@pytest.fixture
def idx_set(a_set, tmp_path, monkeypatch):
    """A function that writes the files of `train` and returns their data set."""

    def make(images=IMAGES_FILE, labels=LABELS_FILE, folder="", ending="", layout="idx:train"):
        set_row(monkeypatch, tmp_path, layout=layout)
        a_set.folder.mkdir(exist_ok=True)
        for name, contents in ((IMAGES, images), (LABELS, labels)):
            if contents is not None:
                write(a_set.folder / folder / f"train-{name}{ending}", contents)
        return a_set(training=False)

    make.folder = a_set.folder
    return make


def images_of(data: DataSet, tmp_path: Path) -> list:
    index_of(data, tmp_path)
    rows, read = datasets.read_index(data, tmp_path / "index.parquet", 0, None)
    return [read(row) for row in rows]


@pytest.mark.parametrize("folder", ["", "raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_read_in_order(idx_set, tmp_path, folder, ending):
    data = idx_set(folder=folder, ending=ending)
    assert datasets.check(data) == "idx:train"
    images = images_of(data, tmp_path)
    assert {image.mode for image in images} == {"L"}
    assert np.array_equal([np.asarray(image) for image in images], PIXELS)
    table = pd.read_parquet(tmp_path / "index.parquet")
    assert table["class_id"].tolist() == CLASS_IDS
    assert table["origin"].tolist() == [f"item {i}" for i in range(len(CLASS_IDS))]


def test_prefix_selects_one_of_the_sets_of_a_folder(idx_set, tmp_path):
    for name, contents in ((IMAGES, idx_bytes(255 - PIXELS)), (LABELS, LABELS_FILE)):
        write(idx_set.folder / f"t10k-{name}", contents)
    (image, *_) = images_of(idx_set(layout="idx:t10k"), tmp_path)
    assert np.array_equal(np.asarray(image), 255 - PIXELS[0])
    (image, *_) = images_of(idx_set(layout="idx:train"), tmp_path)
    assert np.array_equal(np.asarray(image), PIXELS[0])


def test_reader_reads_the_file_once(idx_set):
    read = idx.reader(idx_set(ending=".gz"))
    (idx_set.folder / f"train-{IMAGES}.gz").unlink()
    for i in (3, 0):
        assert np.array_equal(np.asarray(read({"offset": i})), PIXELS[i])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"images": LABELS_FILE},
            rf"train-{IMAGES}: wrong header \(00000801\w+, expected 00000803 and 3 lengths\)",
        ),
        ({"labels": b"text"}, rf"train-{LABELS}: wrong header \(74657874, expected 00000801 and"),
        ({"images": b""}, rf"train-{IMAGES}: wrong header \(empty, expected 00000803"),
        ({"labels": None}, rf"data: no train-{LABELS} \(plain or \.gz\) in it; get it, or give"),
        ({"images": None}, rf"no train-{IMAGES} \(plain or \.gz\) in it, raw or FashionMNIST/raw"),
        (
            {"labels": idx_bytes(np.zeros(5, np.uint8))},
            r"different numbers of images \(6\) and labels \(5\); get both files of idx:train",
        ),
        ({"layout": "idx"}, r"datasets\.csv: layout 'idx' has no prefix of files \(expected idx:"),
    ],
)
def test_wrong_files_are_reported_by_the_check(idx_set, tmp_path, files, message):
    data = idx_set(**files)
    assert re.search(message, error_of(data))
    assert re.search(message, index_error_of(data, tmp_path))


def test_message_describes_the_files_of_the_layout(idx_set):
    message = error_of(idx_set(images=None))
    expected = f"idx files train-{IMAGES} and train-{LABELS}, plain or .gz, in {idx_set.folder}"
    assert f"expected: 3 classes of {idx_set.folder.parent / 'classes.csv'}; {expected}" in message
    assert "how to get it: unpack things.zip" in message


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_check_reads_headers_and_index_all(idx_set, tmp_path, ending):
    data = idx_set(images=IMAGES_FILE[:-7], ending=ending)
    assert datasets.check(data) == "idx:train"
    problem = "wrong length (129 unpacked bytes, expected 136 by its header [6, 5, 4])"
    assert f"train-{IMAGES}{ending}: {problem}; get it again" in index_error_of(data, tmp_path)


@pytest.mark.parametrize("damage", [lambda file: file[:-9], lambda file: b"\x1f\x8b" + file[:40]])
def test_damaged_gzip_is_reported(idx_set, tmp_path, damage):
    data = idx_set(ending=".gz")
    path = idx_set.folder / f"train-{LABELS}.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path}: cannot be read (" in index_error_of(data, tmp_path)


def test_label_outside_the_class_table_is_reported(idx_set, tmp_path):
    data = idx_set(labels=idx_bytes(np.array([0, 1, 2, 7, 1, 0], np.uint8)))
    assert "images of class ids 7, but" in index_error_of(data, tmp_path)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_contents_are_verified_if_a_hash_is_known(idx_set, tmp_path, monkeypatch, ending):
    table = tmp_path / "idx_files.csv"
    monkeypatch.setattr(idx, "HASHES", table)
    right, wrong = hashlib.sha256(IMAGES_FILE).hexdigest(), "0" * 64
    table.write_text(f"dataset,file,sha256\nthings,train-{IMAGES},{right}\nother,x,{wrong}\n")
    data = idx_set(ending=ending)
    assert len(index_of(data, tmp_path)) == len(CLASS_IDS)
    table.write_text(table.read_text().replace(right, wrong))
    assert datasets.check(data) == "idx:train"
    path = f"{idx_set.folder / f'train-{IMAGES}'}{ending}"
    problem = f"{path}: wrong SHA-256 of the unpacked contents ({right}, expected {wrong} by"
    assert problem in index_error_of(data, tmp_path)


def test_every_registered_idx_set_has_hashes():
    known = pd.read_csv(ROOT / "data/datasets.csv", keep_default_na=False)
    prefixes = known.set_index("id")["layout"].loc[lambda layout: layout.str.startswith("idx:")]
    hashes = pd.read_csv(ROOT / "data/idx_files.csv")
    assert hashes["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    expected = [
        (name, f"{layout.removeprefix('idx:')}-{file}")
        for name, layout in prefixes.items()
        for file in (IMAGES, LABELS)
    ]
    assert list(zip(hashes["dataset"], hashes["file"], strict=True)) == expected


def test_classes_of_fashion_mnist_are_those_of_torchvision():
    path = ROOT / "data/fashion_classes.csv"
    assert data_checks.check_class_table(str(path)) == []
    table = pd.read_csv(path, keep_default_na=False)
    assert table["label"].tolist() == torchvision.datasets.FashionMNIST.classes
    assert table["name"].is_unique and (table != "").all(axis=None)


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is absent")
@pytest.mark.parametrize(("name", "images"), [("train", 6000), ("test", 1000)])
def test_fashion_mnist_is_balanced(tmp_path, monkeypatch, name, images):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv(f"DATA_FASHION_MNIST_{name.upper()}", str(FASHION))
    data = DataSet(f"fashion_mnist_{name}", "evaluation.x", "data/fashion_classes.csv")
    assert index_of(data, tmp_path)["class_id"].value_counts().to_dict() == dict.fromkeys(
        range(10), images
    )
