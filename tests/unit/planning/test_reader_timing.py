"""What `calibrate` times of a training: its reader on one core, and steps that wait for none."""

import pytest
import torch

from synscale.planning import readers as planned_readers
from synscale.timing import bench, loops, readers, training
from synscale.training import stream
from tests.support.planning import DIGITS
from tests.support.workflow import ROOT

CPU = torch.device("cpu")


def bench_of(study, folder) -> bench.Bench:
    return bench.Bench(ROOT / "studies/digits.yaml", study, CPU, folder, seconds=0.01, largest=8)


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def on_disk(monkeypatch):
    """No set of images fits into memory."""
    for module in (readers, planned_readers):
        monkeypatch.setattr(module, "is_in_memory", lambda *_: False)


def timed(study, folder, stage) -> dict[str, bench.Timed]:
    rows = stage(bench_of(study, folder))
    return {next(iter(row.units)): row for row in rows}


def test_classifiers_in_memory_have_no_reader(here, tmp_path):
    assert "read" not in timed(DIGITS, tmp_path, training.train_classifiers)


def test_reader_of_classifiers_is_timed_from_shards(here, on_disk, tmp_path, monkeypatch):
    opened = []
    iter_training = stream.iter_training

    def watched(images, *arguments, **named):
        opened.append(type(images))
        return iter_training(images, *arguments, **named)

    monkeypatch.setattr(stream, "iter_training", watched)
    [row] = readers.time_classifiers(bench_of(DIGITS, tmp_path))
    assert row.rule == "train_classifiers"
    assert row.units["read"] % readers.BATCH == 0
    assert row.seconds > 0
    assert row.image_size == DIGITS.image_size
    assert opened == [stream.ShardedImages]


@pytest.mark.parametrize("in_memory", [True, False])
def test_reader_of_pairs_is_timed(here, tmp_path, request, in_memory):
    if not in_memory:
        request.getfixturevalue("on_disk")
    row = timed(DIGITS, tmp_path, training.train_clip)["read"]
    assert row.rule == "train_clip"
    assert row.seconds > 0


def test_repeated_batch_is_read_once(monkeypatch):
    read = []

    def iter_training(images, batch_size, iterations, seed, start=0):
        for step in range(iterations):
            read.append(step)
            yield step

    monkeypatch.setattr(stream, "iter_training", iter_training)
    steps = loops.Steps(CPU, skip=1, repeats=True)
    with steps.watching():
        assert list(stream.iter_training(None, 8, 5, seed=0)) == [0] * 5
    assert read == [0]
