"""Batches of a shard: what an earlier attempt kept, with any batch size, is not generated again."""

from itertools import pairwise

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts import generate

POOL = pd.DataFrame({"class_id": range(3), "text_id": 0, "text": ["a", "b", "c"]})


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.sets(st.integers(0, 36)),
    st.integers(1, 9),
)
def test_missing_images_are_generated_once(counts, cuts, batch_size):
    """Parts between the cuts are kept and missing in turn, whatever scales they are of."""
    scales = {f"{number + 1}": (0, count) for number, count in enumerate(counts)}
    total = sum(counts)
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < total), total]
    kept = {first: last - first for first, last in list(pairwise(bounds))[1::2]}
    planned = {"guidance": scales, "sampling": {"batch_size": batch_size}}
    places = [place for first, count in kept.items() for place in range(first, first + count)]
    for first, scale, rows in generate.batches(planned, POOL, kept):
        assert 0 < len(rows) <= batch_size
        start = sum(counts[: int(scale) - 1])
        assert rows["image"].tolist() == list(range(first - start, first - start + len(rows)))
        assert first + len(rows) <= start + counts[int(scale) - 1]
        places += range(first, first + len(rows))
    assert sorted(places) == list(range(total))
