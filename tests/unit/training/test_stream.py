"""The reader of images: nothing lost, nothing repeated, nothing that depends on how many processes
read.
"""

import os
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.data import shards
from synscale.data.shuffle_buffer import Shuffle, images_per_chunk, shuffle_for
from synscale.training import image_index, stream
from synscale.training.chunk_reader import ChunkReader
from synscale.training.order import Order


def write_source(folder, count: int, images: int, scales=(None,)) -> list[str]:
    """Tars of `images` image indices each. Pixels tell the guidance scale and the index: (scale,
    index // 256, index % 256) in every place.
    """
    tars = []
    for shard in range(count):
        rows = []
        for scale in scales:
            for i in range(shard * images, (shard + 1) * images):
                pixels = np.broadcast_to(
                    np.array([scale or 0, i // 256, i % 256], np.uint8), (4, 4, 3)
                ).copy()
                own = {"image": i, "class_id": i % 7, "prompt": ""} | (
                    {} if scale is None else {"guidance": float(scale)}
                )
                rows.append((f"g{scale}-{i:05d}", pixels, own))
        tars.append(str(folder / f"{shard:05d}.tar"))
        shards.write(tars[-1], rows)
    return tars


def indices(batch: stream.Batch) -> list[int]:
    """Image indices, by the pixels."""
    return [int(256 * image[1, 0, 0] + image[2, 0, 0]) for image in batch.images]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("real"), count=7, images=10)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("made"), count=3, images=10, scales=(1, 2))


def noisy(image):
    return image.float() + torch.rand(image.shape)


def test_the_first_images_are_found_at_their_guidance(made):
    images = stream.open_images(made, 2.0, 25)
    batch = next(stream.iter_sequential(images, 25))
    assert (batch.images[:, 0] == 2).all()
    assert indices(batch) == list(range(25))
    assert batch.class_ids.tolist() == [i % 7 for i in range(25)]
    assert batch.positions.tolist() == list(range(25))
    assert images.sizes == [10, 10, 5]


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_a_smaller_set_is_a_prefix_and_a_mixture_is_its_parts(real, made, most):
    sets = stream.load_into_memory([stream.open_images(real), stream.open_images(made, 1.0)], most)
    assert isinstance(sets[0], stream.InMemoryImages if most else stream.ShardedImages)
    mixture = sets[0].join([sets[0].first(12), sets[1].first(3)])
    batch = next(stream.iter_sequential(mixture, 100))
    assert indices(batch) == [*range(12), *range(3)]
    assert mixture.sizes == [10, 2, 3]


def test_too_few_images_are_told(made):
    with pytest.raises(
        shards.ShardError,
        match=r"00002.tar: 30 images at guidance 1.0 in it .* where 31 are needed",
    ):
        stream.open_images(made, 1.0, 31)


@pytest.mark.parametrize(
    ("source", "guidance", "told"),
    [("made", None, "several guidance scales"), ("real", 1.5, "which have no guidance 1.5")],
)
def test_real_images_are_not_taken_for_made_ones(request, source, guidance, told):
    tars = request.getfixturevalue(source)
    with pytest.raises(shards.ShardError, match=told):
        next(
            stream.iter_sequential(
                stream.ShardedImages([stream.ShardSlice(tars[0], guidance, 1)]), 1
            )
        )


@pytest.mark.parametrize("damage", ["changed", "cut short", "older"])
def test_a_tar_that_is_not_what_its_manifest_says_is_not_read(tmp_path, damage):
    (tar,) = write_source(tmp_path, 1, 5)
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
        match="no columns offset" if damage == "older" else "'gNone-00003' has another sha256",
    ):
        list(stream.iter_sequential(images, 2))


