"""Which files of a data set's folder are read, and the class ids in them."""

import json
import os

import pyarrow.parquet as pq
import pytest

from synscale.prompts import text_files
from synscale.study.load import StudyError, load_study
from synscale.study.models.recipes import UserPrompts
from tests.support.text_tables import texts, write_arrow
from tests.support.workflow import ROOT, SMOKE


def saved(folder, prefix: str, shards: int = 1) -> None:
    """A `Dataset` saved to disk, with a shard of an earlier save that its state does not name."""
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    for name in names:
        write_arrow(folder / name, texts(f"{prefix} {name}"))
    write_arrow(folder / "data-00000-of-00009.arrow", texts("stale"))
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))


def files(folder, split=None) -> list[str]:
    recipe = UserPrompts(kind="texts", dataset=str(folder), split=split)
    return [path.removeprefix(f"{folder}/") for path in text_files.files(recipe)]


def test_saved_dataset_gives_the_files_of_its_state(tmp_path):
    saved(tmp_path, "all", shards=2)
    assert files(tmp_path) == ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]


def test_file_of_the_state_that_is_missing_is_reported(tmp_path):
    saved(tmp_path, "all", shards=2)
    (tmp_path / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(
        text_files.TextFilesError,
        match=r"state\.json names missing files \(data-00001-of-00002\.arrow\)",
    ):
        files(tmp_path)


def test_selection_of_rows_in_an_old_state_is_refused(tmp_path):
    saved(tmp_path, "all")
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(
        json.dumps(state | {"_indices_data_files": [{"filename": "i.arrow"}]})
    )
    with pytest.raises(text_files.TextFilesError, match=r"selects rows .*flatten_indices"):
        files(tmp_path)


def test_splits_of_a_saved_dict_are_not_pooled(tmp_path):
    for split in ("train", "test"):
        saved(tmp_path / split, split)
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    with pytest.raises(
        text_files.TextFilesError,
        match=r"several splits \(train, test\); select one with the key split, or all",
    ):
        files(tmp_path)
    assert files(tmp_path, "test") == ["test/data-00000-of-00001.arrow"]
    with pytest.raises(text_files.TextFilesError, match=r"no split 'valid' \(found train, test\)"):
        files(tmp_path, "valid")


@pytest.mark.parametrize(
    "names",
    [
        [
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "data/test-00000-of-00001.parquet",
        ],
        ["train/0000.parquet", "train/0001.parquet", "test/0000.parquet"],
        ["train.parquet", "train_2.parquet", "my_test.parquet"],
        [
            "default/partial-train/0000.parquet",
            "default/partial-train/0001.parquet",
            "default/test/0000.parquet",
        ],
    ],
)
def test_splits_of_parquet_files_are_not_pooled(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(texts(name), tmp_path / name)
    with pytest.raises(
        text_files.TextFilesError,
        match=r"several splits \(test, train\); select one with the key split, or all",
    ):
        files(tmp_path)
    assert files(tmp_path, "train") == names[:2]


def test_configurations_are_not_pooled(tmp_path):
    for name in ("en/train-0.parquet", "fr/train-0.parquet"):
        (tmp_path / name).parent.mkdir()
        pq.write_table(texts(name), tmp_path / name)
    with pytest.raises(
        text_files.TextFilesError,
        match=r"several configurations \(en, fr\); name the folder of one",
    ):
        files(tmp_path)
    assert files(tmp_path / "fr") == ["train-0.parquet"]


def test_files_of_the_system_and_caches_are_left_out(tmp_path):
    for name in (
        "a.parquet",
        "._a.parquet",
        ".cache/x.parquet",
        "__MACOSX/a.parquet",
        "cache-1.arrow",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(texts(name), tmp_path / name)
    assert files(tmp_path) == ["a.parquet"]


def test_split_without_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    recipe = "{kind: texts, file: data/digits_classes.csv, split: train}"
    (tmp_path / "bad.yaml").write_text(
        SMOKE.read_text().replace("recipes:\n", f"recipes:\n  new: {recipe}\n", 1)
    )
    with pytest.raises(StudyError, match=r"recipes\.new\.split = 'train': a file has no splits"):
        load_study(tmp_path / "bad.yaml")


def test_file_whose_name_is_not_utf8_is_reported(tmp_path):
    pq.write_table(texts("a"), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / os.fsdecode(b"caf\xe9.parquet"))
    with pytest.raises(
        text_files.TextFilesError,
        match=r"the name 'caf\\udce9\.parquet' is not UTF-8; rename the file",
    ) as error:
        files(tmp_path)
    str(error.value).encode()


def test_all_splits_may_be_asked_for(tmp_path):
    """For files of classes, one of which is called train."""
    for name in ("bird.parquet", "train.parquet"):
        pq.write_table(texts(name), tmp_path / name)
    with pytest.raises(
        text_files.TextFilesError,
        match=r"several splits \(train, files without one\); select one with the key split, or all",
    ):
        files(tmp_path)
    assert files(tmp_path, "all") == ["bird.parquet", "train.parquet"]
    for split in ("train", "test"):
        saved(tmp_path / "dict" / split, split)
    (tmp_path / "dict/dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert files(tmp_path / "dict", "all") == [
        "train/data-00000-of-00001.arrow",
        "test/data-00000-of-00001.arrow",
    ]


def test_splits_of_any_name_are_not_pooled(tmp_path):
    """Shards on the hub are called {split}-{number}-of-{count}."""
    for name in (
        "en-00000-of-00002.parquet",
        "en-00001-of-00002.parquet",
        "fr-00000-of-00001.parquet",
    ):
        pq.write_table(texts(name), tmp_path / name)
    with pytest.raises(text_files.TextFilesError, match=r"several splits \(en, fr\)"):
        files(tmp_path)
    assert files(tmp_path, "en") == ["en-00000-of-00002.parquet", "en-00001-of-00002.parquet"]


def test_saved_dataset_without_files_is_reported(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": []}))
    with pytest.raises(text_files.TextFilesError, match=r"state\.json names no file"):
        files(tmp_path)


def test_saved_dict_without_splits_is_reported(tmp_path):
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": []}))
    with pytest.raises(
        text_files.TextFilesError,
        match=r"dataset_dict\.json names no split; save the data set again",
    ):
        files(tmp_path)


def test_only_split_of_a_saved_dict_is_read(tmp_path):
    saved(tmp_path / "train", "train")
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    assert files(tmp_path) == files(tmp_path, "train") == ["train/data-00000-of-00001.arrow"]


def test_folder_without_texts_is_an_error_of_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    recipe = f"{{kind: texts, dataset: {tmp_path}, split: dev}}"
    pq.write_table(texts("a"), tmp_path / "train.parquet")
    (tmp_path / "bad.yaml").write_text(
        SMOKE.read_text().replace("recipes:\n", f"recipes:\n  new: {recipe}\n", 1)
    )
    with pytest.raises(
        StudyError, match=r"recipes\.new\.split = 'dev': .*no split 'dev' \(found train\)"
    ):
        load_study(tmp_path / "bad.yaml")
