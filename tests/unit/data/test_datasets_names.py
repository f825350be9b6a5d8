"""Names in data sets of classes: of files and folders, members of tars, and classes."""

import gzip
import os
import tarfile
import unicodedata

import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError, webdataset
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_of
from tests.support.fake_datasets import WNIDS

NOT_UTF8 = os.fsdecode(b"caf\xe9")


def test_files_of_the_system_are_left_out_of_class_folders(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys([*WNIDS, "__MACOSX", "@eaDir"], 1))
    for name in (
        f"{WNIDS[0]}/._a.jpg",
        f"{WNIDS[0]}/Thumbs.db",
        f"{WNIDS[1]}/.DS_Store",
        ".DS_Store",
        "._b.jpg",
    ):
        (a_set.folder / name).write_bytes(b"not an image")
    assert len(index_of(a_set(), tmp_path)) == 3
    assert "other files" not in datasets.write_index(a_set(), tmp_path / "index.parquet").summary()


def test_files_of_the_system_are_left_out_of_tars(a_set, tmp_path):
    clutter = [
        ("._a.jpg", b"?"),
        ("__MACOSX/._a.jpg", b"?"),
        (".DS_Store", b"?"),
        ("x/Thumbs.db", b"?"),
        ("._a.cls", b"?"),
    ]
    members = clutter + [member for i in range(3) for member in fake.sample(f"x/{i}", i)]
    fake.tar_of(a_set.folder / "0.tar", members)
    (a_set.folder / "._0.tar").write_bytes(b"not a tar")
    for place in (a_set.folder, a_set.folder / "*.tar"):
        assert index_of(a_set(place), tmp_path)["class_id"].tolist() == [0, 1, 2]


def test_names_of_members_are_normalised(a_set, tmp_path):
    members = [
        ("./a.jpg", fake.image_bytes(0)),
        ("a.cls", b"0"),
        *fake.sample("./b", 1),
        *fake.sample(".//x/../c", 2),
    ]
    fake.tar_of(a_set.folder / "0.tar", members)
    skip = tmp_path / "skip.txt"
    skip.write_text("0.tar/./b\n")
    assert sorted(index_of(a_set(), tmp_path)["origin"]) == ["0.tar/a", "0.tar/b", "0.tar/c"]
    assert sorted(index_of(a_set(skip=str(skip)), tmp_path)["origin"]) == ["0.tar/a", "0.tar/c"]


def test_members_of_a_sample_need_not_be_adjacent(a_set, tmp_path):
    images, labels = zip(*(fake.sample(str(i), i) for i in range(3)), strict=True)
    fake.tar_of(a_set.folder / "0.tar", [*images, *labels])
    index = index_of(a_set(training=False), tmp_path)
    assert index["origin"].tolist() == ["0.tar/0", "0.tar/1", "0.tar/2"] and index[
        "class_id"
    ].tolist() == [0, 1, 2]


@pytest.mark.parametrize("extension", ["bmp", "GIF", "tiff", "JPEG"])
def test_tars_take_the_image_formats_of_folders(a_set, tmp_path, extension):
    members = [
        member
        for i in range(3)
        for member in [(f"{i}.{extension}", b"image"), (f"{i}.cls", str(i).encode())]
    ]
    fake.tar_of(a_set.folder / "0.tar", members)
    assert len(index_of(a_set(), tmp_path)) == 3


def test_dot_in_a_key_is_named_as_the_cause(a_set):
    fake.tar_of(a_set.folder / "0.tar", fake.sample("photo 2.0"))
    message = error_of(a_set())
    assert "sample 'photo 2' has 0 images among 0.cls, 0.jpg" in message
    assert "a key ends at the first dot of a file's name; replace other dots" in message


