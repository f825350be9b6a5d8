"""Batches of a shard: images of partial shards, of any batch size, are not generated again."""

from itertools import pairwise

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from synscale.models.shard_batches import missing_batches
from synscale.study.models.generators import Storage
from synscale.workflow.settings.generation import GenerationSettings, TrainedSampling

POOL = pd.DataFrame({"class_id": range(3), "text_id": 0, "text": ["a", "b", "c"]})


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.sets(st.integers(0, 36)),
    st.integers(1, 9),
)
def test_missing_images_are_generated_once(counts, cuts, batch_size):
    """Parts between the cuts are finished and missing in turn, at any scales."""
    scales = {float(number): (0, count) for number, count in enumerate(counts, 1)}
    total = sum(counts)
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < total), total]
    finished = {first: last - first for first, last in list(pairwise(bounds))[1::2]}
    sampling = TrainedSampling(kind="diffusion", steps=1, batch_size=batch_size)
    shard = GenerationSettings("s", "g", "r", scales, sampling, 8, 1, Storage())
    places = []
    for first, count in finished.items():
        places += range(first, first + count)
    for batch in missing_batches(shard, POOL, finished):
        count = len(batch.prompts)
        assert 0 < count <= batch_size
        scale = int(batch.guidance)
        first = batch.place - sum(counts[: scale - 1])
        assert batch.prompts["image"].tolist() == list(range(first, first + count))
        assert first + count <= counts[scale - 1]
        places += range(batch.place, batch.place + count)
    assert sorted(places) == list(range(total))
