"""Calibration reads chunks and single images from the folder of the results."""

import os
import re

import pytest

from synscale.study.load import load_study
from synscale.timing import reading
from synscale.timing.bench import Bench
from tests.support.workflow import ROOT


def timed(name: str, folder) -> list:
    import torch

    study = load_study(ROOT / f"studies/{name}.yaml")
    bench = Bench(ROOT / f"studies/{name}.yaml", study, torch.device("cpu"), folder, seconds=0.2)
    return list(reading.reads(bench))


def test_reads_of_both_sizes_are_timed_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(reading, "FILE_BYTES", 16 << 20)
    chunk, image = timed("imagenet", tmp_path)
    sizes = [
        float(re.search(r"([\d,]+) kB", row.what)[1].replace(",", "")) for row in (chunk, image)
    ]
    assert sizes[0] == pytest.approx(256 * sizes[1], rel=0.05)
    assert all(
        "images per second for one process" in row.note and not row.units for row in (chunk, image)
    )
    assert not (tmp_path / "results").exists()


def test_study_in_memory_has_no_reads_to_time(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "RESULTS", tmp_path / "results")
    [row] = timed("digits", tmp_path)
    assert row.note.startswith("cold reads: not timed")
    assert not (tmp_path / "results").exists()


def test_reads_are_of_different_places(tmp_path, monkeypatch):
    places, pread = [], os.pread
    monkeypatch.setattr(
        os, "pread", lambda file, size, place: places.append(place) or pread(file, size, place)
    )
    with open(tmp_path / "file", "w+b") as file:
        file.write(bytes(1000))
        file.flush()
        speed = reading.cold_reads(file.fileno(), 1000, 100, 60)
    assert sorted(places) == list(range(0, 1000, 100))
    assert (speed.reads, speed.size) == (10, 100)
    assert "reads per second" in str(speed)
