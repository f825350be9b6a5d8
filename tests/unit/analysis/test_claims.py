"""Statistics of the claims: effects that are known, intervals that cover, verdicts that follow."""

import gc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scripts import tabulate_claims
from synscale.analysis import claims, laws

SIZES = 30 * 2.0 ** np.arange(6)
ENDS = st.floats(-10, 10)


@pytest.fixture(autouse=True, scope="module")
def frozen_objects():
    """multipletests collects garbage at every call: 0.2 s with all that is imported, unless frozen."""
    gc.freeze()
    yield
    gc.unfreeze()


def curve(k: float, random=None, noise: float = 0.0, sizes=SIZES) -> tuple:
    scatter = random.normal(0, noise, len(sizes)) if random else 0
    return sizes, np.exp(2 - k * np.log(sizes) + scatter)


def log_losses(values, seeds=None) -> pd.DataFrame:
    return pd.DataFrame(
        {"seed": range(len(values)) if seeds is None else seeds, "cross_entropy": np.exp(values)}
    )


# -- tests and verdicts --------------------------------------------------------------------------


def effect(value: float, error: float = 1.0, freedom: float = 5) -> claims.Effect:
    half = stats.t.ppf(0.975, freedom) * error
    return claims.Effect(value, value - half, value + half, 7, error, freedom)


def verdict_of(interval: claims.Effect, above: float, below: float) -> str:
    """Return what an interval says of a hypothesis when it is the only one."""
    if (interval.low > above or above == -np.inf) and (interval.high < below or below == np.inf):
        return "holds"
    return "does not hold" if interval.high < above or interval.low > below else "undecided"


@pytest.mark.parametrize(("above", "below"), [(0.5, np.inf), (-np.inf, 0.5)])
def test_p_of_hypothesis_and_opposite_add_up(above, below):
    test = claims.test_bounds(effect(2.0), above, below)
    t = (2.0 - 0.5) / 1.0
    assert test.p == pytest.approx(stats.t.sf(t, 5) if below == np.inf else stats.t.cdf(t, 5))
    assert test.p + test.p_opposite == pytest.approx(1)


def test_p_of_two_bounds_is_that_of_the_nearer_one():
    test = claims.test_bounds(effect(-0.04, 0.01), above=-0.1, below=0)
    assert test.p == pytest.approx(stats.t.sf(4, 5))
    outside = claims.test_bounds(effect(-0.2, 0.01), above=-0.1, below=0)
    assert outside.p_opposite == pytest.approx(2 * stats.t.sf(10, 5))
    assert outside.p > 0.99


@given(
    ENDS, st.floats(0.01, 5), st.floats(1, 50), st.one_of(ENDS, st.just(-np.inf)), st.just(np.inf)
)
def test_verdict_of_one_claim_is_that_of_its_interval(value, error, freedom, above, below):
    if above == -np.inf:
        above, below = -np.inf, 1.0
    one = effect(value, error, freedom)
    [decision] = claims.decide([claims.test_bounds(one, above, below)])
    assert decision.verdict == verdict_of(one, above, below)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_is_that_of_holm(values):
    tests = [claims.Test(p, 1 - p) for p in values]
    found = claims.decide(tests)
    both = np.array([[test.p, test.p_opposite] for test in tests]).ravel()
    order = np.argsort(both, kind="stable")
    expected = np.empty(len(both))
    expected[order] = np.minimum(
        1, np.maximum.accumulate(both[order] * np.arange(len(both), 0, -1))
    )
    adjusted = np.array([[own.p, own.p_opposite] for own in found]).ravel()
    assert adjusted == pytest.approx(expected)
    verdicts = [
        "holds" if p < 0.05 else "does not hold" if q < 0.05 else "undecided"
        for p, q in adjusted.reshape(-1, 2)
    ]
    assert [own.verdict for own in found] == verdicts


@given(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=8))
def test_more_claims_never_decide_an_undecided_one(p, others):
    alone = claims.decide([claims.Test(p, 1 - p)])[0].verdict
    among = claims.decide([claims.Test(p, 1 - p), *(claims.Test(q, 1 - q) for q in others)])[
        0
    ].verdict
    assert among in ("undecided", alone)


