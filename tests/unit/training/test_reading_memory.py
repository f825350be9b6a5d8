"""Memory that the reader of a training requests."""

import pytest

from synscale.data.shuffle_buffer import most_bytes, shuffle_for
from synscale.planning import reader_memory
from synscale.study.load import load_study
from tests.support.workflow import ROOT, SMOKE


def test_set_in_memory_needs_no_buffer():
    assert reader_memory.reading_mb(load_study(SMOKE), "real", "vit_tiny", 4) == 0


@pytest.mark.parametrize("threads", [1, 8, 64])
def test_large_sets_request_their_buffer(threads, monkeypatch):
    monkeypatch.setattr(reader_memory, "image_bytes", lambda study: 31_000)
    study = load_study(ROOT / "studies/imagenet.yaml")
    requested = reader_memory.reading_mb(study, "real", "vit_base-n1000000-seed0", threads)
    buffer = shuffle_for(1024, 31_000).buffer_images * 31_000 / 1e6
    assert buffer < requested < 5 * buffer


def test_pairs_request_their_buffer():
    assert reader_memory.pairs_mb(load_study(SMOKE), "both", "clip_tiny", 4) == 0
    study = load_study(ROOT / "studies/imagenet.yaml")
    assert 1_000 < reader_memory.pairs_mb(study, "laion", "clip_base-n1000000-seed0", 64) < 20_000


def test_memory_grows_with_image_size_up_to_that_of_a_chunk():
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
