"""Which files of a data set's folder are read, and the class ids in them."""

import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synscale.prompts import text_files, user_prompts
from synscale.study.load import StudyError, load_study
from synscale.study.models.recipes import UserPrompts
from tests.support.workflow import ROOT, SMOKE

CLASSES = pd.DataFrame({"class_id": [0, 1, 2], "name": ["robin", "heron", "café"]})
RECIPE = {"recipe": "own", "kind": "texts", "columns": {}}


def arrow(path, table: pa.Table) -> None:
    """An Arrow file as `save_to_disk` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


def texts(prefix: str, ids=(0, 1, 2)) -> pa.Table:
    return pa.table({"class_id": pa.array(ids), "text": [f"{prefix} {i}" for i in range(len(ids))]})


def saved(folder, prefix: str, shards: int = 1) -> None:
    """A `Dataset` saved to disk, with a shard of an earlier save that its state does not name."""
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    for name in names:
        arrow(folder / name, texts(f"{prefix} {name}"))
    arrow(folder / "data-00000-of-00009.arrow", texts("stale"))
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
        match=r"state\.json names data-00001-of-00002\.arrow, which is not there",
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
        match=r"several splits \(train, test\); choose one with the key split, or all",
    ):
        files(tmp_path)
    assert files(tmp_path, "test") == ["test/data-00000-of-00001.arrow"]
    with pytest.raises(text_files.TextFilesError, match=r"no split 'valid' \(found train, test\)"):
        files(tmp_path, "valid")


def test_the_only_split_of_a_saved_dict_is_read(tmp_path):
    saved(tmp_path / "train", "train")
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    assert files(tmp_path) == files(tmp_path, "train") == ["train/data-00000-of-00001.arrow"]


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
        match=r"several splits \(test, train\); choose one with the key split, or all",
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


def test_folder_without_texts_is_reported_when_the_study_is_read(tmp_path, monkeypatch):
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


def test_split_without_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    recipe = "{kind: texts, file: data/digits_classes.csv, split: train}"
    (tmp_path / "bad.yaml").write_text(
        SMOKE.read_text().replace("recipes:\n", f"recipes:\n  new: {recipe}\n", 1)
    )
    with pytest.raises(StudyError, match=r"recipes\.new\.split = 'train': a file has no splits"):
        load_study(tmp_path / "bad.yaml")


def labelled(names: list[str], ids: list, column: str = "class_id", **more) -> pa.Table:
    """A table of Hugging Face `datasets`, whose schema names the classes."""
    features = {
        column: {"names": names, "_type": "ClassLabel"},
        "text": {"dtype": "string", "_type": "Value"},
    }
    table = pa.table(
        {column: pa.array(ids, pa.int64()), "text": [f"text {i}" for i in range(len(ids))]} | more
    )
    return table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )


def read(path, **changes) -> list[int]:
    return user_prompts.read(RECIPE | changes, [str(path)], CLASSES)["class_id"].tolist()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_class_label_is_mapped_by_its_names(tmp_path, suffix):
    """The order of its names differs from the class table's, and so does the Unicode form of one."""
    table, path = labelled(["cafe\u0301", "heron", "robin"], [0, 0, 1, 2]), tmp_path / f"t.{suffix}"
    arrow(path, table) if suffix == "arrow" else pq.write_table(table, path)
    assert read(path) == [2, 2, 1, 0]
    assert (
        read(path, columns={"class_id": "class_id"})
        == read(path, columns={"name": "class_id"})
        == [2, 2, 1, 0]
    )


