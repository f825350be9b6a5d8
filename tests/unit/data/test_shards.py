"""Shards: what is read is what was written, and nothing else is read."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synscale.data import shards


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
def test_pixels_come_back_as_they_were(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("shard") / "a.tar"
    shards.write(path, samples(images))
    read, manifest = shards.read(path)
    assert (read == (images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))).all()
    assert manifest["prompt"].tolist() == [f"image {i}" for i in range(len(images))]


def test_the_same_samples_give_the_same_bytes(tmp_path):
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    for name in "ab":
        shards.write(tmp_path / f"{name}.tar", samples(images))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_webdataset_reader_understands_them(tar):
    import webdataset

    found = list(
        webdataset.WebDataset(str(tar), shardshuffle=False)
        .decode("l8")
        .to_tuple("png", "cls", "txt")
    )
    assert [(int(label), text) for _, label, text in found] == [
        (i % 3, f"image {i}") for i in range(9)
    ]
    assert (found[4][0] == shards.read(tar)[0][4, 0]).all()


def test_a_changed_image_is_found(tar):
    data = bytearray(tar.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 1
    tar.write_bytes(data)
    with pytest.raises(shards.ShardError, match="another sha256"):
        shards.read(tar)


def test_a_missing_image_is_found(tar):
    images, manifest = shards.read(tar)
    other = tar.with_name("b.tar")
    shards.write(other, samples(images[:8, 0]))
    manifest.to_parquet(other.with_suffix(".parquet"))
    with pytest.raises(shards.ShardError, match=r"8 images where .* names 9"):
        shards.read(other)


def test_an_image_out_of_order_is_found(tar):
    manifest = pd.read_parquet(tar.with_suffix(".parquet"))
    manifest.iloc[::-1].to_parquet(tar.with_suffix(".parquet"))
    with pytest.raises(shards.ShardError, match="is not the one that row 0"):
        shards.read(tar)


def test_a_truncated_tar_is_found(tar):
    tar.write_bytes(tar.read_bytes()[:5000])
    with pytest.raises(Exception, match=r"images where|unexpected end|data"):
        shards.read(tar)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def broken():
        yield samples(np.zeros((1, 8, 8), np.uint8))[0]
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        shards.write(tmp_path / "a.tar", broken())
    assert list(tmp_path.iterdir()) == []


def test_a_source_is_read_by_guidance_in_index_order(tmp_path):
    images = np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8)
    scales = [1.0, 1.0, 2.0, 1.0, 2.0, 2.0] * 2
    for part in range(2):
        own = slice(6 * part, 6 * part + 6)
        shards.write(tmp_path / f"{part}.tar", samples(images[own], guidance=scales[own]))
    source = shards.read_source([tmp_path / "0.tar", tmp_path / "1.tar"])
    for scale in (1.0, 2.0):
        chosen = np.array(scales) == scale
        assert (source[scale][0][:, 0] == images[chosen]).all()
    assert len(shards.read_source([tmp_path / "0.tar"], limit=2)[1.0][0]) == 2


def test_tars_are_told_apart_by_source_and_none_may_be_missing():
    assert shards.by_source(["a", "b", "c"], {"real": 1, "made": 2}) == {
        "real": ["a"],
        "made": ["b", "c"],
    }
    for tars in (["a", "b"], ["a", "b", "c", "d"]):
        with pytest.raises(shards.ShardError, match="tars were named, but real, made have 3"):
            shards.by_source(tars, {"real": 1, "made": 2})
