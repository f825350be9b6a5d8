"""Pairs of image and text as img2dataset writes them."""

import pandas as pd
import pytest

from synscale.data import datasets
from synscale.data.datasets import DataSetError, img2dataset
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_of


def pair_set(a_set, **changes):
    return a_set(pairs=True, **changes)


def test_pairs_have_texts_and_failed_rows_are_counted(a_set, tmp_path):
    """Whatever is in a text: quotes, newlines, letters that are not Latin, nothing."""
    fake.pairs(a_set.folder, [6, 4, 7], fails=2)
    index = index_of(pair_set(a_set), tmp_path)
    assert index["images"].sum() == 17 and index["failed"].sum() == 6
    assert sorted(index["origin"]) == ["00000.tar", "00001.tar", "00002.tar"]
    rows, read = datasets.read_index(pair_set(a_set), tmp_path / "index.parquet", 0, 17)
    assert [row["image"] for row in rows] == list(range(17))
    written = {}
    for parquet in a_set.folder.glob("*.parquet"):
        table = pd.read_parquet(parquet)
        written |= {
            f"{parquet.stem}.tar/{row.key}": row.caption if isinstance(row.caption, str) else ""
            for row in table.itertuples()
            if row.status == "success"
        }
    assert {row["origin"]: row["text"] for row in rows} == written
    shard, place = rows[0]["origin"].split("/")
    assert read(rows[0]) == fake.image_bytes(100 * int(shard[:5]) + int(place[5:]))


def test_range_of_pairs_opens_only_its_tars(a_set, tmp_path, monkeypatch):
    fake.pairs(a_set.folder, [5] * 6)
    index_of(pair_set(a_set), tmp_path)
    opened = []
    real = img2dataset.members
    monkeypatch.setattr(
        img2dataset, "members", lambda data, name: opened.append(name) or real(data, name)
    )
    rows, _ = datasets.read_index(pair_set(a_set), tmp_path / "index.parquet", 8, 14)
    assert [row["image"] for row in rows] == list(range(8, 14))
    assert len(opened) == 2


def test_skipped_pairs_are_left_out(a_set, tmp_path):
    fake.pairs(a_set.folder, [3, 3])
    skip = tmp_path / "skip.txt"
    skip.write_text("00001.tar/000010002\n")
    index_of(pair_set(a_set, skip=str(skip)), tmp_path)
    rows, _ = datasets.read_index(pair_set(a_set, skip=str(skip)), tmp_path / "index.parquet", 0, 5)
    assert "00001.tar/000010002" not in {row["origin"] for row in rows}
    skip.write_text("00001.tar/999\n")
    index_of(pair_set(a_set, skip=str(skip)), tmp_path)
    with pytest.raises(DataSetError, match=r"no pair 00001\.tar/999"):
        datasets.read_index(pair_set(a_set, skip=str(skip)), tmp_path / "index.parquet", 0, 5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table.iloc[:-1], "1 images without a row: 000000004"),
        (
            lambda table: pd.concat([table, table.tail(1).assign(key="000000099")]),
            "1 rows without an image in the tar: 000000099",
        ),
        (lambda table: table.assign(caption="another"), "another caption than its .txt: 000000001"),
        (lambda table: pd.concat([table, table.tail(1)]), "keys are there twice: 000000004"),
        (lambda table: table.drop(columns="caption"), "no column caption"),
        (
            lambda table: table.assign(caption=[[text] for text in "abcde"]),
            r"column caption has another type \(list<.*string>, expected string",
        ),
        (
            lambda table: table.assign(caption=0.5),
            r"column caption has another type \(double, expected string",
        ),
        (lambda table: table.assign(caption=range(5)), "another caption than its .txt: 000000001"),
    ],
)
def test_parquet_that_does_not_match_its_tar_is_reported(a_set, tmp_path, change, match):
    fake.pairs(a_set.folder, [4])
    change(pd.read_parquet(a_set.folder / "00000.parquet")).to_parquet(
        a_set.folder / "00000.parquet", index=False
    )
    count = index_of(pair_set(a_set), tmp_path)["images"].sum()
    with pytest.raises(DataSetError, match=match) as error:
        datasets.read_index(pair_set(a_set), tmp_path / "index.parquet", 0, int(count))
    assert "00000.parquet" in str(error.value)
    assert "move the parquet away to read the texts from the tar" in str(error.value)


def test_cut_off_tar_of_pairs_is_reported(a_set, tmp_path):
    tar = fake.pairs(a_set.folder, [4]) / "00000.tar"
    tar.write_bytes(tar.read_bytes()[:-11_000])
    index_of(pair_set(a_set), tmp_path)
    with pytest.raises(DataSetError, match=r"00000\.tar: (not a complete tar|cut off)"):
        datasets.read_index(pair_set(a_set), tmp_path / "index.parquet", 0, 4)


