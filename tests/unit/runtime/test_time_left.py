"""Estimates of the time left."""

import pytest

from synscale.runtime import time_left
from synscale.runtime.time_left import Stopwatch


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (600, "10 min"), (36_000, "10 h"), (300_000, "3.5 days")],
)
def test_durations_have_a_suitable_unit(seconds, text):
    assert time_left.format_seconds(seconds) == text


def test_time_left_is_in_proportion_to_the_rest():
    assert time_left.time_left(1, 4, 20) == "about 60 s left"
    assert time_left.time_left(4, 4, 20) == "about 0 s left"
    assert time_left.time_left(0, 4, 20) == "time left unknown"


def test_stopwatch_counts_from_its_beginning(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    stopwatch = Stopwatch(10)
    now[0] += 30
    assert stopwatch.left(5) == "about 30 s left"