@pytest.mark.parametrize("transform", [None, noisy])
def test_a_grey_image_among_those_of_three_channels_is_told(tmp_path, transform):
    shapes = ((4, 4, 3), (4, 4))
    shards.write(
        tmp_path / "00000.tar",
        [
            (str(i), np.zeros(shape, np.uint8), {"class_id": 0, "prompt": ""})
            for i, shape in enumerate(shapes)
        ],
    )
    with pytest.raises(
        ValueError, match=r"images of shapes \(3, 4, 4\) and \(1, 4, 4\) in one batch"
    ):
        next(stream.iter_sequential(stream.open_images([tmp_path / "00000.tar"]), 2, transform))


# -- order -------------------------------------------------------------------------------------------------------------------------------

block_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=8)


@given(block_sizes, st.integers(1, 4), st.integers(1, 9), st.integers(0, 5), st.integers(1, 9))
def test_an_epoch_holds_every_image_once(sizes, window, length, seed, epochs):
    order, n = Order(sizes, seed, window), sum(sizes)
    taken = [order.take(start, start + length) for start in range(0, epochs * n, length)]
    numbers, positions = (torch.cat(own)[: epochs * n].tolist() for own in zip(*taken, strict=True))
    assert numbers == [epoch for epoch in range(epochs) for _ in range(n)]
    for epoch in range(epochs):
        assert sorted(positions[epoch * n : epoch * n + n]) == list(range(n))


@given(block_sizes, st.integers(1, 4), st.integers(0, 200), st.integers(1, 50))
def test_the_order_can_be_taken_up_anywhere(sizes, window, start, length):
    _, whole = Order(sizes, 3, window).take(0, start + length)
    _, rest = Order(sizes, 3, window).take(start, start + length)
    assert rest.tolist() == whole[start:].tolist()


