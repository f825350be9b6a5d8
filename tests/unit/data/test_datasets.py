"""Data sets in files: what is found, and in which order it is taken."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.data import datasets
from synscale.data.datasets import DataSetError
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_of, set_row
from tests.support.fake_datasets import WNIDS


def images_of(data, tmp_path, start=0, stop=None) -> list[tuple[int, bytes]]:
    index_of(data, tmp_path)
    rows, read = datasets.read_index(data, tmp_path / "index.parquet", start, stop)
    return [(row["class_id"], read(row)) for row in rows]


def test_folders_and_tars_give_the_same_images(a_set, tmp_path):
    """All of them, each with its class."""
    folders = fake.class_folders(tmp_path / "folders", dict(zip(WNIDS, [4, 2, 3], strict=True)))
    files = sorted(
        (WNIDS.index(path.parent.name), path.read_bytes()) for path in folders.rglob("*.JPEG")
    )
    mixed = [files[i] for i in np.random.default_rng(0).permutation(9)]
    for number in range(2):
        own = [
            {"__key__": f"{number}-{i}", "jpg": data, "cls": label}
            for i, (label, data) in enumerate(mixed[number::2])
        ]
        fake.write_tar(tmp_path / f"tars/{number:05d}.tar", own)
    for place in ("folders", "tars", "tars/*.tar"):
        assert sorted(images_of(a_set(tmp_path / place), tmp_path)) == files


@pytest.mark.parametrize("names", [["0", "1", "2"], ["thing 0", "thing 1", "thing 2"], WNIDS])
def test_folders_are_named_by_any_column_of_classes(a_set, tmp_path, names):
    fake.class_folders(a_set.folder, dict.fromkeys(names, 2))
    index = index_of(a_set(), tmp_path)
    assert {
        (origin.split("/")[0], i)
        for origin, i in zip(index["origin"], index["class_id"], strict=True)
    } == set(zip(names, range(3), strict=True))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_balanced_order_balances_every_prefix(labels):
    found = np.array(labels)[datasets.balanced_order(labels)]
    assert Counter(found) == Counter(labels)
    most = Counter(labels)
    for size in range(1, len(found) + 1):
        counts = Counter(found[:size])
        highest = max(counts.values())
        # A class may be behind by more than one image only where it has none left.
        assert all(counts[label] >= min(highest - 1, most[label]) for label in most)


def test_index_of_evaluation_images_keeps_their_order(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [2, 3, 1], strict=True)))
    index = index_of(a_set(training=False), tmp_path)
    assert index["origin"].tolist() == sorted(index["origin"])
    assert index["image"].tolist() == list(range(6))


def test_read_index_gives_the_same_rows_in_any_ranges(a_set, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "ROW_GROUP", 4)
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [5, 6, 7], strict=True)))
    data = a_set()
    whole = images_of(data, tmp_path)
    assert [
        *images_of(data, tmp_path, 0, 7),
        *images_of(data, tmp_path, 7, 14),
        *images_of(data, tmp_path, 14, 18),
    ] == whole
    with pytest.raises(DataSetError, match=r"too few images .18, the study takes 19"):
        datasets.read_index(data, tmp_path / "index.parquet", 14, 19)


def test_skipped_image_is_left_out_and_counted(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    skip = tmp_path / "skip.txt"
    skip.write_text(f"# broken\n{WNIDS[1]}/{WNIDS[1]}_0.JPEG\n")
    index = index_of(a_set(skip=str(skip)), tmp_path)
    assert len(index) == 5 and f"{WNIDS[1]}/{WNIDS[1]}_0.JPEG" not in set(index["origin"])
    assert datasets.about(tmp_path / "index.parquet")["skipped"] == 1
    skip.write_text("nothing/like_it.JPEG\n")
    with pytest.raises(
        DataSetError, match=r"skip\.txt: no image nothing/like_it\.JPEG in the data set"
    ):
        index_of(a_set(skip=str(skip)), tmp_path)


def test_torchvision_layout_is_read_from_the_table(a_set, tmp_path, monkeypatch):
    set_row(monkeypatch, tmp_path, layout="torchvision:EuroSAT()|webdataset")
    fake.class_folders(
        a_set.folder / "eurosat/2750", dict.fromkeys(["Forest", "River", "SeaLake"], 2)
    )
    table = tmp_path / "own.csv"
    pd.DataFrame(
        {
            "class_id": range(3),
            "name": ["forest", "river", "sea"],
            "label": ["Forest", "River", "SeaLake"],
        }
    ).to_csv(table, index=False)
    data = a_set(training=False, table=str(table))
    index_of(data, tmp_path)
    rows, read = datasets.read_index(data, tmp_path / "index.parquet", 0, None)
    assert [row["class_id"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert read(rows[3]).size == (40, 32)
    pd.DataFrame(
        {
            "class_id": range(3),
            "name": ["river", "forest", "sea"],
            "label": ["River", "Forest", "SeaLake"],
        }
    ).to_csv(table, index=False)
    moved = a_set(training=False, table=str(table))
    assert index_of(moved, tmp_path)["class_id"].tolist() == [1, 1, 0, 0, 2, 2]


def test_torchvision_set_without_labels_is_read_by_item(a_set, tmp_path, monkeypatch):
    set_row(monkeypatch, tmp_path, layout="torchvision:DTD(split=test, partition=1)")
    labels = ["banded", "dotted"]
    (a_set.folder / "dtd/dtd/labels").mkdir(parents=True)
    for label in labels:
        fake.class_folders(a_set.folder / "dtd/dtd/images" / "", {label: 1})
    files = [f"{label}/{label}_0.JPEG" for label in reversed(labels)]
    (a_set.folder / "dtd/dtd/labels/test1.txt").write_text("\n".join(files))
    table = tmp_path / "own.csv"
    pd.DataFrame({"class_id": range(2), "name": labels, "label": labels}).to_csv(table, index=False)
    assert index_of(a_set(training=False, table=str(table)), tmp_path)["class_id"].tolist() == [
        1,
        0,
    ]
    (a_set.folder / "dtd/dtd/images" / files[0]).write_bytes(b"broken")
    with pytest.raises(DataSetError, match=r"item 0 of torchvision\.datasets\.DTD cannot be read"):
        index_of(a_set(training=False, table=str(table)), tmp_path)


def test_missing_torchvision_set_reports_how_to_get_it(a_set, tmp_path, monkeypatch):
    set_row(monkeypatch, tmp_path, layout="torchvision:CIFAR10(train=False)")
    a_set.folder.mkdir()
    message = error_of(a_set(training=False))
    assert "torchvision.datasets.CIFAR10 does not find it" in message
    assert "how to get it: unpack things.zip" in message


def test_about_describes_the_index(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    index_of(a_set(), tmp_path)
    assert json.loads(json.dumps(datasets.about(tmp_path / "index.parquet"))) == {
        "layout": "folders",
        "images": 6,
        "skipped": 0,
        "dataset": "things",
    }
