"""Classes and types of the user's texts in parquet, arrow and csv files."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synscale.prompts import user_prompts
from synscale.study.models.recipes import UserPrompts
from synscale.workflow.settings.prompts import PromptSettings
from tests.support.text_tables import texts, write_arrow

CLASSES = pd.DataFrame({"class_id": [0, 1, 2], "name": ["robin", "heron", "café"]})


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


def read(path, classes=CLASSES, **columns) -> list[int]:
    settings = PromptSettings("own", UserPrompts(kind="texts", file="t", columns=columns))
    return user_prompts.read(settings, [str(path)], classes)["class_id"].tolist()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_class_label_is_mapped_by_its_names(tmp_path, suffix):
    """Its names have another order than the class table, and one another Unicode form."""
    table = labelled(["cafe\u0301", "heron", "robin"], [0, 0, 1, 2])
    path = tmp_path / f"t.{suffix}"
    write_arrow(path, table) if suffix == "arrow" else pq.write_table(table, path)
    assert read(path) == [2, 2, 1, 0]
    assert read(path, class_id="class_id") == read(path, name="class_id") == [2, 2, 1, 0]


def test_class_label_may_name_other_columns_of_the_class_table(tmp_path):
    pq.write_table(labelled(["n2", "n1", "n3"], [0, 1, 2]), tmp_path / "t.parquet")
    classes = CLASSES.assign(wnid=["n1", "n2", "n3"])
    assert read(tmp_path / "t.parquet", classes) == [1, 0, 2]
    pq.write_table(labelled(["2", "0", "1"], [0, 1, 2]), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == [2, 0, 1]


def test_class_label_with_an_unknown_name_is_refused(tmp_path):
    pq.write_table(labelled(["robin", "herron", "café"], [0, 1, 2]), tmp_path / "t.parquet")
    message = r"column 'class_id' is not in the class table.*: \S+ row 2, class 'herron'"
    with pytest.raises(user_prompts.TextsError, match=message):
        read(tmp_path / "t.parquet")


def test_equal_names_in_equal_order_keep_their_ids(tmp_path):
    """Two classes of ImageNet have the same name."""
    pq.write_table(labelled(["crane", "crane", "robin"], [0, 1, 2]), tmp_path / "t.parquet")
    classes = CLASSES.assign(name=["crane", "crane", "robin"])
    assert read(tmp_path / "t.parquet", classes) == [0, 1, 2]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "text",
            pa.array([["a"], ["b"], ["c"]]),
            r"column 'text' has another type \(list<.*string>, expected string",
        ),
        (
            "text",
            pa.array([{"en": "a"}, {"en": "b"}, {"en": "c"}]),
            r"column 'text' has another type \(struct<en: string>, expected string",
        ),
        ("text", pa.array([1, 2, 3]), r"column 'text' has another type \(int64, expected string"),
        (
            "text",
            pa.array([0.5, 1.5, 2.5]),
            r"column 'text' has another type \(double, expected string",
        ),
        (
            "text",
            pa.array([b"a", b"b", b"c"]),
            r"column 'text' has another type \(binary, expected string",
        ),
        (
            "class_id",
            pa.array([[0], [1], [2]]),
            r"column 'class_id' has another type \(list<.*int64>, expected integers",
        ),
        (
            "class_id",
            pa.array([True, False, True]),
            r"column 'class_id' has another type \(bool, expected integers",
        ),
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
