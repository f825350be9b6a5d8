"""The reader of every table that people edit."""

import shutil
from types import SimpleNamespace

import pytest

from synscale.data.datasets import registry
from synscale.models import checksums
from synscale.planning import cost_model
from synscale.report import captions
from synscale.study import class_table, csv_tables
from synscale.study.checks import figures
from synscale.study.load import StudyError, load_study
from tests.support.workflow import ROOT, SMOKE

MARK = b"\xef\xbb\xbf"  # byte order mark, which Excel writes in front of UTF-8


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The folder data/ in the working directory, with byte order marks and CRLF as by Excel."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    for path in (tmp_path / "data").rglob("*.csv"):
        path.write_bytes(MARK + path.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.chdir(tmp_path)
    captions.paper_items.cache_clear()
    yield tmp_path / "data"
    captions.paper_items.cache_clear()


def test_byte_order_mark_in_tables_of_data_is_ignored(data):
    assert registry.row_of("imagenet_v2")["images"] == "10000"
    subset = registry.DataSet("imagenet_r", "evaluation.r", str(data / "imagenet_classes.csv"))
    assert len(subset.expected) == 200
    assert next(iter(figures.published_numbers())) == "fig1_supervised_imagenet_real"
    assert captions.paper_items()["teaser"]["paper_item"] == "Figure 1"
    assert checksums.rows(data / "sources.csv")[0]["id"].startswith("stable-diffusion")
    assert class_table.read(data / "digits_classes.csv")["name"][9] == "nine"
    recipes = {"any": SimpleNamespace(texts=3)}
    study = SimpleNamespace(classes=str(data / "digits_classes.csv"), gpus=0, recipes=recipes)
    assert cost_model.work(study, "write_sentences", {"recipe": "any"}).units["text"] == 30


def test_outer_spaces_of_cells_and_columns_are_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('class_id, name ,text\n0, robin ,"\u00a0a bird, red "\n1 , "heron, grey", b\n')
    assert csv_tables.rows(path) == [
        {"class_id": "0", "name": "robin", "text": "a bird, red"},
        {"class_id": "1", "name": "heron, grey", "text": "b"},
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"id;name\n0;robin\n",
            r"no column 'id' \(found 'id;name'\); save it with commas between the cells",
        ),
        (b"name\nrobin\n", r"no column 'id' \(found \'name\'"),
        (b"", r"no column 'id' \(found none"),
        (b"id\ncaf\xe9\n", "not UTF-8 at byte 6; save it as UTF-8"),
        (
            b'id\n"a"b\n',
            "not a CSV .*; put double quotes around a text that contains a comma or a quote",
        ),
    ],
)
def test_table_that_cannot_be_read_is_named(tmp_path, data, message):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(csv_tables.TableError, match=f"t.csv: {message}"):
        csv_tables.rows(tmp_path / "t.csv", "id")


def test_unreadable_table_of_numbers_is_an_error_of_the_study(data, tmp_path):
    (data / "paper_numbers.csv").write_text("id;value\na;1\n")
    (tmp_path / "smoke.yaml").write_text(SMOKE.read_text())
    with pytest.raises(
        StudyError, match=r"smoke\.yaml: .*paper_numbers\.csv: no column 'id' \(found 'id;value'\)"
    ):
        load_study(tmp_path / "smoke.yaml")


def test_duplicate_column_is_reported(tmp_path):
    (tmp_path / "t.csv").write_text("id,text,text\n0,a,b\n")
    with pytest.raises(csv_tables.TableError, match=r"t\.csv: duplicate column 'text'"):
        csv_tables.rows(tmp_path / "t.csv")


def test_empty_columns_and_last_rows_are_left_out(tmp_path):
    (tmp_path / "t.csv").write_text("id,name,,\n0,robin,,\n1,heron,,\n,,,\n,,,\n")
    assert csv_tables.rows(tmp_path / "t.csv") == [
        {"id": "0", "name": "robin"},
        {"id": "1", "name": "heron"},
    ]


def test_frame_keeps_columns_and_refuses_rows_that_are_too_long(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n")
    assert csv_tables.frame(tmp_path / "t.csv").columns.tolist() == ["id", "text"]
    (tmp_path / "t.csv").write_text("id,text\n0,a\n1,b, c\n")
    with pytest.raises(
        csv_tables.TableError,
        match=r"row 2 has more cells than there are columns; put double quotes",
    ):
        csv_tables.frame(tmp_path / "t.csv")


def test_unreadable_table_is_an_error_of_its_data_set(data, monkeypatch):
    (data / "datasets.csv").write_text("id;images\nbirds;3\n")
    monkeypatch.setenv("DATA_BIRDS", str(data))
    birds = registry.DataSet("birds", "training.birds", str(data / "digits_classes.csv"))
    with pytest.raises(registry.DataSetError, match=r"datasets\.csv: no column 'id'"):
        _ = birds.row