@given(st.integers(2, 6), st.integers(1, 3))
def test_images_come_from_a_few_shards_at_a_time(count, window):
    _, positions = Order([10] * count, 0, window).take(0, 10 * count)
    for group in positions.split(10 * window):
        assert len({int(position) // 10 for position in group}) <= window


def test_seeds_and_epochs_differ_in_order():
    first = [Order([50, 50], seed).take(0, 100)[1].tolist() for seed in range(3)] + [
        Order([50, 50], 0).take(100, 200)[1].tolist()
    ]
    assert len({tuple(order) for order in first}) == 4


def test_a_set_of_one_window_is_simply_shuffled():
    """The order that the results of the digits rest on."""
    _, positions = Order([30, 20], 4).take(50, 100)
    assert (
        positions.tolist()
        == torch.randperm(50, generator=torch.Generator().manual_seed(4 * 1_000_003 + 1)).tolist()
    )


# -- chunks and lanes --------------------------------------------------------------------------------------------------------------------

sizes_of_shuffle = st.builds(
    Shuffle,
    plain=st.integers(0, 10),
    lanes=st.integers(1, 4),
    stripe=st.integers(1, 3),
    chunk=st.integers(1, 5),
    chunks_per_lane=st.integers(1, 3),
)


@given(block_sizes, st.integers(1, 4), st.integers(1, 9), sizes_of_shuffle)
def test_epoch_in_lanes_has_every_image_once(sizes, window, length, shuffle):
    order, n = Order(sizes, 1, window, shuffle), sum(sizes)
    taken = [order.take(start, start + length)[1] for start in range(0, 3 * n, length)]
    positions = torch.cat(taken)[: 3 * n].tolist()
    for epoch in range(3):
        assert sorted(positions[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(block_sizes, st.integers(1, 4), st.integers(0, 200), sizes_of_shuffle)
def test_order_in_lanes_resumes_at_any_place(sizes, window, start, shuffle):
    _, complete = Order(sizes, 3, window, shuffle).take(0, start + 20)
    _, rest = Order(sizes, 3, window, shuffle).take(start, start + 20)
    assert rest.tolist() == complete[start:].tolist()


def test_row_takes_images_from_every_lane():
    """Of 16 chunks, each of the 4 lanes has 4; a stripe mixes the chunks of its lane."""
    shuffle = Shuffle(plain=0, lanes=4, stripe=8, chunk=16, chunks_per_lane=4)
    _, positions = Order([256], 0, 1, shuffle).take(0, 256)
    rows = (positions // 16).view(8, 4, 8)
    for lane in range(4):
        assert len(set(rows[:, lane].flatten().tolist())) == 4
        assert len(set(rows[4, lane].tolist())) > 1
    assert positions.tolist() != sorted(positions.tolist())


def test_small_sets_keep_their_order_at_any_batch_size():
    for batch_size in (16, 32, 1024):
        _, positions = Order([30, 20], 4, shuffle=shuffle_for(batch_size, 300)).take(50, 100)
        assert positions.tolist() == Order([30, 20], 4).take(50, 100)[1].tolist()


@pytest.mark.parametrize(
    ("image_bytes", "images"), [(300, 256), (31_000, 256), (400_000, 32), (1e9, 16)]
)
def test_chunks_of_large_images_have_fewer_images(image_bytes, images):
    assert images_per_chunk(image_bytes) == images


def test_row_is_a_batch_and_the_buffer_has_four():
    paper, clip = shuffle_for(1024, 31_000), shuffle_for(32_768, 31_000)
    assert (paper.row, paper.buffer_images) == (1024, 65_536)
    assert (clip.row, clip.buffer_images) == (32_768, 131_072)
    assert shuffle_for(1000).row == 1000


class Counted:
    """Counts the calls of os.pread and the bytes that they return."""

    def __init__(self, monkeypatch):
        self.sizes, pread = [], os.pread

        def counted(file, size, offset):
            data = pread(file, size, offset)
            self.sizes.append(len(data))
            return data

        monkeypatch.setattr(os, "pread", counted)


CHUNKED = Shuffle(plain=0, lanes=4, stripe=5, chunk=10, chunks_per_lane=2)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("size", [200, 203])
def test_a_training_reads_each_chunk_once_an_epoch(tmp_path, monkeypatch, ranks, size):
    """Two epochs of 40 or 42 chunks, of which processes share those that are cut."""
    images = stream.open_images(write_source(tmp_path, count=2, images=size))
    counted = Counted(monkeypatch)
    for rank in range(ranks):
        found = list(stream.iter_encoded(images, 20, 40, 0, 0, rank, ranks, shuffle=CHUNKED))
        assert len(found) == 40
    chunks = 2 * 2 * -(-size // 10)
    assert 0.95 * chunks <= len(counted.sizes) <= 1.2 * chunks
    assert sum(counted.sizes) <= 1.2 * 2 * sum(
        os.path.getsize(shard.tar) for shard in images.shards
    )


def test_chunks_are_dropped_when_they_are_read(real):
    images, shuffle = stream.open_images(real), CHUNKED
    reader, order = ChunkReader(images.shards, shuffle), Order(images.sizes, 0, 16, shuffle)
    most = 0
    for start in range(0, 700, 20):
        reader.fetch(order.take(start, start + 20)[1].tolist())
        most = max(most, len(reader.chunks))
    assert 0 < most <= 7
    assert not ChunkReader(images.shards, shuffle).chunks


def test_a_chunk_that_others_finish_is_dropped_later(real):
    images = stream.open_images(real)
    reader = ChunkReader(images.shards, Shuffle(plain=5, lanes=1, chunk=10, chunks_per_lane=2))
    reader.fetch([0])
    assert list(reader.chunks) == [(0, 0)]
    for position in range(10, 60):
        reader.fetch([position])
    assert not reader.chunks


def test_a_damaged_image_stops_a_training_that_reads_chunks(tmp_path):
    (tar,) = write_source(tmp_path, 1, 40)
    with open(tar, "r+b") as file:
        file.seek(pd.read_parquet(shards.manifest_path(tar))["offset"][3] + 20)
        file.write(b"\x00\xff")
    with pytest.raises(shards.ShardError, match=r"'gNone-00003' has another sha256"):
        list(stream.iter_training(stream.open_images([tar]), 20, 2, 0, shuffle=CHUNKED))


# -- ranks, workers, memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranks", "workers", "shuffle"), [(1, 0, CHUNKED), (2, 2, CHUNKED), (4, 0, None)]
)
def test_ranks_and_workers_lose_and_repeat_no_image_and_see_the_same(real, ranks, workers, shuffle):
    images, chosen = (
        stream.open_images(real),
        {
            "batch_size": 20,
            "iterations": 7,
            "seed": 1,
            "transform": noisy,
            "open_shards": 2,
            "shuffle": shuffle,
        },
    )
    alone = list(stream.iter_training(images, **chosen))  # two epochs of 70
    shares = [
        list(stream.iter_training(images, **chosen, rank=rank, ranks=ranks, workers=workers))
        for rank in range(ranks)
    ]
    for iteration, whole in enumerate(alone):
        own = [share[iteration] for share in shares]
        assert torch.equal(torch.cat([batch.images for batch in own]), whole.images)
        assert torch.equal(torch.cat([batch.class_ids for batch in own]), whole.class_ids)
    seen = [
        position
        for iteration in range(7)
        for share in shares
        for position in share[iteration].positions.tolist()
    ]
    assert sorted(seen[:70]) == sorted(seen[70:]) == list(range(70))


def test_a_batch_that_ranks_cannot_share_is_refused(real):
    with pytest.raises(
        ValueError, match="batch_size = 10: cannot be shared equally by 3 processes"
    ):
        stream.iter_training(stream.open_images(real), 10, 1, 0, ranks=3)


@pytest.mark.parametrize("transform", [None, noisy])
@pytest.mark.parametrize("workers", [0, 1])
def test_from_memory_and_from_tars_come_the_same_batches(real, made, transform, workers):
    stored = [stream.open_images(real, images=25), stream.open_images(made, 2.0, 15)]
    held = stream.load_into_memory(stored)
    assert all(isinstance(part, stream.InMemoryImages) for part in held)
    sets = [stream.ShardedImages.join(stored), stream.InMemoryImages.join(held)]
    one, other = (
        list(
            stream.iter_training(
                images, 8, 12, seed=5, start=2, transform=transform, workers=workers
            )
        )
        for images in sets
    )
    assert len(one) == 10
    assert all(
        torch.equal(a, b)
        for pair in zip(one, other, strict=True)
        for a, b in zip(*pair, strict=True)
    )


def test_random_numbers_follow_from_seed_epoch_and_image_and_leave_those_of_the_training_alone(
    real,
):
    images = stream.open_images(real, images=10)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, second = list(stream.iter_training(images, 10, 2, seed=0, transform=noisy))
    assert torch.equal(torch.rand(3), expected)
    noise = [
        {p: image.frac() for p, image in zip(b.positions.tolist(), b.images, strict=True)}
        for b in (first, second)
    ]
    assert not any(torch.equal(noise[0][p], noise[1][p]) for p in range(10))
    assert not torch.equal(noise[0][0], noise[0][1])


def test_no_more_manifests_are_held_than_the_window_asks_for_and_none_is_read_twice_in_an_epoch(
    real, monkeypatch
):
    held = lru_cache(maxsize=4)(image_index.Index)
    monkeypatch.setattr(image_index, "open_index", held)
    order = Order([10] * 7, 0, open_shards=2)
    images = stream.open_images(real)
    for start in range(0, 70, 5):
        images.read(order.take(start, start + 5)[1])
    assert held.cache_info().currsize <= 4
    assert held.cache_info().misses == 7


@pytest.mark.parametrize("ranks", [1, 3])
def test_an_evaluation_reads_every_image_once_in_order(real, ranks):
    images = stream.open_images(real)
    shares = [
        list(stream.iter_sequential(images, 8, workers=1, rank=rank, ranks=ranks))
        for rank in range(ranks)
    ]
    assert sorted(i for share in shares for batch in share for i in indices(batch)) == list(
        range(70)
    )
    assert [i for batch in shares[0] for i in indices(batch)] == [
        i for b in range(0, 9, ranks) for i in range(8 * b, min(8 * b + 8, 70))
    ]