def test_class_label_may_name_other_columns_of_the_class_table(tmp_path):
    pq.write_table(labelled(["n2", "n1", "n3"], [0, 1, 2]), tmp_path / "t.parquet")
    classes = CLASSES.assign(wnid=["n1", "n2", "n3"])
    found = user_prompts.read(RECIPE, [str(tmp_path / "t.parquet")], classes)
    assert found["class_id"].tolist() == [1, 0, 2]
    pq.write_table(labelled(["2", "0", "1"], [0, 1, 2]), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == [2, 0, 1]


def test_class_label_with_an_unknown_name_is_refused(tmp_path):
    pq.write_table(labelled(["robin", "herron", "café"], [0, 1, 2]), tmp_path / "t.parquet")
    with pytest.raises(
        user_prompts.TextsError,
        match=r"class name of column 'class_id' is not in the class table.*: \S+ row 2, class 'herron'",
    ):
        read(tmp_path / "t.parquet")


def test_equal_names_in_equal_order_keep_their_ids(tmp_path):
    """Two classes of ImageNet have the same name."""
    pq.write_table(labelled(["crane", "crane", "robin"], [0, 1, 2]), tmp_path / "t.parquet")
    classes = CLASSES.assign(name=["crane", "crane", "robin"])
    assert user_prompts.read(RECIPE, [str(tmp_path / "t.parquet")], classes)[
        "class_id"
    ].tolist() == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "text",
            pa.array([["a"], ["b"], ["c"]]),
            "column 'text' is list<.*string>, expected string",
        ),
        (
            "text",
            pa.array([{"en": "a"}, {"en": "b"}, {"en": "c"}]),
            "column 'text' is struct<en: string>, expected string",
        ),
        ("text", pa.array([1, 2, 3]), "column 'text' is int64, expected string"),
        ("text", pa.array([0.5, 1.5, 2.5]), "column 'text' is double, expected string"),
        ("text", pa.array([b"a", b"b", b"c"]), "column 'text' is binary, expected string"),
        (
            "class_id",
            pa.array([[0], [1], [2]]),
            "column 'class_id' is list<.*int64>, expected integers",
        ),
        ("class_id", pa.array([True, False, True]), "column 'class_id' is bool, expected integers"),
    ],
)
def test_column_of_another_type_is_named(tmp_path, column, values, message):
    table = texts("a").set_column(["class_id", "text"].index(column), column, values)
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(user_prompts.TextsError, match=rf"t\.parquet: {message}"):
        read(tmp_path / "t.parquet")


def test_dictionary_encoded_texts_are_read(tmp_path):
    table = texts("a")
    pq.write_table(
        table.set_column(1, "text", table["text"].dictionary_encode()), tmp_path / "t.parquet"
    )
    assert read(tmp_path / "t.parquet") == [0, 1, 2]


def test_only_the_bad_row_of_float_class_ids_is_reported(tmp_path):
    pq.write_table(texts("a", [0.0, 1.0, 2.0, None]), tmp_path / "t.parquet")
    with pytest.raises(
        user_prompts.TextsError, match=r"one of 0 to 2: \S+ row 4, class None(?m:$)"
    ):
        read(tmp_path / "t.parquet")
    pq.write_table(texts("a", [0.0, 1.0, 2.0]), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == [0, 1, 2]
    (tmp_path / "t.csv").write_text("class_id,text\n0.0,a\n1.0,b\n2.0,c\n2.5,d\n")
    with pytest.raises(
        user_prompts.TextsError, match=r"one of 0 to 2: \S+ row 4, class '2.5'(?m:$)"
    ):
        read(tmp_path / "t.csv")


def test_names_are_compared_in_one_unicode_form(tmp_path):
    (tmp_path / "t.csv").write_text("name,text\nrobin,a\nheron,b\ncafe\u0301,c\n", encoding="utf-8")
    assert read(tmp_path / "t.csv") == [0, 1, 2]


def test_arrow_files_are_read_in_both_formats(tmp_path):
    """Polars and Feather write the file format, `save_to_disk` the stream format."""
    with (
        pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, texts("a").schema) as writer,
    ):
        writer.write_table(texts("a"))
    assert read(tmp_path / "t.arrow") == [0, 1, 2]


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
        match=r"several splits \(train, files without one\); choose one with the key split, or all",
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
