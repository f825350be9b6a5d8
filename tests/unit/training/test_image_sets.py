"""Sets of images: the images of each, and errors of damaged shards."""

import numpy as np
import pandas as pd
import pytest

from synscale.data import shards
from synscale.training import stream
from tests.support.indexed_images import noisy, numbers, write_shards


def test_open_images_takes_the_first_at_a_guidance(synthetic):
    images = stream.open_images(synthetic, 2.0, 25)
    batch = next(stream.iter_sequential(images, 25))
    assert (batch.images[:, 0] == 2).all()
    assert numbers(batch) == list(range(25))
    assert batch.class_ids.tolist() == [i % 7 for i in range(25)]
    assert batch.positions.tolist() == list(range(25))
    assert images.sizes == [10, 10, 5]


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_smaller_set_is_a_prefix_and_mixture_is_its_parts(real, synthetic, most):
    sets = stream.load_into_memory(
        [stream.open_images(real), stream.open_images(synthetic, 1.0)], most
    )
    assert isinstance(sets[0], stream.InMemoryImages if most else stream.ShardedImages)
    mixture = sets[0].join([sets[0].between(0, 12), sets[1].between(0, 3)])
    batch = next(stream.iter_sequential(mixture, 100))
    assert numbers(batch) == [*range(12), *range(3)]
    assert mixture.sizes == [10, 2, 3]


def test_too_few_images_are_reported(synthetic):
    with pytest.raises(
        shards.ShardError,
        match=r"00002.tar: too few images at guidance 1.0 .* \(30, expected 31\)",
    ):
        stream.open_images(synthetic, 1.0, 31)


@pytest.mark.parametrize(
    ("source", "guidance", "message"),
    [
        ("synthetic", None, r"contains synthetic images \(expected real images\)"),
        ("real", 1.5, r"contains real images \(expected images at guidance 1.5\)"),
    ],
)
def test_real_images_are_not_read_as_synthetic(request, source, guidance, message):
    tars = request.getfixturevalue(source)
    with pytest.raises(shards.ShardError, match=message):
        images = stream.ShardedImages([stream.ShardSlice(tars[0], guidance, 1)])
        next(stream.iter_sequential(images, 1))


@pytest.mark.parametrize("damage", ["changed", "cut short", "older"])
def test_tar_that_differs_from_its_manifest_is_not_read(tmp_path, damage):
    (tar,) = write_shards(tmp_path, 1, 5)
    images, manifest = stream.open_images([tar]), pd.read_parquet(shards.manifest_path(tar))
    if damage == "older":
        manifest.drop(columns=["offset"]).to_parquet(shards.manifest_path(tar))
    elif damage == "changed":
        with open(tar, "r+b") as file:
            file.seek(manifest["offset"][3] + 20)
            file.write(b"\x00\xff")
    else:
        with open(tar, "r+b") as file:
            file.truncate(manifest["offset"][3] + 5)
    with pytest.raises(
        shards.ShardError,
        match="no columns offset" if damage == "older" else "the sha256 of image 'gNone-00003'",
    ):
        list(stream.iter_sequential(images, 2))


@pytest.mark.parametrize("transform", [None, noisy])
def test_grey_image_among_rgb_is_reported(tmp_path, transform):
    shapes = ((4, 4, 3), (4, 4))
    shards.write(
        tmp_path / "00000.tar",
        [
            (str(i), np.zeros(shape, np.uint8), {"class_id": 0, "prompt": ""})
            for i, shape in enumerate(shapes)
        ],
    )
    with pytest.raises(
        ValueError, match=r"different shapes in one batch \(\(1, 4, 4\), expected \(3, 4, 4\)\)"
    ):
        next(stream.iter_sequential(stream.open_images([tmp_path / "00000.tar"]), 2, transform))