def test_claims_of_nothing_are_seldom_decided():
    """Thirteen effects of which none lies on either side of its bound: at most 5 % of tables have a
    verdict.
    """
    random, decided, trials = np.random.default_rng(7), 0, 150
    for _ in range(trials):
        tests = [
            claims.test_bounds(claims.mean_effect(random.normal(0, 1, 5)), above=0)
            for _ in range(13)
        ]
        decided += any(own.verdict != "undecided" for own in claims.decide(tests))
    assert decided / trials < 0.1


def test_claim_without_p_is_undecided_and_not_counted():
    missing = claims.Test(np.nan, np.nan)
    first, second = claims.decide([claims.Test(0.02, 0.98), missing])
    assert (first.verdict, first.p) == ("holds", pytest.approx(0.04))
    assert second.verdict == "undecided"
    assert np.isnan(second.p)


# -- exponents -------------------------------------------------------------------------------------------------------------------------


def test_the_difference_is_synthetic_minus_real():
    assert claims.difference(curve(0.4), curve(0.3)).value == pytest.approx(-0.1)


@given(st.lists(st.floats(0.01, 2), min_size=1, max_size=5), st.floats(0.01, 2))
def test_without_scatter_the_mean_difference_is_exact(exponents, real):
    found = claims.mean_difference([curve(k) for k in exponents], curve(real))
    assert found.value == pytest.approx(np.mean(exponents) - real, abs=1e-6)


def bend(random, noise: float) -> np.ndarray:
    """What all curves of a study have in common at each size."""
    return np.exp(random.normal(0, noise, len(SIZES)))


@pytest.mark.parametrize("common", [0, 0.05])
@pytest.mark.parametrize(
    ("synthetic", "noises"),
    [
        ((0.3,), (0.05, 0.05)),
        ((0.25, 0.3, 0.35), (0.02, 0.05, 0.1, 0.03)),
        ((0.2, 0.4), (0.1, 0.1, 0.01)),
    ],
)
def test_the_mean_difference_covers_where_spreads_differ_and_curves_bend_alike(
    synthetic, noises, common
):
    random, covered, trials = np.random.default_rng(0), 0, 400
    truth = np.mean(synthetic) - 0.5
    for _ in range(trials):
        alike = bend(random, common)
        curves = [
            (SIZES, curve(k, random, noise)[1] * alike)
            for k, noise in zip(synthetic, noises, strict=False)
        ]
        found = claims.mean_difference(curves, curve(0.5, random, noises[-1], SIZES[:5]))
        covered += found.low <= truth <= found.high
    assert 0.92 < covered / trials < 0.985


def test_curves_are_compared_at_the_sizes_that_all_have():
    longer = (np.append(SIZES, 9999), np.append(curve(0.3)[1], 1e-9))
    assert claims.mean_difference([longer, curve(0.5)], curve(0.2)).value == pytest.approx(0.2)
    assert claims.spread([longer, curve(0.5)], 0.1)[0].value == pytest.approx(0.2)
    with pytest.raises(laws.LawError, match="2 sizes that all of 2 curves have"):
        claims.shared([curve(0.3), curve(0.3, sizes=np.append(SIZES[:2], [7, 8, 9]))])


def test_a_difference_of_two_lines_of_equal_spread_is_nearly_their_regression():
    random = np.random.default_rng(1)
    a, b = curve(0.5, random, 0.05), curve(0.3, random, 0.05)
    one, other = claims.difference(a, b), claims.mean_difference([b], a)
    assert other.value == pytest.approx(one.value)
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.1)


