"""The forms behind scikit-learn's digits, and captions from pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from synscale.data import digits, digits_shifts

DIGITS = load_digits()
FORM = digits.forms(DIGITS.target)


def test_digits_are_those_of_scikit_learn():
    images, labels = digits.load()
    assert (images == DIGITS.images).all()
    assert (labels == DIGITS.target).all()


def test_forms_are_14_of_at_most_130_digits():
    sizes = np.bincount(FORM)
    assert len(sizes) == digits.FORMS
    assert sizes.max() == 130
    assert sizes.min() >= 120
    assert (np.diff(FORM) >= 0).all()


def test_forms_have_the_same_digits():
    """The recovered forms, cut out of the array, are one sequence with a few digits missing or read
    otherwise.
    """
    from difflib import SequenceMatcher

    texts = ["".join(map(str, DIGITS.target[f == FORM])) for f in range(digits.FORMS)]
    complete = max(texts, key=len)
    for form in range(digits.FORMS):
        text = "".join(map(str, DIGITS.target[form == FORM]))
        assert SequenceMatcher(None, complete, text, autojunk=False).ratio() > 0.95


def test_forms_are_alike_beyond_their_class():
    """By one hand: within a class, an image is nearer to those of its form than to others."""
    closer = []
    for label in range(10):
        for form in range(digits.FORMS):
            same = DIGITS.data[(DIGITS.target == label) & (form == FORM)]
            rest = DIGITS.data[(DIGITS.target == label) & (form != FORM)]
            closer.append(
                np.linalg.norm(same - same.mean(0), axis=1).mean()
                < np.linalg.norm(rest - same.mean(0), axis=1).mean()
            )
    assert np.mean(closer) > 0.95


@given(st.sets(st.integers(31, 129), max_size=6))
def test_forms_are_found_without_some_digits(missing):
    complete = [int(d) for d in "".join(map(str, DIGITS.target[FORM == 0]))]
    rest = [d for i, d in enumerate(complete) if i not in missing or i < 40]
    labels = np.array(rest * digits.FORMS)
    assert (digits.forms(labels) == np.repeat(np.arange(digits.FORMS), len(rest))).all()


def test_forms_of_another_order_are_refused():
    with pytest.raises(ValueError, match="not in the order of the forms"):
        digits.forms(np.sort(DIGITS.target))


def test_measures_follow_ink_slant_and_width():
    upright = np.zeros((1, 8, 8))
    upright[0, :, 3] = 16
    leaning = np.zeros((1, 8, 8))
    leaning[0, range(8), range(7, -1, -1)] = 16  # from lower left to upper right
    thick = upright.copy()
    thick[0, :, 4:6] = 16
    measures = digits.measure(np.concatenate([upright, leaning, thick]))
    assert measures["slant"][1] > measures["slant"][0] == 0
    assert measures["ink"][2] > measures["ink"][0]
    assert measures["width"][2] > measures["width"][0] == 0


def test_captions_use_the_words_of_the_outer_quarters():
    words = digits.captions(DIGITS.images, DIGITS.target)
    ink = digits.measure(DIGITS.images)["ink"]
    for label in range(10):
        members = DIGITS.target == label
        thick = np.array(["thick" in w for w in words]) & members
        assert 0.15 < thick.sum() / members.sum() < 0.3
        assert ink[thick].min() > np.median(ink[members])


def test_outlines_keep_the_edge_and_lose_the_filling():
    filled = np.zeros((1, 8, 8))
    filled[0, 1:7, 1:7] = 16
    outline = digits_shifts.outlines(filled)[0]
    assert outline[3:5, 3:5].max() == 0
    assert outline[1, 1:7].min() > 0 and outline[1:7, 6].min() > 0
    all_of_them = digits_shifts.outlines(DIGITS.images)
    assert all_of_them.shape == DIGITS.images.shape
    assert (all_of_them.max((1, 2)) == DIGITS.images.max((1, 2))).all()


def test_printed_digits_are_balanced_and_fill_the_height():
    images, labels, origins = digits_shifts.printed([0.0, 10.0])
    assert len(images) == len(labels) == len(origins) == len(digits_shifts.fonts()) * 2 * 10
    assert (np.bincount(labels) == len(labels) // 10).all()
    assert images.min() >= 0 and images.max() == 16
    rows = images.max(2) > 0
    assert rows[:, 0].all() and rows[:, -1].all()
    assert len(np.unique(images, axis=0)) > 0.9 * len(images)
