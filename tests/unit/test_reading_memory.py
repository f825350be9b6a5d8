"""Memory that the reader of a training requests."""

import pytest

from scripts.lib.plans import reading
from scripts.lib.shuffle_buffer import most_bytes, shuffle_for
from scripts.lib.study_file import load
from tests.support.workflow import ROOT, SMOKE


def test_a_set_in_memory_needs_no_buffer():
    assert reading.reading_mb(load(SMOKE), "real", "vit_tiny", 4) == 0


@pytest.mark.parametrize("threads", [1, 8, 64])
def test_large_sets_request_their_buffer(threads, monkeypatch):
    monkeypatch.setattr(reading, "image_bytes", lambda study: 31_000)
    study = load(ROOT / "studies/imagenet.yaml")
    found = reading.reading_mb(study, "real", "vit_base-n1000000-seed0", threads)
    buffer = shuffle_for(1024, 31_000).buffer_images * 31_000 / 1e6
    assert buffer < found < 5 * buffer


def test_pairs_request_their_buffer():
    assert reading.pairs_mb(load(SMOKE), "both", "clip_tiny", 4) == 0
    study = load(ROOT / "studies/imagenet.yaml")
    assert 1_000 < reading.pairs_mb(study, "laion", "clip_base-n1000000-seed0", 64) < 20_000


def test_memory_grows_with_the_size_of_images_up_to_the_size_of_a_chunk():
    """Larger images have smaller chunks."""
    small, photograph, large = (
        most_bytes(10**6, 1024, size, 8) for size in (3_000, 31_000, 800_000)
    )
    assert 3_000 * 65_536 < small < photograph < 6e9
    assert photograph < large < 8 * photograph


def test_small_sets_request_no_more_than_their_images():
    """Each process may keep all of them, and 17 chunks."""
    assert most_bytes(10_000, 1024, 1_000, 1) < 1_000 * (10_000 + 18 * 256 + 6 * 1024)
    assert most_bytes(10_000, 1024, 1_000, 4) > 4 * 1_000 * 10_000
