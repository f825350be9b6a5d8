"""Data sets in files: what is found, in which order it is taken, and what is told of one that is not as it must be."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib import datasets
from scripts.lib.datasets import DataSet, DataSetError, pairs, registry, tars
from tests import fake_datasets as fake

WNIDS = ["n00000001", "n00000002", "n00000003"]


@pytest.fixture
def a_set(tmp_path, monkeypatch):
    """A function that makes a DataSet of three classes, whose place is the folder `data`."""
    table = fake.class_table(tmp_path / "classes.csv", WNIDS)

    def make(place=None, **changes):
        monkeypatch.setenv("DATA_THINGS", str(place or tmp_path / "data"))
        known = {"name": "things", "split": "training.things", "table": str(table), "training": True}
        return DataSet(**(known | changes))

    make.folder = tmp_path / "data"
    return make


def known_as(monkeypatch, tmp_path, **row):
    """Let the data set have a row of its own in data/datasets.csv."""
    names = ["id", "title", "split", "images", "classes", "class_table", "subset", "layout", "how_to_get", "licence"]
    row = {"id": "things", "title": "Things", "layout": "folders|webdataset", "how_to_get": "unpack things.zip"} | row
    pd.DataFrame([{name: row.get(name, "") for name in names}]).to_csv(tmp_path / "datasets.csv", index=False)
    monkeypatch.setattr(registry, "TABLE", tmp_path / "datasets.csv")


def index_of(data, tmp_path) -> pd.DataFrame:
    datasets.write_index(data, tmp_path / "index.parquet", threads=2)
    return pd.read_parquet(tmp_path / "index.parquet")


def told(data) -> str:
    with pytest.raises(DataSetError) as error:
        datasets.checked(data)
    return str(error.value)


# -- what is found ---------------------------------------------------------------------------------------------------------------------


def images_of(data, tmp_path, start=0, stop=None) -> list[tuple[int, bytes]]:
    index_of(data, tmp_path)
    rows, read = datasets.rows(data, tmp_path / "index.parquet", start, stop)
    return [(row["class_id"], read(row)) for row in rows]


def test_class_folders_and_tars_give_the_same_images(a_set, tmp_path):
    """All of them, each with its class."""
    folders = fake.class_folders(tmp_path / "folders", dict(zip(WNIDS, [4, 2, 3], strict=True)))
    files = sorted((WNIDS.index(path.parent.name), path.read_bytes()) for path in folders.rglob("*.JPEG"))
    mixed = [files[i] for i in np.random.default_rng(0).permutation(9)]
    for number in range(2):
        own = [{"__key__": f"{number}-{i}", "jpg": data, "cls": label} for i, (label, data) in enumerate(mixed[number::2])]
        fake.write_tar(tmp_path / f"tars/{number:05d}.tar", own)
    for place in ("folders", "tars", "tars/*.tar"):
        assert sorted(images_of(a_set(tmp_path / place), tmp_path)) == files


@pytest.mark.parametrize("names", [["0", "1", "2"], ["thing 0", "thing 1", "thing 2"], WNIDS])
def test_folders_may_be_named_by_class_id_name_or_wordnet_id(a_set, tmp_path, names):
    fake.class_folders(a_set.folder, dict.fromkeys(names, 2))
    index = index_of(a_set(), tmp_path)
    assert {(origin.split("/")[0], i) for origin, i in zip(index["origin"], index["class_id"], strict=True)} == set(zip(names, range(3), strict=True))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_every_prefix_is_as_balanced_as_the_data_allow(labels):
    found = np.array(labels)[datasets.order(labels)]
    assert Counter(found) == Counter(labels)
    most = Counter(labels)
    for size in range(1, len(found) + 1):
        counts = Counter(found[:size])
        highest = max(counts.values())
        # A class may be behind by more than one image only where it has none left.
        assert all(counts[label] >= min(highest - 1, most[label]) for label in most)


def test_images_to_evaluate_on_keep_their_order(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [2, 3, 1], strict=True)))
    index = index_of(a_set(training=False), tmp_path)
    assert index["origin"].tolist() == sorted(index["origin"])
    assert index["image"].tolist() == list(range(6))


def test_a_block_is_the_same_rows_whatever_is_read_with_it(a_set, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "ROW_GROUP", 4)
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [5, 6, 7], strict=True)))
    data = a_set()
    whole = images_of(data, tmp_path)
    assert [*images_of(data, tmp_path, 0, 7), *images_of(data, tmp_path, 7, 14), *images_of(data, tmp_path, 14, 18)] == whole
    with pytest.raises(DataSetError, match="takes images up to 19, and it has 18"):
        datasets.rows(data, tmp_path / "index.parquet", 14, 19)


def test_an_image_that_is_named_is_left_out_and_counted(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    skip = tmp_path / "skip.txt"
    skip.write_text(f"# broken\n{WNIDS[1]}/{WNIDS[1]}_0.JPEG\n")
    index = index_of(a_set(skip=str(skip)), tmp_path)
    assert len(index) == 5 and f"{WNIDS[1]}/{WNIDS[1]}_0.JPEG" not in set(index["origin"])
    assert datasets.about(tmp_path / "index.parquet")["skipped"] == 1
    skip.write_text("nothing/like_it.JPEG\n")
    with pytest.raises(DataSetError, match=r"skip\.txt: no image nothing/like_it\.JPEG in it"):
        index_of(a_set(skip=str(skip)), tmp_path)


def test_torchvision_reads_what_the_table_names(a_set, tmp_path, monkeypatch):
    known_as(monkeypatch, tmp_path, layout="torchvision:EuroSAT()|webdataset")
    fake.class_folders(a_set.folder / "eurosat/2750", dict.fromkeys(["Forest", "River", "SeaLake"], 2))
    table = tmp_path / "own.csv"
    pd.DataFrame({"class_id": range(3), "name": ["forest", "river", "sea"], "label": ["Forest", "River", "SeaLake"]}).to_csv(table, index=False)
    data = a_set(training=False, table=str(table))
    index_of(data, tmp_path)
    rows, read = datasets.rows(data, tmp_path / "index.parquet", 0, None)
    assert [row["class_id"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert read(rows[3]).size == (40, 32)
    pd.DataFrame({"class_id": range(3), "name": ["river", "forest", "sea"], "label": ["River", "Forest", "SeaLake"]}).to_csv(table, index=False)
    assert "0 is 'Forest', which is 1 there" in told(a_set(training=False, table=str(table)))


def test_a_torchvision_set_without_a_list_of_labels_is_read_item_by_item(a_set, tmp_path, monkeypatch):
    known_as(monkeypatch, tmp_path, layout="torchvision:DTD(split=test, partition=1)")
    labels = ["banded", "dotted"]
    (a_set.folder / "dtd/dtd/labels").mkdir(parents=True)
    for label in labels:
        fake.class_folders(a_set.folder / "dtd/dtd/images" / "", {label: 1})
    files = [f"{label}/{label}_0.JPEG" for label in reversed(labels)]
    (a_set.folder / "dtd/dtd/labels/test1.txt").write_text("\n".join(files))
    table = tmp_path / "own.csv"
    pd.DataFrame({"class_id": range(2), "name": labels, "label": labels}).to_csv(table, index=False)
    assert index_of(a_set(training=False, table=str(table)), tmp_path)["class_id"].tolist() == [1, 0]
    (a_set.folder / "dtd/dtd/images" / files[0]).write_bytes(b"broken")
    with pytest.raises(DataSetError, match=r"item 0 of torchvision.datasets.DTD cannot be read"):
        index_of(a_set(training=False, table=str(table)), tmp_path)


def test_what_torchvision_does_not_find_is_told_with_how_to_get_it(a_set, tmp_path, monkeypatch):
    known_as(monkeypatch, tmp_path, layout="torchvision:CIFAR10(train=False)")
    a_set.folder.mkdir()
    message = told(a_set(training=False))
    assert "torchvision.datasets.CIFAR10 does not find it" in message
    assert "how to get it: unpack things.zip" in message


# -- pairs -----------------------------------------------------------------------------------------------------------------------------


def pair_set(a_set, **changes):
    return a_set(pairs=True, **changes)


def test_pairs_have_their_texts_and_failed_rows_are_counted(a_set, tmp_path):
    """Whatever is in a text: quotes, newlines, letters that are not Latin, nothing."""
    fake.pairs(a_set.folder, [6, 4, 7], fails=2)
    index = index_of(pair_set(a_set), tmp_path)
    assert index["images"].sum() == 17 and index["failed"].sum() == 6
    assert sorted(index["origin"]) == ["00000.tar", "00001.tar", "00002.tar"]
    rows, read = datasets.rows(pair_set(a_set), tmp_path / "index.parquet", 0, 17)
    assert [row["image"] for row in rows] == list(range(17))
    written = {}
    for parquet in a_set.folder.glob("*.parquet"):
        table = pd.read_parquet(parquet)
        written |= {
            f"{parquet.stem}.tar/{row.key}": row.caption if isinstance(row.caption, str) else "" for row in table.itertuples() if row.status == "success"
        }
    assert {row["origin"]: row["text"] for row in rows} == written
    shard, place = rows[0]["origin"].split("/")
    assert read(rows[0]) == fake.image_bytes(100 * int(shard[:5]) + int(place[5:]))


def test_a_block_of_pairs_reads_its_own_tars_alone(a_set, tmp_path, monkeypatch):
    fake.pairs(a_set.folder, [5] * 6)
    index_of(pair_set(a_set), tmp_path)
    opened = []
    real = pairs.members
    monkeypatch.setattr(pairs, "members", lambda data, name: opened.append(name) or real(data, name))
    rows, _ = datasets.rows(pair_set(a_set), tmp_path / "index.parquet", 8, 14)
    assert [row["image"] for row in rows] == list(range(8, 14))
    assert len(opened) == 2


def test_pairs_that_are_named_are_left_out(a_set, tmp_path):
    fake.pairs(a_set.folder, [3, 3])
    skip = tmp_path / "skip.txt"
    skip.write_text("00001.tar/000010002\n")
    index_of(pair_set(a_set, skip=str(skip)), tmp_path)
    rows, _ = datasets.rows(pair_set(a_set, skip=str(skip)), tmp_path / "index.parquet", 0, 5)
    assert "00001.tar/000010002" not in {row["origin"] for row in rows}
    skip.write_text("00001.tar/999\n")
    index_of(pair_set(a_set, skip=str(skip)), tmp_path)
    with pytest.raises(DataSetError, match=r"no pair 00001\.tar/999"):
        datasets.rows(pair_set(a_set, skip=str(skip)), tmp_path / "index.parquet", 0, 5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table.iloc[:-1], "1 images without a row: 000000004"),
        (lambda table: pd.concat([table, table.tail(1).assign(key="000000099")]), "1 rows without an image in the tar: 000000099"),
        (lambda table: table.assign(caption="another"), "another caption than the tar's .txt: 000000001"),
        (lambda table: pd.concat([table, table.tail(1)]), "keys come twice: 000000004"),
        (lambda table: table.drop(columns="caption"), "no column caption"),
    ],
)
def test_a_parquet_that_does_not_match_its_tar_is_told(a_set, tmp_path, change, match):
    fake.pairs(a_set.folder, [4])
    change(pd.read_parquet(a_set.folder / "00000.parquet")).to_parquet(a_set.folder / "00000.parquet", index=False)
    count = index_of(pair_set(a_set), tmp_path)["images"].sum()
    with pytest.raises(DataSetError, match=match) as error:
        datasets.rows(pair_set(a_set), tmp_path / "index.parquet", 0, int(count))
    assert "00000.parquet" in str(error.value)


def test_tars_and_parquets_must_come_together(a_set):
    fake.pairs(a_set.folder, [2, 2, 2])
    (a_set.folder / "00001.parquet").unlink()
    (a_set.folder / "00002.tar").unlink()
    message = told(pair_set(a_set))
    assert "1 tars have no parquet beside them: 00001.tar" in message
    assert "1 parquets have no tar beside them: 00002.parquet" in message


def test_a_cut_off_parquet_is_told(a_set, tmp_path):
    fake.pairs(a_set.folder, [2, 2])
    file = a_set.folder / "00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataSetError, match=r"00001\.parquet: not a whole parquet file"):
        index_of(pair_set(a_set), tmp_path)
    assert not (tmp_path / "index.parquet").exists()


# -- what is not as it must be -----------------------------------------------------------------------------------------------------------


def test_a_missing_and_a_misspelt_folder_are_told_with_what_was_found(a_set, tmp_path, monkeypatch):
    known_as(monkeypatch, tmp_path, images=9)
    fake.class_folders(a_set.folder, {WNIDS[0]: 3, "n0000002": 3})
    message = told(a_set())
    for part in (
        "data.training.things: data set 'things' (Things)",
        "1 folders are no wnid of",
        "n0000002 (did you mean n00000002?)",
        "2 class folders are missing: n00000002, n00000003",
        "looked for: 3 classes of",
        "9 images",
        f"in {a_set.folder}: config.yaml's paths.things, or environment DATA_THINGS",
        "found: class folders, 1 classes, 3 images",
        "how to get it: unpack things.zip",
    ):
        assert part in message, part


def test_an_empty_class_folder_is_told(a_set):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [2, 0, 2], strict=True)))
    assert f"{a_set.folder / WNIDS[1]}: no image in it" in told(a_set())


def test_a_class_that_no_tar_holds_is_told(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 2], [2, 0]])
    with pytest.raises(DataSetError, match=r"no image of 1 classes: n00000002 \(thing 1\)"):
        index_of(a_set(), tmp_path)


def test_a_flat_folder_is_told_to_be_sorted(a_set, tmp_path, monkeypatch):
    known_as(monkeypatch, tmp_path)
    a_set.folder.mkdir()
    for i in range(3):
        (a_set.folder / f"ILSVRC2012_val_{i:08d}.JPEG").write_bytes(fake.image_bytes(i))
    message = told(a_set(training=False))
    assert "3 images lie in" in message and "sort them into one folder a class" in message


def test_tars_of_classes_are_told_to_be_unpacked(a_set):
    for name in WNIDS:
        fake.write_tar(a_set.folder / f"{name}.tar", [{"__key__": "a", "jpg": fake.image_bytes(0)}])
    assert "unpack each into a folder of its name" in told(a_set())


def test_a_name_of_two_classes_is_refused(a_set, tmp_path):
    table = pd.read_csv(fake.class_table(tmp_path / "twice.csv", WNIDS))
    table.assign(name=["missile", "crane", "missile"]).to_csv(tmp_path / "twice.csv", index=False)
    fake.class_folders(a_set.folder, {"missile": 2, "crane": 2})
    assert "folder 'missile' is the name of classes [0, 2]" in told(a_set(table=str(tmp_path / "twice.csv")))


def test_a_place_that_is_not_there_or_not_told_is_told(a_set, monkeypatch):
    assert f"no such folder: {a_set.folder}" in told(a_set())
    data = a_set()
    monkeypatch.delenv("DATA_THINGS")
    monkeypatch.setenv("DATA_THINGZ", "/somewhere")
    message = told(data)
    assert "where it lies is not told (there is DATA_THINGZ" in message
    assert "config.yaml's paths.things, or environment DATA_THINGS" in message
    assert "no such file" in told(a_set(a_set.folder / "*.tar"))


def test_only_the_classes_of_a_subset_are_asked_for(a_set, tmp_path, monkeypatch):
    known_as(monkeypatch, tmp_path, subset="two")
    (tmp_path / "subsets.csv").write_text(f"subset,wnid\ntwo,{WNIDS[0]}\ntwo,{WNIDS[2]}\n")
    monkeypatch.setattr(registry, "SUBSETS", tmp_path / "subsets.csv")
    fake.class_folders(a_set.folder, {WNIDS[0]: 2, WNIDS[2]: 1})
    index = index_of(a_set(training=False), tmp_path)
    assert index["class_id"].tolist() == [0, 0, 2]
    fake.class_folders(a_set.folder, {WNIDS[1]: 1})
    assert "not in its subset 'two': 1" in told(a_set(training=False))


@pytest.mark.parametrize(("training", "wanted", "match"), [(False, None, "6 images, not 7"), (True, 8, "takes 8 images, and it has 6"), (True, 6, None)])
def test_numbers_of_images_are_held_to_what_is_known_and_wanted(a_set, tmp_path, monkeypatch, training, wanted, match):
    known_as(monkeypatch, tmp_path, images=7)
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    data = a_set(training=training, wanted=wanted)
    assert match in told(data) if match else datasets.checked(data) == "folders"


def broken_tar(folder, cut=None, samples=None):
    path = fake.class_tars(folder, [[0, 1, 2, 0]]) / "00000.tar" if samples is None else fake.write_tar(folder / "00000.tar", samples)
    if cut:
        path.write_bytes(path.read_bytes()[:cut])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"cut": 2000}, "not a whole tar"),
        ({"cut": 512}, "not a whole tar|cut off"),
        ({"samples": [{"__key__": "a", "jpg": b"x"}]}, "sample 'a' has no a.cls"),
        ({"samples": [{"__key__": "a", "jpg": b"x", "cls": 3}]}, "a.cls = '3': must be a class id, 0 to 2"),
        ({"samples": [{"__key__": "a", "cls": 1}]}, "sample 'a' has 0 images"),
        ({"samples": [{"__key__": key, "jpg": b"x", "cls": 1} for key in "aba"]}, "key 'a' comes twice"),
        ({"samples": [{"__key__": key, "jpg": b"x", "cls": 1} for key in "aa"]}, "'a.cls' comes twice"),
    ],
)
def test_a_tar_that_is_not_whole_or_ambiguous_is_told(a_set, tmp_path, arguments, match):
    broken_tar(a_set.folder, **arguments)
    with pytest.raises(DataSetError, match=match) as error:
        index_of(a_set(), tmp_path)
    assert "00000.tar" in str(error.value)
    assert not list(tmp_path.glob("*index*"))


@pytest.mark.parametrize("damage", [lambda data, end: data[:end], lambda data, end: data[:end] + b"?" * 512 + data[end + 512 :]])
def test_a_tar_that_is_cut_between_two_samples_or_has_a_damaged_header_is_told(tmp_path, damage):
    """Python's reader takes both for a whole one."""
    path = fake.class_tars(tmp_path, [[0, 1]]) / "00000.tar"
    (_, first), _ = tars.samples(path)
    end = max(-(-(offset + size) // 512) * 512 for offset, size in first.values())
    path.write_bytes(damage(path.read_bytes(), end))
    with pytest.raises(DataSetError, match=f"cut off or damaged at byte {end}"):
        list(tars.samples(path))


def test_too_few_pairs_are_told_when_the_index_is_made(a_set, tmp_path):
    fake.pairs(a_set.folder, [2, 2])
    with pytest.raises(DataSetError, match="takes 5 images, and it has 4"):
        index_of(pair_set(a_set, wanted=5), tmp_path)


def test_the_index_says_what_it_is_of(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    index_of(a_set(), tmp_path)
    assert json.loads(json.dumps(datasets.about(tmp_path / "index.parquet"))) == {"layout": "folders", "images": 6, "skipped": 0, "dataset": "things"}
