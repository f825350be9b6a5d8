"""The reader of chunks: few reads, each chunk kept as long as it is needed."""

import os

import pandas as pd
import pytest

from synscale.data import shards
from synscale.data.shuffle_buffer import Shuffle
from synscale.training import stream
from synscale.training.chunk_reader import ChunkReader
from synscale.training.order import Order
from tests.support.indexed_images import write_shards


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
def test_training_reads_each_chunk_once_per_epoch(tmp_path, monkeypatch, ranks, size):
    """Two epochs of 40 or 42 chunks, of which processes share those that are cut."""
    images = stream.open_images(write_shards(tmp_path, count=2, images=size))
    counted = Counted(monkeypatch)
    for rank in range(ranks):
        batches = list(stream.iter_encoded(images, 20, 40, 0, 0, rank, ranks, shuffle=CHUNKED))
        assert len(batches) == 40
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


def test_chunk_that_others_finish_is_dropped_later(real):
    images = stream.open_images(real)
    reader = ChunkReader(images.shards, Shuffle(plain=5, lanes=1, chunk=10, chunks_per_lane=2))
    reader.fetch([0])
    assert list(reader.chunks) == [(0, 0)]
    for position in range(10, 60):
        reader.fetch([position])
    assert not reader.chunks


def test_damaged_image_in_a_chunk_stops_the_training(tmp_path):
    (tar,) = write_shards(tmp_path, 1, 40)
    with open(tar, "r+b") as file:
        file.seek(pd.read_parquet(shards.manifest_path(tar))["offset"][3] + 20)
        file.write(b"\x00\xff")
    with pytest.raises(shards.ShardError, match=r"the sha256 of image 'gNone-00003'"):
        list(stream.iter_training(stream.open_images([tar]), 20, 2, 0, shuffle=CHUNKED))
