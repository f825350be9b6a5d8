"""Parts of a training set: disjoint, with every class in proportion, whatever is skipped."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from synscale.data.datasets.selection import part_mask
from synscale.workflow.settings.data import HeldOutImages
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_of
from tests.support.fake_datasets import WNIDS

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=6)


@given(COUNTS, st.lists(st.integers(0, 180), max_size=4), st.randoms(use_true_random=False))
def test_parts_are_disjoint_and_stratified(counts, cuts, random):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    total = len(labels)
    ends = sorted({0, *(cut for cut in cuts if cut < total)})
    ranges = zip(ends, [*ends[1:], None], strict=True)
    masks = [part_mask(labels, part) for part in ranges]
    assert (np.sum(masks, axis=0) == 1).all()
    for mask in masks:
        for label, count in enumerate(counts):
            share = int(mask[np.asarray(labels) == label].sum()) - count * mask.sum() / total
            assert abs(share) <= 1 + len(counts) * count / total


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 100), st.integers(1, 100))
def test_equal_classes_are_balanced_in_each_part(classes, count, start, length):
    labels = np.repeat(np.arange(classes), count)
    taken = labels[part_mask(labels, (start, start + length))]
    numbers = np.bincount(taken, minlength=classes)
    assert numbers.max() - numbers.min() <= 1


def test_no_image_is_in_two_parts_or_held_out(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [20, 11, 5], strict=True)))
    held_out = HeldOutImages(0.1, 0)
    held_out_origins = set(index_of(a_set(held_out=held_out, training=False), tmp_path)["origin"])
    first = index_of(a_set(held_out=held_out, part=(0, 16)), tmp_path)
    rest = index_of(a_set(held_out=held_out, part=(16, None)), tmp_path)
    complete = set(index_of(a_set(), tmp_path)["origin"])
    assert len(first) == len(rest) == 16 and len(held_out_origins) == 4
    assert held_out_origins | set(first["origin"]) | set(rest["origin"]) == complete
    assert first["class_id"].value_counts().to_dict() == {0: 9, 1: 5, 2: 2}
    assert first["class_id"].tolist()[:6] == [0, 1, 2, 0, 1, 2]


def test_skipped_image_moves_no_image_to_another_part(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 6))
    first = index_of(a_set(part=(0, 9)), tmp_path)["origin"]
    (tmp_path / "skip.txt").write_text(f"{first[0]}\n")
    after = index_of(a_set(part=(0, 9), skip=str(tmp_path / "skip.txt")), tmp_path)["origin"]
    assert set(first) - set(after) == {first[0]} and len(after) == 8


def test_part_with_too_few_images_is_reported(a_set):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 4))
    message = "too few images for part = [4, 13] (12 images that are not held out, expected 13)"
    assert message in error_of(a_set(part=(4, 13)))
    assert "part = [12, None] (12 images" in error_of(a_set(part=(12, None)))
    assert "too few images (8, a source of" in error_of(a_set(part=(4, None), min_images=9))