def test_parquet_without_its_tar_is_reported(a_set):
    fake.pairs(a_set.folder, [2, 2, 2])
    (a_set.folder / "00002.tar").unlink()
    message = error_of(pair_set(a_set))
    assert "1 parquets have no tar next to them: 00002.parquet; download these" in message
    assert "or move the parquets away" in message


def test_cut_off_parquet_is_reported(a_set, tmp_path):
    fake.pairs(a_set.folder, [2, 2])
    file = a_set.folder / "00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    (a_set.folder / "._00002.parquet").write_bytes(b"written by macOS")
    with pytest.raises(DataSetError, match=r"00001\.parquet: not a complete parquet file"):
        index_of(pair_set(a_set), tmp_path)
    assert not (tmp_path / "index.parquet").exists()


def test_too_few_pairs_are_reported_by_the_index(a_set, tmp_path):
    fake.pairs(a_set.folder, [2, 2])
    with pytest.raises(DataSetError, match=r"too few images .4, a source of the study takes 5"):
        index_of(pair_set(a_set, min_images=5), tmp_path)


def texts_of(a_set, tmp_path) -> dict[str, str]:
    count = int(index_of(pair_set(a_set), tmp_path)["images"].sum())
    rows, _ = datasets.read_index(pair_set(a_set), tmp_path / "index.parquet", 0, count)
    return {row["origin"]: row["text"] for row in rows}


def test_pairs_without_parquets_are_read_from_their_tars(a_set, tmp_path):
    fake.pairs(a_set.folder, [6, 4, 7])
    with_parquets = texts_of(a_set, tmp_path)
    (a_set.folder / "00001.parquet").unlink()
    assert texts_of(a_set, tmp_path) == with_parquets
    for parquet in a_set.folder.glob("*.parquet"):
        parquet.unlink()
    survey = datasets.write_index(pair_set(a_set), tmp_path / "index.parquet")
    assert "3 tars without a parquet, whose texts are read from the tar" in survey.summary()
    assert texts_of(a_set, tmp_path) == with_parquets


def shard(a_set, samples: list[dict]) -> None:
    fake.write_tar(
        a_set.folder / "00000.tar",
        [{"__key__": f"{i}", "jpg": fake.image_bytes(i)} | row for i, row in enumerate(samples)],
    )


def test_texts_of_tars_may_be_in_json_members(a_set, tmp_path):
    shard(
        a_set,
        [
            {"json": '{"caption": "a robin"}'},
            {"json": '{"caption": null}'},
            {"txt": "a heron", "json": "{}"},
            {"json": '{"caption": 7}'},
        ],
    )
    assert list(texts_of(a_set, tmp_path).values()) == ["a robin", "", "a heron", "7"]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({}, r"sample '0' has no text .expected 0\.txt, or 0\.json with a caption"),
        ({"json": '{"url": "x"}'}, r"sample '0' has no text"),
        ({"json": "{"}, r"0\.json is not a JSON object"),
        (
            {"json": '{"caption": ["a"]}'},
            r"caption of 0\.json is no text \(\['a'\], expected a string\)",
        ),
        ({"txt": b"caf\xe9"}, r"0\.txt is not UTF-8 at byte 3"),
    ],
)
def test_text_that_is_missing_or_no_text_is_reported(a_set, tmp_path, sample, message):
    shard(a_set, [sample])
    with pytest.raises(DataSetError, match=message):
        texts_of(a_set, tmp_path)


def test_captions_that_are_all_numbers_are_texts(a_set, tmp_path):
    """img2dataset then writes a column of integers; the members .txt hold the same digits."""
    shard(a_set, [{"txt": str(i)} for i in range(3)])
    rows = {"key": ["0", "1", "2"], "status": ["success"] * 3, "caption": [0, 1, 2]}
    pd.DataFrame(rows).to_parquet(a_set.folder / "00000.parquet", index=False)
    assert list(texts_of(a_set, tmp_path).values()) == ["0", "1", "2"]


def test_captions_that_are_all_missing_are_empty_texts(a_set, tmp_path):
    shard(a_set, [{"txt": ""}, {"txt": ""}])
    pd.DataFrame(
        {"key": ["0", "1"], "status": ["success"] * 2, "caption": [None, None]}
    ).to_parquet(a_set.folder / "00000.parquet", index=False)
    assert list(texts_of(a_set, tmp_path).values()) == ["", ""]


def test_pairs_of_several_splits_are_not_pooled(a_set):
    fake.pairs(a_set.folder, [2, 2])
    for number, split in enumerate(("train", "test")):
        for suffix in ("tar", "parquet"):
            (a_set.folder / f"{number:05d}.{suffix}").rename(
                a_set.folder / f"{split}-{number}.{suffix}"
            )
    assert "tars of several splits (test, train)" in error_of(pair_set(a_set))


def test_gaps_in_the_numbers_of_shards_are_no_error(a_set, tmp_path):
    fake.pairs(a_set.folder, [2, 2, 2])
    for suffix in ("tar", "parquet"):
        (a_set.folder / f"00001.{suffix}").unlink()
    assert len(texts_of(a_set, tmp_path)) == 4
