"""The class table of a folder with one folder per class."""

import pytest

from scripts import list_classes
from synscale.study import class_table

COLUMNS = class_table.REQUIRED + class_table.TEXTS  # what the check of a study requires


def table_of(folder, names) -> list[dict[str, str]]:
    """The table that the command writes for class folders of these names."""
    for name in names:
        (folder / "images" / name).mkdir(parents=True)
    output = folder / "tables/classes.csv"
    list_classes.main([str(folder / "images"), "--output", str(output)])
    assert class_table.errors("classes", str(output), COLUMNS) == []
    return class_table.rows(output)


def test_table_names_every_class_folder_of_hundreds(tmp_path, capsys):
    names = [f"wading_bird_{i:03d}" for i in range(500)]
    clutter = [".cache", "__MACOSX", "@eaDir"]
    rows = table_of(tmp_path, [*reversed(names), *clutter])
    assert [row["label"] for row in rows] == names
    texts = {"description": "", "hypernyms": ""}  # for the user to fill in
    row = {"class_id": "7", "name": "wading bird 007", "label": "wading_bird_007"}
    assert rows[7] == row | texts
    assert class_table.match(names, rows) == ("label", list(range(500)))
    assert "500 classes in" in capsys.readouterr().out


def test_numbered_folders_keep_their_numbers(tmp_path):
    rows = table_of(tmp_path, [str(i) for i in range(120)])
    assert all(row["label"] == row["class_id"] for row in rows)


def test_names_with_commas_quotes_and_accents(tmp_path):
    names = ["cafe\u0301, black", 'the "big" one', "_"]
    rows = table_of(tmp_path, names)
    assert {row["name"] for row in rows} == {"caf\u00e9, black", 'the "big" one', "_"}
    assert sorted(class_table.match(names, rows)[1]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ([], "no folder in it"),
        (["train", "val"], r"splits \(train, val\); give the path of one"),
        ([b"\xff".decode("utf-8", "surrogateescape"), "a"], "not UTF-8"),
    ],
)
def test_folders_that_are_no_classes_are_an_error(tmp_path, names, error):
    (tmp_path / "images").mkdir()
    with pytest.raises(SystemExit, match=error):
        table_of(tmp_path, names)


def test_edited_table_is_not_overwritten(tmp_path):
    output = tmp_path / "classes.csv"
    output.write_text("edited")
    with pytest.raises(SystemExit, match="exists already"):
        list_classes.main([str(tmp_path), "--output", str(output)])
    assert output.read_text() == "edited"