def test_skipped_image_is_compared_in_one_unicode_form(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    name = f"{WNIDS[0]}/cafe\u0301.jpg"
    (a_set.folder / name).write_bytes(fake.image_bytes(0))
    (tmp_path / "skip.txt").write_text(f"{unicodedata.normalize('NFC', name)}\n", encoding="utf-8")
    assert len(index_of(a_set(skip=str(tmp_path / "skip.txt")), tmp_path)) == 6


def test_names_that_are_not_utf8_are_reported_printably(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys([*WNIDS, NOT_UTF8], 1))
    message = error_of(a_set())
    assert r"folders are no wnid of" in message and r"caf\udce9" in message
    fake.class_tars(tmp_path / "tars", [[0, 1, 2]])
    (tmp_path / "tars/00000.tar").rename(tmp_path / f"tars/{NOT_UTF8}.tar")
    member = fake.tar_of(tmp_path / "member/0.tar", fake.sample(NOT_UTF8))
    place = fake.tar_of(tmp_path / NOT_UTF8 / "0.tar", [])
    for folder, text in (
        (tmp_path / "tars", "not UTF-8"),
        (member.parent, "not UTF-8"),
        (place.parent, "no image of 3 classes"),
    ):
        with pytest.raises(DataSetError, match=text) as error:
            index_of(a_set(folder), tmp_path)
        assert r"caf\udce9" in str(error.value)
        str(error.value).encode()
    str(message).encode()


def test_compressed_tars_are_named_as_such(a_set, tmp_path):
    plain = fake.class_tars(tmp_path / "plain", [[0, 1, 2]]) / "00000.tar"
    a_set.folder.mkdir()
    (a_set.folder / "00000.tar").write_bytes(gzip.compress(plain.read_bytes()))
    message = error_of(a_set())
    problem = "00000.tar: compressed (gzip), but images are read at their offsets"
    assert f"{problem}; decompress it" in message
    assert "download" not in message
    (a_set.folder / "00000.tar").rename(a_set.folder / "00000.tar.gz")
    problem = "compressed tars, whose images cannot be read at their offsets (1: 00000.tar.gz)"
    assert f"{problem}; decompress them" in error_of(a_set())


def test_braces_are_expanded(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 1, 2], [0], [1]])
    for pattern, count in (
        ("{00000..00001}.tar", 4),
        ("{00000,00002}.tar", 4),
        ("0000{0..2}.tar", 5),
        ("0000?.tar", 5),
    ):
        assert len(index_of(a_set(a_set.folder / pattern), tmp_path)) == count, pattern
    message = error_of(a_set(a_set.folder / "{00001..00009}.tar"))
    names = ", ".join(f"{number:05d}.tar" for number in range(3, 8))
    assert f"files of the pattern are missing (7 of 9: {names} and 2 more)" in message
    with_braces = fake.class_tars(tmp_path / "set {a,b}", [[0, 1, 2]])
    assert len(index_of(a_set(with_braces), tmp_path)) == 3


def test_tars_of_several_splits_are_not_pooled(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 1, 2], [0, 1, 2]])
    (a_set.folder / "00000.tar").rename(a_set.folder / "imagenet1k-train-0000.tar")
    (a_set.folder / "00001.tar").rename(a_set.folder / "imagenet1k-validation-00.tar")
    assert "tars of several splits (train, validation); name those of one by a pattern" in error_of(
        a_set()
    )
    assert len(index_of(a_set(a_set.folder / "*train*.tar"), tmp_path)) == 3


def test_duplicate_member_is_reported(a_set, tmp_path):
    fake.tar_of(a_set.folder / "0.tar", [*fake.sample("a"), *fake.sample("b"), *fake.sample("a")])
    with pytest.raises(DataSetError, match=r"'a\.jpg' is there twice"):
        list(webdataset.samples(a_set.folder / "0.tar"))


def test_empty_tar_is_no_error(a_set, tmp_path):
    """The ShardWriter of webdataset leaves one."""
    fake.class_tars(a_set.folder, [[], [0, 1, 2]])
    assert datasets.check(a_set()) == "webdataset"
    assert len(index_of(a_set(), tmp_path)) == 3
    assert (
        "1 tars without a sample"
        in datasets.write_index(a_set(), tmp_path / "index.parquet").summary()
    )


def test_metadata_members_of_webdataset_are_left_out(a_set, tmp_path):
    """Webdataset skips names such as __version__.txt at the top of a tar."""
    clutter = [("__version__.txt", b"1"), ("__info__/a.json", b"{}")]
    fake.tar_of(
        a_set.folder / "0.tar",
        clutter + [member for i in range(3) for member in fake.sample(f"__{i}", i)],
    )
    assert index_of(a_set(), tmp_path)["class_id"].tolist() == [0, 1, 2]


def test_link_in_a_tar_is_reported(a_set):
    fake.tar_of(a_set.folder / "0.tar", fake.sample("a"))
    with tarfile.open(a_set.folder / "0.tar", "a") as file:
        info = tarfile.TarInfo("b.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, "a.jpg"
        file.addfile(info)
    assert (
        "0.tar: 'b.jpg' is a link; write the tar again with --dereference --hard-dereference"
        in error_of(a_set())
    )


def test_class_folder_may_be_a_symbolic_link(a_set, tmp_path):
    fake.class_folders(tmp_path / "elsewhere", dict.fromkeys(WNIDS, 1))
    a_set.folder.mkdir()
    for name in WNIDS:
        (a_set.folder / name).symlink_to(tmp_path / "elsewhere" / name)
    assert len(index_of(a_set(), tmp_path)) == 3


def test_pattern_may_be_in_a_folder_of_the_path(a_set, tmp_path):
    for part in ("a", "b"):
        fake.class_tars(a_set.folder / part, [[0, 1, 2]])
    for pattern in ("*/*.tar", "{a,b}/00000.tar"):
        index = index_of(a_set(a_set.folder / pattern), tmp_path)
        assert sorted(set(index["tar"])) == ["a/00000.tar", "b/00000.tar"], pattern


def test_folders_of_splits_are_named_as_such(a_set):
    for split in ("train", "val"):
        fake.class_folders(a_set.folder / split, dict.fromkeys(WNIDS, 1))
    message = error_of(a_set())
    assert (
        f"train, val are folders of splits; give the path of one, such as {a_set.folder}/train"
        in message
    )
    assert "rename" not in message and "missing" not in message
