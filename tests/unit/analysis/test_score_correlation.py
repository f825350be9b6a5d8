"""Correlations and regressions of scores: values, coverage of intervals, and refused data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synscale.analysis.score_correlation import (
    CorrelationError,
    adjusted,
    regression,
    spearman,
    summarize,
)

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)  # a few milliseconds each on an idle core


def drawn(random, count=40, correlation=0.5):
    """Scores a, b, c of unit variance, a and b correlated, and accuracy = a - c / 2 + noise."""
    a, b, c = np.linalg.cholesky(
        [[1, correlation, 0], [correlation, 1, 0], [0, 0, 1]]
    ) @ random.normal(size=(3, count))
    return pd.DataFrame({"a": a, "b": b, "c": c}), a - 0.5 * c + random.normal(size=count)


def share_covered(rows, truth) -> float:
    return np.mean([low <= truth <= high for low, high in rows])


@few
@given(SEEDS)
def test_spearman_depends_on_order_only(seed):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, 20))
    assert spearman(np.exp(x), y**3) == pytest.approx(spearman(x, y))
    assert spearman(y, x) == pytest.approx(spearman(x, y))
    rho, low, high = spearman(x, y)
    assert spearman(-x, y) == pytest.approx((-rho, -high, -low))
    assert low < rho < high


def test_spearman_of_a_perfect_order_is_one():
    assert spearman([1, 2, 3, 4, 9], [0, 1, 2, 3, 4]) == pytest.approx((1, 1, 1), abs=1e-6)


def test_spearman_intervals_cover():
    random = np.random.default_rng(0)
    pearson = 0.6
    rows = [
        spearman(*(np.linalg.cholesky([[1, pearson], [pearson, 1]]) @ random.normal(size=(2, 40))))[
            1:
        ]
        for _ in range(400)
    ]
    truth = 6 / np.pi * np.arcsin(pearson / 2)  # a Gaussian pair
    assert 0.92 < share_covered(rows, truth) < 0.98


@few
@given(SEEDS, st.floats(0.01, 100), st.floats(-100, 100))
def test_regression_does_not_depend_on_units(seed, factor, shift):
    scores, accuracy = drawn(np.random.default_rng(seed))
    before, after = (
        regression(scores, accuracy),
        regression(scores * [factor, 1, 3] + shift, factor * accuracy - shift),
    )
    pd.testing.assert_frame_equal(before, after, rtol=1e-5, atol=1e-7)


@few
@given(SEEDS)
def test_partial_correlation_is_that_of_residuals(seed):
    scores, accuracy = drawn(np.random.default_rng(seed))
    others = np.column_stack([np.ones(len(scores)), scores[["b", "c"]]])
    left = [
        v - others @ np.linalg.lstsq(others, v, rcond=None)[0]
        for v in (scores["a"].to_numpy(), accuracy)
    ]
    assert regression(scores, accuracy)["partial"][0] == pytest.approx(np.corrcoef(*left)[0, 1])


def test_regression_intervals_cover():
    random = np.random.default_rng(1)
    rows = pd.concat([regression(*drawn(random)) for _ in range(400)])
    # accuracy = a - c / 2 + e. Given b and c, a has variance 1 - 1/4, so its partial is sqrt(0.75
    # / 1.75); b has none; given a and b, c has variance 1 and -c / 2 + e 1.25, so its
    # partial is -0.5 / sqrt(1.25). Accuracy has variance 2.25.
    for score, partial, coefficient in (
        ("a", np.sqrt(0.75 / 1.75), 1 / 1.5),
        ("b", 0, 0),
        ("c", -0.5 / np.sqrt(1.25), -0.5 / 1.5),
    ):
        score_rows = rows[rows["score"] == score]
        assert (
            0.92
            < share_covered(score_rows[["partial_low", "partial_high"]].to_numpy(), partial)
            < 0.98
        )
        assert 0.90 < share_covered(score_rows[["low", "high"]].to_numpy(), coefficient) < 0.99


def test_collinear_scores_have_a_large_inflation_factor():
    random = np.random.default_rng(2)
    scores, accuracy = drawn(random, correlation=0.0)
    assert regression(scores, accuracy)["vif"].max() < 2
    near = regression(
        scores.assign(b=scores["a"] + 0.05 * random.normal(size=40)), accuracy
    ).set_index("score")
    assert near.loc[["a", "b"], "vif"].min() > 100
    assert near.loc["c", "vif"] < 2
    assert (near["high"] - near["low"])["a"] > 3 * (near["high"] - near["low"])["c"]


def test_regression_refuses_data_without_an_answer():
    scores, accuracy = drawn(np.random.default_rng(3))
    with pytest.raises(CorrelationError, match=r"linear functions of the others: a, b, c"):
        regression(scores.assign(b=2 * scores["a"] - scores["c"]), accuracy)
    with pytest.raises(CorrelationError, match=r"same for all configurations: b$"):
        regression(scores.assign(b=0.1 + 0.2), accuracy)
    with pytest.raises(CorrelationError, match=r"same for all configurations: accuracy"):
        spearman(scores["a"], np.zeros(40))
    with pytest.raises(CorrelationError, match=r"not a finite number everywhere: c$"):
        regression(scores.assign(c=np.where(scores["c"] > 0, np.nan, 1)), accuracy)
    with pytest.raises(CorrelationError, match=r"5 configurations \(expected 6 or more\)"):
        regression(scores[:5], accuracy[:5])
    regression(scores[:6], accuracy[:6])


def test_score_that_some_lack_is_in_no_regression():
    scores, accuracy = drawn(np.random.default_rng(4))
    before, _ = summarize(scores, accuracy)
    partly = scores["a"].where(scores["b"] > -0.5)
    rows, reason = summarize(scores.assign(d=partly), accuracy)
    assert reason == ""
    pd.testing.assert_frame_equal(rows[:3], before)
    known = partly.notna().to_numpy()
    assert rows["spearman"][3] == pytest.approx(spearman(partly[known], accuracy[known])[0])
    assert np.isnan(rows["coefficient"][3])


def test_p_values_are_adjusted_for_the_number_of_scores():
    scores, accuracy = drawn(np.random.default_rng(5))
    scores = scores.assign(d=1.0, e=np.nan)  # two that have no correlation are no tests
    rows = adjusted(summarize(scores, accuracy)[0], scores, accuracy)
    p = [stats.spearmanr(scores[name], accuracy).pvalue for name in "abc"]
    assert rows["p"][:3].to_numpy() == pytest.approx(p)
    order = np.argsort(p)
    holm = np.maximum.accumulate(np.array([3, 2, 1]) * np.array(p)[order]).clip(max=1)
    assert rows["p_holm"][order].to_numpy() == pytest.approx(holm)
    assert rows[["p", "p_holm"]][3:].isna().all(axis=None)


def test_holm_limits_false_discoveries_of_many_scores():
    random = np.random.default_rng(6)
    significant = 0
    for _ in range(40):
        scores = pd.DataFrame(random.normal(size=(12, 10)), columns=list("abcdefghij"))
        accuracy = random.normal(size=12)
        rows = pd.DataFrame({"score": list(scores), "spearman": 0.0})  # each has a rho
        significant += bool((adjusted(rows, scores, accuracy)["p_holm"] < 0.05).any())
    assert significant <= 6  # 2 expected at most; more than 6 has a probability of 0.3 %
