"""Names in data sets of classes: of files and folders, members of tars, and classes."""

import gzip
import io
import os
import tarfile
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError, webdataset
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import index_of, known_as, told
from tests.support.fake_datasets import WNIDS

NOT_UTF8 = os.fsdecode(b"caf\xe9")


def tar_of(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """A tar with these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def sample(key: str, label: int = 0) -> list[tuple[str, bytes]]:
    return [(f"{key}.jpg", fake.image_bytes(label)), (f"{key}.cls", str(label).encode())]


def named_table(tmp_path, names: list[str], **columns) -> str:
    table = {"class_id": range(len(names)), "name": names} | columns
    pd.DataFrame(table).to_csv(tmp_path / "names.csv", index=False)
    return str(tmp_path / "names.csv")


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
    assert "other files" not in datasets.write_index(a_set(), tmp_path / "index.parquet").told()


def test_files_of_the_system_are_left_out_of_tars(a_set, tmp_path):
    clutter = [
        ("._a.jpg", b"?"),
        ("__MACOSX/._a.jpg", b"?"),
        (".DS_Store", b"?"),
        ("x/Thumbs.db", b"?"),
        ("._a.cls", b"?"),
    ]
    members = clutter + [member for i in range(3) for member in sample(f"x/{i}", i)]
    tar_of(a_set.folder / "0.tar", members)
    (a_set.folder / "._0.tar").write_bytes(b"not a tar")
    for place in (a_set.folder, a_set.folder / "*.tar"):
        assert index_of(a_set(place), tmp_path)["class_id"].tolist() == [0, 1, 2]


def test_names_of_members_are_normalised(a_set, tmp_path):
    members = [
        ("./a.jpg", fake.image_bytes(0)),
        ("a.cls", b"0"),
        *sample("./b", 1),
        *sample(".//x/../c", 2),
    ]
    tar_of(a_set.folder / "0.tar", members)
    skip = tmp_path / "skip.txt"
    skip.write_text("0.tar/./b\n")
    assert sorted(index_of(a_set(), tmp_path)["origin"]) == ["0.tar/a", "0.tar/b", "0.tar/c"]
    assert sorted(index_of(a_set(skip=str(skip)), tmp_path)["origin"]) == ["0.tar/a", "0.tar/c"]


def test_members_of_a_sample_need_not_be_adjacent(a_set, tmp_path):
    images, labels = zip(*(sample(str(i), i) for i in range(3)), strict=True)
    tar_of(a_set.folder / "0.tar", [*images, *labels])
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
    tar_of(a_set.folder / "0.tar", members)
    assert len(index_of(a_set(), tmp_path)) == 3


def test_dot_in_a_key_is_named_as_the_cause(a_set):
    tar_of(a_set.folder / "0.tar", sample("photo 2.0"))
    message = told(a_set())
    assert "sample 'photo 2' has 0 images among 0.cls, 0.jpg" in message
    assert "a key ends at the first dot of a file's name; replace other dots" in message


def test_class_folders_are_compared_in_one_unicode_form(a_set, tmp_path):
    names = ["café", "naïve", "plain"]
    for table, folder in (("NFC", "NFD"), ("NFD", "NFC")):
        place = tmp_path / folder
        fake.class_folders(place, {unicodedata.normalize(folder, name): 1 for name in names})
        path = named_table(tmp_path, [unicodedata.normalize(table, name) for name in names])
        assert index_of(a_set(place, table=path), tmp_path)["class_id"].tolist() == [0, 1, 2]
    fake.class_folders(place, {unicodedata.normalize("NFD", "café"): 1})
    assert r"folders 'cafe\u0301', 'caf\xe9' have the same name: move the images into one" in told(
        a_set(place, table=path)
    )


def test_skipped_image_is_compared_in_one_unicode_form(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    name = f"{WNIDS[0]}/cafe\u0301.jpg"
    (a_set.folder / name).write_bytes(fake.image_bytes(0))
    (tmp_path / "skip.txt").write_text(f"{unicodedata.normalize('NFC', name)}\n", encoding="utf-8")
    assert len(index_of(a_set(skip=str(tmp_path / "skip.txt")), tmp_path)) == 6


def test_names_that_are_not_utf8_are_reported_printably(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys([*WNIDS, NOT_UTF8], 1))
    message = told(a_set())
    assert r"folders are no wnid of" in message and r"caf\udce9" in message
    fake.class_tars(tmp_path / "tars", [[0, 1, 2]])
    (tmp_path / "tars/00000.tar").rename(tmp_path / f"tars/{NOT_UTF8}.tar")
    member = tar_of(tmp_path / "member/0.tar", sample(NOT_UTF8))
    place = tar_of(tmp_path / NOT_UTF8 / "0.tar", [])
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
    message = told(a_set())
    assert (
        "00000.tar: compressed (gzip), and images are read at their offsets: decompress it"
        in message
    )
    assert "download" not in message
    (a_set.folder / "00000.tar").rename(a_set.folder / "00000.tar.gz")
    assert (
        "1 compressed tars, whose images cannot be read at their offsets: 00000.tar.gz: decompress them"
        in told(a_set())
    )


def test_braces_are_expanded(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 1, 2], [0], [1]])
    for pattern, count in (
        ("{00000..00001}.tar", 4),
        ("{00000,00002}.tar", 4),
        ("0000{0..2}.tar", 5),
        ("0000?.tar", 5),
    ):
        assert len(index_of(a_set(a_set.folder / pattern), tmp_path)) == count, pattern
    message = told(a_set(a_set.folder / "{00001..00009}.tar"))
    assert (
        "7 of the 9 files of the pattern are missing: 00003.tar, 00004.tar, 00005.tar, 00006.tar, 00007.tar and 2 more"
        in message
    )
    with_braces = fake.class_tars(tmp_path / "set {a,b}", [[0, 1, 2]])
    assert len(index_of(a_set(with_braces), tmp_path)) == 3


def test_tars_of_several_splits_are_not_pooled(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 1, 2], [0, 1, 2]])
    (a_set.folder / "00000.tar").rename(a_set.folder / "imagenet1k-train-0000.tar")
    (a_set.folder / "00001.tar").rename(a_set.folder / "imagenet1k-validation-00.tar")
    assert "tars of several splits (train, validation): name those of one by a pattern" in told(
        a_set()
    )
    assert len(index_of(a_set(a_set.folder / "*train*.tar"), tmp_path)) == 3


@pytest.mark.parametrize("file", ["classes.txt", "classnames.txt"])
def test_class_names_next_to_tars_are_mapped(a_set, tmp_path, file):
    fake.class_tars(a_set.folder, [[0, 1, 2, 0]])
    (a_set.folder / file).write_text("thing 2\nthing 0\nthing 1\n", encoding="utf-8-sig")
    index = index_of(a_set(training=False), tmp_path)
    assert index["class_id"].tolist() == [2, 0, 1, 2]
    (a_set.folder / file).write_text("thing 2\nthing 0\nanother\n")
    message = told(a_set())
    assert (
        f"{file}: 'another' (class 2) is no" in message
        and f"rename it, or move {file} away" in message
    )


def test_class_names_next_to_numbered_folders_are_mapped(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(["0", "1", "2"], 1))
    (a_set.folder / "classes.txt").write_text("thing 1\nthing 2\nthing 0\n")
    index = index_of(a_set(training=False), tmp_path)
    assert dict(zip(index["origin"].str[0], index["class_id"], strict=True)) == {
        "0": 1,
        "1": 2,
        "2": 0,
    }


def test_empty_line_of_class_names_keeps_its_place(a_set, tmp_path):
    fake.class_tars(a_set.folder, [[0, 1, 2]])
    (a_set.folder / "classes.txt").write_text("thing 0\n\nthing 2\n")
    assert "classes.txt: '' (class 1) is no" in told(a_set())


def test_classes_outside_the_table_are_reported(a_set, tmp_path, monkeypatch):
    """As torchvision 0.12 gave labels 1 to 102 for Flowers102."""
    known_as(monkeypatch, tmp_path, layout="torchvision:Flowers102(split=test)")
    from synscale.data.datasets import torchvision_sets

    a_set.folder.mkdir()
    monkeypatch.setattr(torchvision_sets, "labels_of", lambda data: [1, 2, 3])
    with pytest.raises(DataSetError, match=r"images of class ids 3, but .*classes\.csv has 0 to 2"):
        index_of(a_set(training=False), tmp_path)


def test_a_duplicate_member_is_ambiguous(a_set, tmp_path):
    tar_of(a_set.folder / "0.tar", [*sample("a"), *sample("b"), *sample("a")])
    with pytest.raises(DataSetError, match=r"'a\.jpg' comes twice"):
        list(webdataset.samples(a_set.folder / "0.tar"))


def test_empty_tar_is_no_error(a_set, tmp_path):
    """The ShardWriter of webdataset leaves one."""
    fake.class_tars(a_set.folder, [[], [0, 1, 2]])
    assert datasets.checked(a_set()) == "webdataset"
    assert len(index_of(a_set(), tmp_path)) == 3
    assert (
        "1 tars without a sample"
        in datasets.write_index(a_set(), tmp_path / "index.parquet").told()
    )


def test_metadata_members_of_webdataset_are_left_out(a_set, tmp_path):
    """Webdataset skips names such as __version__.txt at the top of a tar."""
    clutter = [("__version__.txt", b"1"), ("__info__/a.json", b"{}")]
    tar_of(
        a_set.folder / "0.tar",
        clutter + [member for i in range(3) for member in sample(f"__{i}", i)],
    )
    assert index_of(a_set(), tmp_path)["class_id"].tolist() == [0, 1, 2]


def test_link_in_a_tar_is_reported(a_set):
    tar_of(a_set.folder / "0.tar", sample("a"))
    with tarfile.open(a_set.folder / "0.tar", "a") as file:
        info = tarfile.TarInfo("b.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, "a.jpg"
        file.addfile(info)
    assert (
        "0.tar: 'b.jpg' is a link: write the tar again with --dereference --hard-dereference"
        in told(a_set())
    )


def test_numbered_class_folders_are_not_sorted_as_text(a_set, tmp_path):
    """As ImageNet-V2 has them: 10 comes before 2 in the order of names."""
    path = named_table(tmp_path, [f"class {i}" for i in range(12)])
    fake.class_folders(a_set.folder, {str(i): 1 for i in range(12)})
    index = index_of(a_set(table=path, training=False), tmp_path)
    assert index["origin"].str.split("/").str[0].astype(int).tolist() == index["class_id"].tolist()


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
    message = told(a_set())
    assert (
        f"train, val are folders of splits: give the path of one, such as {a_set.folder}/train"
        in message
    )
    assert "rename" not in message and "missing" not in message


def test_number_of_images_in_the_table_must_be_digits(a_set, tmp_path, monkeypatch):
    """A spreadsheet may write 1,281,167."""
    known_as(monkeypatch, tmp_path, images="1,281,167")
    with pytest.raises(
        DataSetError, match=r"datasets\.csv: images of things is '1,281,167', expected digits"
    ):
        datasets.checked(a_set())
