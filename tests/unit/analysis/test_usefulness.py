"""Correlations and regressions of scores: their laws, what their intervals cover, and what they
refuse.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synscale.analysis.score_correlation import UsefulnessError, regression, spearman

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)  # of a few milliseconds each on an idle core


def drawn(random, count=40, correlation=0.5):
    """Scores a, b, c of unit variance, a and b correlated, and usefulness = a - c / 2 + noise."""
    a, b, c = np.linalg.cholesky(
        [[1, correlation, 0], [correlation, 1, 0], [0, 0, 1]]
    ) @ random.normal(size=(3, count))
    return pd.DataFrame({"a": a, "b": b, "c": c}), a - 0.5 * c + random.normal(size=count)


def share_covered(rows, truth) -> float:
    return np.mean([low <= truth <= high for low, high in rows])


@few
@given(SEEDS)
def test_spearman_sees_order_alone(seed):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, 20))
    assert spearman(np.exp(x), y**3) == pytest.approx(spearman(x, y))
    assert spearman(y, x) == pytest.approx(spearman(x, y))
    rho, low, high = spearman(x, y)
    assert spearman(-x, y) == pytest.approx((-rho, -high, -low))
    assert low < rho < high


def test_a_perfect_order_is_one():
    assert spearman([1, 2, 3, 4, 9], [0, 1, 2, 3, 4]) == pytest.approx((1, 1, 1), abs=1e-6)


def test_spearman_intervals_cover_what_they_say():
    random = np.random.default_rng(0)
    pearson = 0.6
    rows = [
        spearman(*(np.linalg.cholesky([[1, pearson], [pearson, 1]]) @ random.normal(size=(2, 40))))[
            1:
        ]
        for _ in range(400)
    ]
    truth = 6 / np.pi * np.arcsin(pearson / 2)  # of a Gaussian pair
    assert 0.92 < share_covered(rows, truth) < 0.98


@few
@given(SEEDS, st.floats(0.01, 100), st.floats(-100, 100))
def test_units_of_scores_and_usefulness_do_not_matter(seed, factor, shift):
    scores, usefulness = drawn(np.random.default_rng(seed))
    before, after = (
        regression(scores, usefulness),
        regression(scores * [factor, 1, 3] + shift, factor * usefulness - shift),
    )
    pd.testing.assert_frame_equal(before, after, rtol=1e-5, atol=1e-7)


@few
@given(SEEDS)
def test_a_partial_correlation_is_that_of_what_the_other_scores_leave(seed):
    scores, usefulness = drawn(np.random.default_rng(seed))
    others = np.column_stack([np.ones(len(scores)), scores[["b", "c"]]])
    left = [
        v - others @ np.linalg.lstsq(others, v, rcond=None)[0]
        for v in (scores["a"].to_numpy(), usefulness)
    ]
    assert regression(scores, usefulness)["partial"][0] == pytest.approx(np.corrcoef(*left)[0, 1])


def test_intervals_of_partials_and_coefficients_cover_what_they_say():
    random = np.random.default_rng(1)
    rows = pd.concat([regression(*drawn(random)) for _ in range(400)])
    # usefulness = a - c / 2 + e. Given b and c, a has variance 1 - 1/4, so its partial is sqrt(0.75
    # / 1.75); b has none of its own; given a and b, c has variance 1 and -c / 2 + e 1.25, so its
    # partial is -0.5 / sqrt(1.25). Usefulness has variance 2.25.
    for score, partial, coefficient in (
        ("a", np.sqrt(0.75 / 1.75), 1 / 1.5),
        ("b", 0, 0),
        ("c", -0.5 / np.sqrt(1.25), -0.5 / 1.5),
    ):
        own = rows[rows["score"] == score]
        assert 0.92 < share_covered(own[["partial_low", "partial_high"]].to_numpy(), partial) < 0.98
        assert 0.90 < share_covered(own[["low", "high"]].to_numpy(), coefficient) < 0.99


def test_collinear_scores_are_told_by_their_inflation():
    random = np.random.default_rng(2)
    scores, usefulness = drawn(random, correlation=0.0)
    assert regression(scores, usefulness)["vif"].max() < 2
    near = regression(
        scores.assign(b=scores["a"] + 0.05 * random.normal(size=40)), usefulness
    ).set_index("score")
    assert near.loc[["a", "b"], "vif"].min() > 100
    assert near.loc["c", "vif"] < 2
    assert (near["high"] - near["low"])["a"] > 3 * (near["high"] - near["low"])["c"]


def test_what_cannot_be_told_apart_is_refused():
    scores, usefulness = drawn(np.random.default_rng(3))
    with pytest.raises(UsefulnessError, match=r"linear functions of the others: a, b, c"):
        regression(scores.assign(b=2 * scores["a"] - scores["c"]), usefulness)
    with pytest.raises(UsefulnessError, match=r"same for all configurations: b$"):
        regression(scores.assign(b=0.1 + 0.2), usefulness)
    with pytest.raises(UsefulnessError, match=r"same for all configurations: usefulness"):
        spearman(scores["a"], np.zeros(40))
    with pytest.raises(UsefulnessError, match=r"not a finite number everywhere: c$"):
        regression(scores.assign(c=np.where(scores["c"] > 0, np.nan, 1)), usefulness)
    with pytest.raises(UsefulnessError, match=r"5 configurations, 6 at least"):
        regression(scores[:5], usefulness[:5])
    regression(scores[:6], usefulness[:6])
