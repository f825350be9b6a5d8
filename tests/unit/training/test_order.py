"""The order of a training: every image once in an epoch, resumable at any place."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.data.shuffle_buffer import Shuffle, images_per_chunk, shuffle_for
from synscale.training.order import Order

block_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=8)


@given(block_sizes, st.integers(1, 4), st.integers(1, 9), st.integers(0, 5), st.integers(1, 9))
def test_epoch_has_every_image_once(sizes, window, length, seed, epochs):
    order, n = Order(sizes, seed, window), sum(sizes)
    taken = [order.take(start, start + length) for start in range(0, epochs * n, length)]
    numbers, positions = (
        torch.cat(tensors)[: epochs * n].tolist() for tensors in zip(*taken, strict=True)
    )
    assert numbers == [epoch for epoch in range(epochs) for _ in range(n)]
    for epoch in range(epochs):
        assert sorted(positions[epoch * n : epoch * n + n]) == list(range(n))


@given(block_sizes, st.integers(1, 4), st.integers(0, 200), st.integers(1, 50))
def test_order_resumes_at_any_place(sizes, window, start, length):
    _, whole = Order(sizes, 3, window).take(0, start + length)
    _, rest = Order(sizes, 3, window).take(start, start + length)
    assert rest.tolist() == whole[start:].tolist()


@given(st.integers(2, 6), st.integers(1, 3))
def test_images_come_from_open_shards(count, window):
    _, positions = Order([10] * count, 0, window).take(0, 10 * count)
    for group in positions.split(10 * window):
        assert len({int(position) // 10 for position in group}) <= window


def test_seeds_and_epochs_differ_in_order():
    first = [Order([50, 50], seed).take(0, 100)[1].tolist() for seed in range(3)] + [
        Order([50, 50], 0).take(100, 200)[1].tolist()
    ]
    assert len({tuple(order) for order in first}) == 4


def test_few_shards_are_shuffled_directly():
    """The order that the results of the digits rest on."""
    _, positions = Order([30, 20], 4).take(50, 100)
    assert (
        positions.tolist()
        == torch.randperm(50, generator=torch.Generator().manual_seed(4 * 1_000_003 + 1)).tolist()
    )


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
    """Each of the 4 lanes has 4 of the 16 chunks; a stripe mixes the chunks of its lane."""
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