@pytest.mark.parametrize("common", [0, 0.1])
@pytest.mark.parametrize("exponents", [(0.3, 0.3, 0.3, 0.3), (0.2, 0.3, 0.35), (0.3, 0.25)])
def test_equal_exponents_are_seldom_told_apart_and_the_spread_covers(exponents, common):
    random, found = np.random.default_rng(2), []
    for _ in range(300):
        alike = bend(random, common)
        found.append(
            claims.spread([(SIZES, curve(k, random, 0.05)[1] * alike) for k in exponents], 0.1)[:2]
        )
    assert np.mean([own.low <= np.ptp(exponents) <= own.high for own, _ in found]) > 0.92
    if np.ptp(exponents) == 0:
        assert np.mean([test.p < 0.05 for _, test in found]) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("exponents", [(0.4, 0.3), (0.4, 0.3, 0.3)])
def test_exponents_apart_by_the_margin_are_seldom_alike(exponents):
    random = np.random.default_rng(8)
    found = [
        claims.spread([curve(k, random, 0.05) for k in exponents], np.ptp(exponents))[1]
        for _ in range(300)
    ]
    assert np.mean([test.p_opposite < 0.05 for test in found]) < 0.08
    exact = claims.spread([curve(k, random, 1e-4) for k in (0.3, 0.31)], 0.1)[1]
    assert exact.p < 1e-6
    assert exact.p_opposite < 1e-6


def test_the_spread_of_two_curves_is_the_slope_of_their_ratio():
    """As a size has an effect of its own, only the ratio of the losses counts."""
    random = np.random.default_rng(3)
    a, b = curve(0.5, random, 0.05), curve(0.3, random, 0.05)
    found, test, each = claims.spread([a, b], 0.1)
    ratio = laws.fit("power", SIZES, a[1] / b[1])
    assert (found.value, found.low, found.high) == pytest.approx((ratio.k, *ratio.k_interval))
    assert each[0] - each[1] == pytest.approx(ratio.k)
    error = (ratio.k_interval[1] - ratio.k) / stats.t.ppf(0.975, 4)
    assert test.p_opposite == pytest.approx(stats.t.cdf((abs(ratio.k) - 0.1) / error, 4))


def test_shared_sizes_in_a_note_are_those_of_all_curves():
    short = (np.array([60, 120, 240, 480, 960]), np.exp(-0.3 * np.log([60, 120, 240, 480, 960])))
    real = (np.array([30, 60, 120, 240, 480]), np.exp(-0.5 * np.log([30, 60, 120, 240, 480])))
    note = tabulate_claims.at_same_sizes([short], real)
    assert "at the 4 sizes that all curves have (60 to 480 images) −0.20" in note
    assert tabulate_claims.at_same_sizes([(short[0][2:], short[1][2:])], real) == ""


# -- losses ----------------------------------------------------------------------------------------------------------------------------


def test_losses_are_compared_by_seed():
    ratios = claims.log_ratios(
        log_losses([1.0, 2.0, 3.0], [0, 1, 2]), log_losses([2.5, 1.5], [2, 0])
    )
    assert ratios.to_dict() == pytest.approx({0: -0.5, 2: 0.5})
    with pytest.raises(ValueError, match="no seed"):
        claims.log_ratios(log_losses([1.0], [0]), log_losses([1.0], [1]))


def test_one_value_alone_has_no_interval():
    found = claims.mean_effect([-0.3])
    assert found.value == pytest.approx(-0.3)
    assert claims.decide([claims.test_bounds(found, below=0)])[0].verdict == "undecided"


def test_seeds_of_a_size_are_no_independent_points():
    once = {30: pd.Series([-0.2]), 60: pd.Series([-0.1]), 120: pd.Series([-0.3])}
    often = {size: pd.concat([own] * 5) for size, own in once.items()}
    assert claims.over_sizes(often) == claims.over_sizes(once)
    assert claims.over_sizes(once).n == 3


def test_the_mean_over_sizes_covers():
    random, covered, trials = np.random.default_rng(4), 0, 500
    for _ in range(trials):
        found = claims.over_sizes(
            {
                size: -0.2 + random.normal(0, 0.1) + pd.Series(random.normal(0, 0.1, 3))
                for size in range(5)
            }
        )
        covered += found.low <= -0.2 <= found.high
    assert 0.92 < covered / trials < 0.98
