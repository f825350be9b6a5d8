"""A file is complete or absent."""

import errno
import os
import tempfile

import pytest

from synscale.runtime.atomic import apply_umask, atomic_write, umask, write_json


@pytest.fixture(params=[0o002, 0o022, 0o077], ids=oct)
def mask(request):
    """The umask of this process."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path) -> int:
    return path.stat().st_mode & 0o777


def test_files_appear_under_their_names_when_all_are_written(tmp_path):
    with atomic_write(tmp_path / "deep/a.txt", tmp_path / "b.txt") as (a, b):
        a.write_text("a")
        b.write_text("b")
        assert not (tmp_path / "deep/a.txt").exists()
    assert (tmp_path / "deep/a.txt").read_text() + (tmp_path / "b.txt").read_text() == "ab"
    assert not list(tmp_path.rglob("*.part*"))


def test_failure_keeps_the_old_file_and_removes_the_new_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a.txt") as (part,):
        part.write_text("new")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"k": float("nan")})
    assert not list(tmp_path.iterdir())


def test_full_disk_is_reported_with_the_file(tmp_path):
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*images\.tar'"),
        atomic_write(tmp_path / "images.tar"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def write_privately(path) -> None:
    """Write a file as safetensors does: under a temporary name, for its owner only."""
    number, name = tempfile.mkstemp(dir=path.parent)
    os.close(number)
    os.replace(name, path)


def test_new_files_have_the_permissions_of_the_umask(tmp_path, mask):
    assert umask() == mask
    with atomic_write(tmp_path / "private.safetensors", tmp_path / "plain.txt") as (private, plain):
        write_privately(private)
        plain.write_text("plain")
        assert mode(private) == 0o600
    assert mode(tmp_path / "private.safetensors") == mode(tmp_path / "plain.txt") == 0o666 & ~mask


def test_folder_gets_permissions_but_not_targets_of_links(tmp_path, mask):
    private, model = tmp_path / "private", tmp_path / "model"
    write_privately(private)
    (model / "unet").mkdir(parents=True)
    write_privately(model / "unet/weights.safetensors")
    (model / "link").symlink_to(private)
    apply_umask(model)
    assert mode(model / "unet/weights.safetensors") == 0o666 & ~mask
    assert mode(private) == 0o600
