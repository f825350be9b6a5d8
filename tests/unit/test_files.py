"""A file is whole or absent."""

import errno

import pytest

from scripts.lib.files import whole, write_json


def test_files_appear_under_their_names_when_all_are_written(tmp_path):
    with whole(tmp_path / "deep/a.txt", tmp_path / "b.txt") as (a, b):
        a.write_text("a")
        b.write_text("b")
        assert not (tmp_path / "deep/a.txt").exists()
    assert (tmp_path / "deep/a.txt").read_text() + (tmp_path / "b.txt").read_text() == "ab"
    assert not list(tmp_path.rglob("*.part*"))


def test_a_failure_keeps_the_old_file_and_removes_the_new_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), whole(tmp_path / "a.txt") as (part,):
        part.write_text("new")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"k": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_the_file_that_has_no_room(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*images\.tar'"), whole(tmp_path / "images.tar"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
