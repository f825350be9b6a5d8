"""Archives with checksums: what goes in comes out, and damage is reported."""

import io
import lzma
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.runtime import archive
from synscale.runtime.archive import ArchiveError

NAME = st.from_regex(
    r"[a-z0-9_.-]{0,8}[a-z0-9_-](/[a-z0-9_.-]{0,8}[a-z0-9_-]){0,3}", fullmatch=True
)
NAMES = NAME.filter(lambda name: name != archive.MANIFEST)
FILES = st.dictionaries(NAMES, st.binary(max_size=200), max_size=6)
SMALL = archive.pack({"results/a.csv": b"a,b\n1,2\n", "results/b.bin": bytes(range(256))}, {"n": 1})


def repacked(change) -> bytes:
    """Return a valid .tar.xz of the members of the small archive after a change to them."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(SMALL))) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    change(members)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return lzma.compress(buffer.getvalue())


@given(FILES)
def test_archive_returns_names_bytes_and_facts(files):
    manifest, unpacked = archive.unpack(archive.pack(files, {"study": "smoke"}))
    assert unpacked == files
    assert manifest["study"] == "smoke"
    assert manifest["files"].keys() == files.keys()


@given(FILES)
def test_same_files_give_the_same_archive(files):
    backwards = dict(reversed(files.items()))
    assert archive.pack(files, {}) == archive.pack(backwards, {})


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 7))
def test_flipped_bit_is_rejected(place, bit):
    damaged = bytearray(SMALL)
    damaged[place] ^= 1 << bit
    with pytest.raises(ArchiveError, match=r"not a bundle, or damaged \("):
        archive.unpack(bytes(damaged))


@given(st.integers(0, len(SMALL) - 1))
def test_shortened_archive_is_rejected(length):
    with pytest.raises(ArchiveError, match="not a bundle, or damaged"):
        archive.unpack(SMALL[:length])


@pytest.mark.parametrize("content", [b"", b"text", lzma.compress(b"text"), lzma.compress(b"")])
def test_other_file_is_rejected(content, tmp_path):
    path = tmp_path / "a.tar.xz"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=f"^{path}: not a bundle, or damaged"):
        archive.read(path)


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(ArchiveError, match=r"no\.tar\.xz: no such file"):
        archive.read(tmp_path / "no.tar.xz")


def test_wrong_checksum_names_file_found_and_expected():
    content, other = b"a,b\n1,2\n", b"a,b\n1,3\n"
    damaged = repacked(lambda members: members.update({"results/a.csv": other}))
    with pytest.raises(ArchiveError) as error:
        archive.unpack(damaged)
    digest, expected = archive.sha256(other), archive.sha256(content)
    assert f"results/a.csv (found {digest}, expected {expected})" in str(error.value)
    assert "results/b.bin" not in str(error.value)


def test_missing_and_extra_members_are_reported():
    def change(members):
        members["results/c.csv"] = members.pop("results/a.csv")

    with pytest.raises(ArchiveError) as error:
        archive.unpack(repacked(change))
    assert "results/a.csv (found no file, expected " in str(error.value)
    assert "results/c.csv (found " in str(error.value)


@pytest.mark.parametrize("name", ["/etc/a", "../a", "results/../../a", "./a", "a//b"])
def test_path_outside_of_the_folder_is_rejected(name):
    with pytest.raises(ArchiveError, match="paths outside of the workflow"):
        archive.pack({name: b""}, {})


def test_link_in_an_archive_is_rejected():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("results/a")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(ArchiveError, match="not a bundle, or damaged"):
        archive.unpack(lzma.compress(buffer.getvalue()))
