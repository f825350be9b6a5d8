"""Texts of the user: what is read, what is refused; and errors of a study's recipes."""

import pandas as pd
import pyarrow as pa
import pytest

from synscale.prompts import recipes, user_prompts
from synscale.study.load import StudyError, load_study
from synscale.study.models.recipes import UserPrompts
from synscale.workflow.settings.prompts import PromptSettings
from tests.support.workflow import ROOT, SMOKE

CLASSES = pd.read_csv(ROOT / "data/digits_classes.csv")
ODD = [
    'she said "four"',
    "two\nlines",
    "carriage\r\nreturn",
    "  spaces  ",
    "零",
    "ноль, один",
    "NaN",
    "null",
    "1",
    "🙂'",
    "\\n;\t|",
]


def settings(**columns) -> PromptSettings:
    return PromptSettings("own", UserPrompts(kind="texts", file="t", columns=columns))


def read(*paths, classes=CLASSES, **columns) -> pd.DataFrame:
    return user_prompts.read(settings(**columns), [str(path) for path in paths], classes)


def rows(**changes) -> pd.DataFrame:
    table = pd.DataFrame(
        {"class_id": [*range(10), *[0] * len(ODD)], "text": [*CLASSES["name"], *ODD]}
    )
    return table.assign(**changes)


