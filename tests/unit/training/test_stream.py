"""Batches do not depend on how many processes read them."""

from functools import lru_cache

import pytest
import torch

from synscale.data.shuffle_buffer import Shuffle
from synscale.training import image_index, stream
from synscale.training.order import Order
from synscale.training.rand_augment import RandAugment
from tests.support.indexed_images import noisy, numbers

CHUNKED = Shuffle(plain=0, lanes=4, stripe=5, chunk=10, chunks_per_lane=2)


@pytest.mark.parametrize(
    ("ranks", "workers", "shuffle"), [(1, 0, CHUNKED), (2, 2, CHUNKED), (4, 0, None)]
)
def test_ranks_and_workers_read_the_same_images_once(real, ranks, workers, shuffle):
    def read(**processes) -> list[stream.Batch]:
        """Read two epochs of 70 images."""
        images = stream.open_images(real)
        options = {"transform": noisy, "open_shards": 2, "shuffle": shuffle}
        return list(stream.iter_training(images, 20, 7, 1, **options, **processes))

    shares = [read(rank=rank, ranks=ranks, workers=workers) for rank in range(ranks)]
    seen = []
    for complete, *parts in zip(read(), *shares, strict=True):
        assert torch.equal(torch.cat([part.images for part in parts]), complete.images)
        assert torch.equal(torch.cat([part.class_ids for part in parts]), complete.class_ids)
        seen += torch.cat([part.positions for part in parts]).tolist()
    assert sorted(seen[:70]) == sorted(seen[70:]) == list(range(70))


def test_batch_that_ranks_cannot_share_is_refused(real):
    with pytest.raises(ValueError, match=r"batch_size \(10\) must be divisible by .* \(3\)"):
        stream.iter_training(stream.open_images(real), 10, 1, 0, ranks=3)


@pytest.mark.parametrize("transform", [None, noisy, RandAugment(2, 9)])
@pytest.mark.parametrize("workers", [0, 1])
def test_memory_and_tars_give_the_same_batches(real, synthetic, transform, workers):
    def read(images: stream.Images) -> list[stream.Batch]:
        options = {"start": 2, "transform": transform, "workers": workers}
        return list(stream.iter_training(images, 8, 12, 5, **options))

    sharded = [stream.open_images(real, images=25), stream.open_images(synthetic, 2.0, 15)]
    loaded = stream.load_into_memory(sharded)
    assert all(isinstance(part, stream.InMemoryImages) for part in loaded)
    batches = read(stream.ShardedImages.join(sharded))
    assert len(batches) == 10
    others = read(stream.InMemoryImages.join(loaded))
    for batch, other in zip(batches, others, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))


def test_random_numbers_follow_from_seed_epoch_and_image(
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


def test_each_manifest_is_read_once_per_epoch(real, monkeypatch):
    cached_index = lru_cache(maxsize=4)(image_index.Index)
    monkeypatch.setattr(image_index, "open_index", cached_index)
    order = Order([10] * 7, 0, open_shards=2)
    images = stream.open_images(real)
    for start in range(0, 70, 5):
        images.read(order.take(start, start + 5)[1])
    assert cached_index.cache_info().currsize <= 4
    assert cached_index.cache_info().misses == 7


@pytest.mark.parametrize("ranks", [1, 3])
def test_evaluation_reads_every_image_once_in_order(real, ranks):
    images = stream.open_images(real)
    shares = [
        list(stream.iter_sequential(images, 8, workers=1, rank=rank, ranks=ranks))
        for rank in range(ranks)
    ]
    assert sorted(i for share in shares for batch in share for i in numbers(batch)) == list(
        range(70)
    )
    assert [i for batch in shares[0] for i in numbers(batch)] == [
        i for b in range(0, 9, ranks) for i in range(8 * b, min(8 * b + 8, 70))
    ]
