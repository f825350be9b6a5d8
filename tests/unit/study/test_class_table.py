"""Class tables that users write."""

import pytest

from synscale.study import class_table


@pytest.fixture
def table(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "classes.csv").write_text(text, encoding="utf-8")
        return str(tmp_path / "classes.csv")

    return write


def test_outer_spaces_of_class_names_are_left_out(table):
    path = table("class_id, name\n0, robin\n1,heron \n")
    assert class_table.errors("classes", path) == []
    assert [row["name"] for row in class_table.rows(path)] == ["robin", "heron"]
    assert class_table.read(path)["name"].tolist() == ["robin", "heron"]
    assert class_table.read(path)["class_id"].tolist() == [0, 1]


def test_class_may_be_named_as_a_number_or_missing_value(table):
    assert class_table.read(table("class_id,name\n0,7\n1,None\n2,NA\n"))["name"].tolist() == [
        "7",
        "None",
        "NA",
    ]


def test_row_with_too_many_cells_is_reported(table):
    (fault,) = class_table.errors("classes", table("class_id,name\n0,robin, red\n"))
    assert "class 0: more or fewer cells than columns" in fault
