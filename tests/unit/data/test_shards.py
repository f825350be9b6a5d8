"""Shards: what is read is what was written, and nothing else is read."""

import tarfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synscale.data import shards
from synscale.study.models.generators import Storage


def samples(images, **columns):
    return [
        (
            f"k{i:03d}",
            image,
            {
                "class_id": i % 3,
                "prompt": f"image {i}",
                "image": i,
                **{name: values[i] for name, values in columns.items()},
            },
        )
        for i, image in enumerate(images)
    ]


@pytest.fixture
def tar(tmp_path):
    shards.write(
        tmp_path / "a.tar", samples(np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8))
    )
    return tmp_path / "a.tar"


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.one_of(arrays(np.uint8, (n, 6, 4)), arrays(np.uint8, (n, 6, 4, 3)))
    )
)
def test_read_returns_the_pixels_that_were_written(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("shard") / "a.tar"
    shards.write(path, samples(images))
    read, manifest = shards.read(path)
    assert (read == (images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))).all()
    assert manifest["prompt"].tolist() == [f"image {i}" for i in range(len(images))]


def test_write_of_the_same_samples_gives_the_same_bytes(tmp_path):
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    for name in "ab":
        shards.write(tmp_path / f"{name}.tar", samples(images))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_tar_is_the_one_that_webdataset_writes(tmp_path, format):
    from webdataset import TarWriter

    storage = Storage(format=format, quality=None if format == "png" else 90)
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    rows = {"a": "plain", "b": "caf\u00e9", "long" * 60: "a name that needs a second header"}
    written = [(key, image, {"class_id": 3, "prompt": text}) for key, text in rows.items()]
    shards.write(tmp_path / "a.tar", written, storage)
    with (
        (tmp_path / "b.tar").open("wb") as stream,
        TarWriter(stream, mtime=0, user="root", group="root") as writer,
    ):
        for key, pixels, row in written:
            members = {"cls": str(row["class_id"]), "txt": row["prompt"]}
            data = shards.encode(pixels, storage)
            writer.write({"__key__": key, shards.EXTENSIONS[format]: data} | members)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    table = pd.read_parquet(tmp_path / "a.parquet")
    with tarfile.open(tmp_path / "a.tar") as file:
        images = [one for one in file if one.name.endswith(shards.EXTENSIONS[format])]
    assert table["offset"].tolist() == [one.offset_data for one in images]
    assert table["size"].tolist() == [one.size for one in images]


def test_shard_is_read_by_webdataset(tar):
    import webdataset

    decoded = list(
        webdataset.WebDataset(str(tar), shardshuffle=False)
        .decode("l8")
        .to_tuple("png", "cls", "txt")
    )
    assert [(int(label), text) for _, label, text in decoded] == [
        (i % 3, f"image {i}") for i in range(9)
    ]
    assert (decoded[4][0] == shards.read(tar)[0][4, 0]).all()


def test_changed_image_is_reported(tar):
    data = bytearray(tar.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 1
    tar.write_bytes(data)
    with pytest.raises(shards.ShardError, match="has another sha256"):
        shards.read(tar)


def test_missing_image_is_reported(tar):
    images, manifest = shards.read(tar)
    other = tar.with_name("b.tar")
    shards.write(other, samples(images[:8, 0]))
    manifest.to_parquet(other.with_suffix(".parquet"))
    with pytest.raises(shards.ShardError, match=r"wrong number of images \(8, expected 9"):
        shards.read(other)


def test_image_out_of_order_is_reported(tar):
    manifest = pd.read_parquet(tar.with_suffix(".parquet"))
    manifest.iloc[::-1].to_parquet(tar.with_suffix(".parquet"))
    with pytest.raises(shards.ShardError, match=r"another image \(.*expected row 0"):
        shards.read(tar)


def test_truncated_tar_is_reported(tar):
    tar.write_bytes(tar.read_bytes()[:5000])
    with pytest.raises(Exception, match=r"number of images|unexpected end|data"):
        shards.read(tar)


def test_failed_write_leaves_nothing(tmp_path):
    def broken():
        yield samples(np.zeros((1, 8, 8), np.uint8))[0]
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        shards.write(tmp_path / "a.tar", broken())
    assert list(tmp_path.iterdir()) == []


def test_read_decodes_the_selected_rows(tar):
    images, manifest = shards.read(tar, lambda rows: rows["image"] > 6)
    assert manifest["image"].tolist() == [7, 8]
    assert (images == shards.read(tar)[0][7:]).all()


def test_batches_start_at_any_row(tar):
    images, _ = shards.read(tar)
    parts = list(shards.batches(tar, 4, first=2))
    assert [len(part) for part, _ in parts] == [4, 3]
    assert (np.concatenate([part for part, _ in parts]) == images[2:]).all()


def test_by_source_splits_tars_and_counts_them():
    assert shards.by_source(["a", "b", "c"], {"real": 1, "made": 2}) == {
        "real": ["a"],
        "made": ["b", "c"],
    }
    for tars in (["a", "b"], ["a", "b", "c", "d"]):
        with pytest.raises(
            shards.ShardError, match=r"wrong number of tars \(\d, expected 3 of real, made"
        ):
            shards.by_source(tars, {"real": 1, "made": 2})