def test_texts_survive_from_any_kind_of_file(tmp_path):
    table = rows()
    table.to_csv(tmp_path / "t.csv", index=False, lineterminator="\n")
    table.to_parquet(tmp_path / "t.parquet")
    names = CLASSES["name"].to_numpy()[table["class_id"]]
    table.drop(columns="class_id").assign(name=names).to_csv(
        tmp_path / "names.csv", index=False, encoding="utf-8-sig"
    )
    arrow = pa.Table.from_pandas(table.rename(columns={"class_id": "label", "text": "caption"}))
    with (
        pa.OSFile(str(tmp_path / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, arrow.schema) as stream,
    ):  # as save_to_disk
        stream.write_table(arrow)
    stripped = [text.strip() for text in table["text"]]
    for path, columns in (
        ("t.csv", {}),
        ("t.parquet", {}),
        ("names.csv", {}),
        ("data-00000-of-00001.arrow", {"class_id": "label", "text": "caption"}),
    ):
        texts = read(tmp_path / path, **columns)
        assert texts["text"].tolist() == (
            stripped if path.endswith("csv") else table["text"].tolist()
        ), path
        assert texts["class_id"].tolist() == table["class_id"].tolist()
    pool = recipes.pool(settings(), CLASSES, texts)
    pool.to_parquet(tmp_path / "pool.parquet")
    assert set(pd.read_parquet(tmp_path / "pool.parquet").query("class_id == 0")["text"]) == {
        "zero",
        *ODD,
    }  # texts of the last file


def test_texts_of_several_files_are_one_pool(tmp_path):
    rows().head(10).to_parquet(tmp_path / "a.parquet")
    rows().iloc[10:].to_parquet(tmp_path / "b.parquet")
    assert (
        read(tmp_path / "a.parquet", tmp_path / "b.parquet")["text"].tolist()
        == rows()["text"].tolist()
    )


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (
            rows().drop(columns="text"),
            {},
            "no column 'text' .found 'class_id'.; name it in the recipe's columns",
        ),
        (rows(), {"name": "label"}, "no column 'label' .found 'class_id', 'text'"),
        (
            rows(class_id=[*range(10), *[11] * len(ODD)]),
            {},
            "class_id must be one of 0 to 9: .* row 11, class '?11'?; .*and 6 more",
        ),
        (
            rows(class_id="three"),
            {"name": "class_id"},
            "no text for 'zero', 'one', 'two', 'four', 'five' and 4 more: every class needs one",
        ),
        (
            rows(class_id="Three"),
            {"name": "class_id"},
            "no class of that name, or more than one: .* row 1, class 'Three'",
        ),
        (
            rows(text=[*CLASSES["name"], *ODD[:-1], " \n"]),
            {},
            "the text is empty: .* row 21, class",
        ),
        (
            rows(text=[*CLASSES["name"], *ODD[:-1], "zero"]),
            {},
            "the same text of the same class is there twice: .* row 21",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_invalid_texts_are_reported(tmp_path, table, columns, message, suffix):
    path = tmp_path / f"t.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    with pytest.raises(user_prompts.TextsError, match=message):
        read(path, **columns)


@pytest.mark.parametrize(
    "header", ["class_id,text\n0,a cat, asleep\n", "text,class_id\na cat, asleep,0\n"]
)
def test_unquoted_commas_are_reported(tmp_path, header):
    """Half of each text would be lost without a message."""
    (tmp_path / "t.csv").write_text(header)
    with pytest.raises(
        user_prompts.TextsError,
        match=r"more cells than there are columns \(first: row 1\); .*double quotes",
    ):
        read(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", b"class_id,text\n0,caf\xe9\n"),
        ("t.parquet", b"no"),
        ("t.arrow", b"no no no no"),
        ("t.csv", b""),
    ],
)
def test_file_without_texts_is_reported(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(user_prompts.TextsError, match=name):
        read(tmp_path / name)


def test_missing_text_is_an_empty_one(tmp_path):
    rows(text=[*CLASSES["name"], *ODD[:-1], None]).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(user_prompts.TextsError, match="the text is empty"):
        read(tmp_path / "t.parquet")


def test_classes_of_the_same_name_need_their_id(tmp_path):
    pd.DataFrame({"name": ["zero"] * 10, "text": list("abcdefghij")}).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(user_prompts.TextsError, match="no class of that name, or more than one"):
        read(tmp_path / "t.csv", classes=CLASSES.assign(name="zero"))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            "{kind: word_to_sentence, model: a/b, revision: main, texts: 5}",
            "recipes.new.revision = 'main': not a commit",
        ),
        (
            "{kind: word_to_sentence, model: ./b, texts: 5}",
            "recipes.new.model = './b': no such folder",
        ),
        (
            "{kind: word_to_sentence, model: a/b/c, revision: %s, texts: 5}" % ("a" * 40),
            "recipes.new.model = 'a/b/c': neither owner/name nor a path",
        ),
        (
            "{kind: image_captions, model: data}",
            "recipes.new.model = 'data': a folder of that name exists here; write './data'",
        ),
        (
            "{kind: image_captions, model: ./data}",
            "recipes.new.model = './data': has no config.json",
        ),
        ("{kind: word_to_sentence, model: a/b}", "recipes.new.texts: missing; add it"),
        (
            "{kind: image_captions, model: ./data, max_token: 3}",
            "recipes.new.max_token = 3: unknown key; did you mean 'max_tokens'?",
        ),
        ("{kind: texts}", "recipes.new: give either file, a csv or parquet, or dataset, a folder"),
        ("{kind: texts, file: mine.csv}", "recipes.new.file = 'mine.csv': no such file"),
        (
            "{kind: texts, file: README.md}",
            "recipes.new.file = 'README.md': its name must end in one of .csv, .parquet",
        ),
        ("{kind: texts, dataset: mine}", "recipes.new.dataset = 'mine': no such folder"),
        (
            "{kind: texts, dataset: data}",
            "recipes.new.dataset = 'data': no parquet or arrow file in it",
        ),
        (
            "{kind: texts, file: README.md, columns: {name: a, class_id: b}}",
            "class_id and name both identify the class; remove one",
        ),
        ("{kind: texts, file: README.md, columns: {label: a}}", "recipes.new.columns.label"),
        ("{patterns: [a]}", "recipes.new.kind: missing; add it"),
    ],
)
def test_invalid_recipe_is_reported_with_key_and_value(tmp_path, monkeypatch, recipe, message):
    monkeypatch.chdir(ROOT)
    (tmp_path / "bad.yaml").write_text(
        SMOKE.read_text().replace("recipes:\n", f"recipes:\n  new: {recipe}\n", 1)
    )
    with pytest.raises(StudyError) as error:
        load_study(tmp_path / "bad.yaml")
    assert message in str(error.value)


def test_recipe_may_have_the_name_of_a_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "bad.yaml").write_text(
        SMOKE.read_text().replace(
            "captions: {kind: captions}", "captions: {kind: class_names, pattern: [a]}", 1
        )
    )
    with pytest.raises(
        StudyError,
        match=r"recipes.captions.pattern = \['a'\]: unknown key; did you mean 'patterns'\?",
    ):
        load_study(tmp_path / "bad.yaml")


def test_csv_texts_and_names_lose_their_outer_spaces(tmp_path):
    lines = [f' {name} , "{name}, a digit "' for name in CLASSES["name"]]
    (tmp_path / "t.csv").write_text("\n".join(["name, text", *lines]), encoding="utf-8-sig")
    assert read(tmp_path / "t.csv")["text"].tolist() == [
        f"{name}, a digit" for name in CLASSES["name"]
    ]
