"""Data sets of classes that are not as expected: their messages."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError, registry, webdataset
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_of, set_row
from tests.support.fake_datasets import WNIDS


def test_misspelt_folder_is_reported_with_what_was_found(a_set, tmp_path, monkeypatch):
    set_row(monkeypatch, tmp_path, images=9)
    fake.class_folders(a_set.folder, {WNIDS[0]: 3, "n0000002": 3})
    message = error_of(a_set())
    for part in (
        "data.training.things: data set 'things' (Things)",
        "1 folders are no wnid of",
        "n0000002 (did you mean n00000002?)",
        "2 class folders are missing: n00000002, n00000003",
        "expected: 3 classes of",
        "9 images",
        f"in {a_set.folder}: config.yaml's paths.things, or environment DATA_THINGS",
        "found: class folders, 1 classes, 3 images",
        "how to get it: unpack things.zip",
    ):
        assert part in message, part


def test_empty_class_folder_is_reported(a_set):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [2, 0, 2], strict=True)))
    assert f"{a_set.folder / WNIDS[1]}: no image in it" in error_of(a_set())


def test_images_one_folder_too_deep_are_reported_once(a_set):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 1))
    for name in WNIDS:
        (a_set.folder / name / "images").mkdir()
        (a_set.folder / name / f"{name}_0.JPEG").rename(a_set.folder / name / "images/0.JPEG")
    message = error_of(a_set(min_images=3))
    assert f"{a_set.folder / WNIDS[2]}: no image in it, but folders; move the images up" in message
    assert message.count("no image in it") == 1
    assert "lower sources" not in message  # which would not help


def test_error_of_the_file_system_is_reported(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 1))
    (a_set.folder / "loop").symlink_to(a_set.folder / "loop")
    assert (
        f"cannot be read: [Errno 40] Too many levels of symbolic links: '{a_set.folder / 'loop'}'"
        in error_of(a_set())
    )
    fake.class_tars(tmp_path / "tars", [[0, 1, 2]])
    (tmp_path / "tars/00001.tar").symlink_to("/nowhere")
    with pytest.raises(
        DataSetError, match=r"cannot be read: .*No such file or directory: .*00001\.tar"
    ):
        index_of(a_set(tmp_path / "tars"), tmp_path)


def test_file_name_that_is_not_utf8_is_reported(a_set):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 1))
    Path(os.fsdecode(os.fsencode(a_set.folder / WNIDS[0]) + b"/caf\xe9.jpg")).write_bytes(
        fake.image_bytes(0)
    )
    assert f"1 names of files are not UTF-8: '{WNIDS[0]}/caf\\udce9.jpg'; rename them" in error_of(
        a_set()
    )


def test_class_without_images_in_tars_is_reported(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 2], [2, 0]])
    with pytest.raises(DataSetError, match=r"no image of 1 classes: n00000002 \(thing 1\)"):
        index_of(a_set(), tmp_path)


def test_flat_folder_is_to_be_sorted(a_set, tmp_path, monkeypatch):
    set_row(monkeypatch, tmp_path)
    a_set.folder.mkdir()
    for i in range(3):
        (a_set.folder / f"ILSVRC2012_val_{i:08d}.JPEG").write_bytes(fake.image_bytes(i))
    message = error_of(a_set(training=False))
    assert (
        "images without a class (3 in" in message
        and "sort them into one folder per class" in message
    )


def test_tars_of_classes_are_to_be_unpacked(a_set):
    for name in WNIDS:
        fake.write_tar(a_set.folder / f"{name}.tar", [{"__key__": "a", "jpg": fake.image_bytes(0)}])
    assert "unpack each into a folder of its name" in error_of(a_set())


def test_name_of_two_classes_is_refused(a_set, tmp_path):
    table = pd.read_csv(fake.class_table(tmp_path / "twice.csv", WNIDS))
    table.assign(name=["missile", "crane", "missile"]).to_csv(tmp_path / "twice.csv", index=False)
    fake.class_folders(a_set.folder, {"missile": 2, "crane": 2})
    assert "folder 'missile' is the name of classes [0, 2]" in error_of(
        a_set(table=str(tmp_path / "twice.csv"))
    )


def test_path_that_is_missing_or_not_set_is_reported(a_set, monkeypatch):
    assert f"no such folder: {a_set.folder}" in error_of(a_set())
    data = a_set()
    monkeypatch.delenv("DATA_THINGS")
    monkeypatch.setenv("DATA_THINGZ", "/somewhere")
    message = error_of(data)
    assert "no path is set (there is DATA_THINGZ" in message
    assert "config.yaml's paths.things, or environment DATA_THINGS" in message
    assert "no such file" in error_of(a_set(a_set.folder / "*.tar"))
    data = a_set()
    monkeypatch.delenv("DATA_THINGZ")
    monkeypatch.setenv("DATA_THINGS", "")
    assert "no path is set\n" in error_of(data)


def test_folder_name_with_brackets_is_no_pattern(a_set, tmp_path):
    assert (
        datasets.check(a_set(fake.class_folders(tmp_path / "set [v2]", dict.fromkeys(WNIDS, 1))))
        == "folders"
    )
    assert len(index_of(a_set(fake.class_tars(tmp_path / "tars [*]", [[0, 1, 2]])), tmp_path)) == 3


def test_subset_needs_only_its_classes(a_set, tmp_path, monkeypatch):
    set_row(monkeypatch, tmp_path, subset="two")
    (tmp_path / "subsets.csv").write_text(f"subset,wnid\ntwo,{WNIDS[0]}\ntwo,{WNIDS[2]}\n")
    monkeypatch.setattr(registry, "SUBSETS", tmp_path / "subsets.csv")
    fake.class_folders(a_set.folder, {WNIDS[0]: 2, WNIDS[2]: 1})
    index = index_of(a_set(training=False), tmp_path)
    assert index["class_id"].tolist() == [0, 0, 2]
    fake.class_folders(a_set.folder, {WNIDS[1]: 1})
    assert "not in its subset 'two': 1" in error_of(a_set(training=False))


@pytest.mark.parametrize(
    ("training", "min_images", "match"),
    [
        (False, None, "wrong number of images .6, expected 7"),
        (True, 8, "too few images .6, a source of the study takes 8"),
        (True, 6, None),
    ],
)
def test_number_of_images_is_checked(a_set, tmp_path, monkeypatch, training, min_images, match):
    set_row(monkeypatch, tmp_path, images=7)
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    data = a_set(training=training, min_images=min_images)
    assert re.search(match, error_of(data)) if match else datasets.check(data) == "folders"


def broken_tar(folder, cut=None, samples=None):
    path = (
        fake.class_tars(folder, [[0, 1, 2, 0]]) / "00000.tar"
        if samples is None
        else fake.write_tar(folder / "00000.tar", samples)
    )
    if cut:
        path.write_bytes(path.read_bytes()[:cut])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"cut": 2000}, "not a complete tar"),
        ({"cut": 512}, "not a complete tar|cut off"),
        (
            {"samples": [{"__key__": "a", "jpg": b"x"}]},
            "sample 'a' has no class .found jpg, expected a.cls",
        ),
        (
            {"samples": [{"__key__": "a", "jpg": b"x", "cls": 3}]},
            "a.cls = '3': expected a class id from 0 to 2",
        ),
        ({"samples": [{"__key__": "a", "cls": 1}]}, "sample 'a' has 0 images"),
        (
            {"samples": [{"__key__": key, "jpg": b"x", "cls": 1} for key in "aba"]},
            "'a.cls' is there twice",
        ),
        (
            {"samples": [{"__key__": key, "jpg": b"x", "cls": 1} for key in "aa"]},
            "'a.cls' is there twice",
        ),
        ({"samples": []}, "no image of 3 classes"),
    ],
)
def test_incomplete_or_ambiguous_tar_is_reported(a_set, tmp_path, arguments, match):
    broken_tar(a_set.folder, **arguments)
    with pytest.raises(DataSetError, match=match) as error:
        index_of(a_set(), tmp_path)
    assert "00000.tar" in str(error.value)
    assert not list(tmp_path.glob("*index*"))


@pytest.mark.parametrize(
    "damage",
    [lambda data, end: data[:end], lambda data, end: data[:end] + b"?" * 512 + data[end + 512 :]],
)
def test_tar_cut_between_samples_is_reported(tmp_path, damage):
    """Python's reader accepts both as complete."""
    path = fake.class_tars(tmp_path, [[0, 1]]) / "00000.tar"
    (_, first), _ = webdataset.samples(path)
    end = max(-(-(offset + size) // 512) * 512 for offset, size in first.values())
    path.write_bytes(damage(path.read_bytes(), end))
    with pytest.raises(DataSetError, match=f"cut off or damaged at byte {end}"):
        list(webdataset.samples(path))


def test_joined_tars_are_reported(tmp_path):
    """Python's reader stops at the end of the first: the images of the second would be left out in
    silence.
    """
    first, second = (fake.class_tars(tmp_path / name, [[0, 1]]) / "00000.tar" for name in "ab")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(DataSetError, match="continues after its end"):
        list(webdataset.samples(first))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"caf\xe9\n", "skip.txt: not UTF-8"),
        (b"n1/gone.jpg\n", r"skip.txt: no image n1/gone.jpg in the data set"),
    ],
)
def test_useless_skip_file_is_reported(a_set, tmp_path, text, match):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    (tmp_path / "skip.txt").write_bytes(text)
    with pytest.raises(DataSetError, match=match):
        index_of(a_set(skip=str(tmp_path / "skip.txt")), tmp_path)


def test_skip_file_from_windows_is_read(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    (tmp_path / "skip.txt").write_bytes(f"\ufeff{WNIDS[0]}/{WNIDS[0]}_0.JPEG\r\n\r\n".encode())
    assert len(index_of(a_set(skip=str(tmp_path / "skip.txt")), tmp_path)) == 5
