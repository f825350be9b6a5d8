"""Statistics of the claims: effects that are known, intervals that cover, verdicts that follow."""

import gc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synscale.analysis import effects, laws
from synscale.analysis.claim_data import at_same_sizes
from synscale.analysis.decisions import Test, bound_test, decide

SIZES = 30 * 2.0 ** np.arange(6)
ENDS = st.floats(-10, 10)


@pytest.fixture(autouse=True, scope="module")
def frozen_objects():
    """multipletests collects garbage at every call: 0.2 s with all imports, unless frozen."""
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


# -- tests and verdicts ----------------------------------------------------------------------------
def effect(value: float, error: float = 1.0, freedom: float = 5) -> effects.Effect:
    half = stats.t.ppf(0.975, freedom) * error
    return effects.Effect(value, value - half, value + half, 7, error, freedom)


def verdict_of(interval: effects.Effect, above: float, below: float) -> str:
    """Return what an interval says of a hypothesis when it is the only one."""
    if (interval.low > above or above == -np.inf) and (interval.high < below or below == np.inf):
        return "holds"
    return "does not hold" if interval.high < above or interval.low > below else "undecided"


@pytest.mark.parametrize(("above", "below"), [(0.5, np.inf), (-np.inf, 0.5)])
def test_p_of_hypothesis_and_opposite_add_up(above, below):
    test = bound_test(effect(2.0), above, below)
    t = (2.0 - 0.5) / 1.0
    assert test.p == pytest.approx(stats.t.sf(t, 5) if below == np.inf else stats.t.cdf(t, 5))
    assert test.p + test.p_opposite == pytest.approx(1)


def test_bound_test_takes_the_nearer_of_two_bounds():
    test = bound_test(effect(-0.04, 0.01), above=-0.1, below=0)
    assert test.p == pytest.approx(stats.t.sf(4, 5))
    outside = bound_test(effect(-0.2, 0.01), above=-0.1, below=0)
    assert outside.p_opposite == pytest.approx(2 * stats.t.sf(10, 5))
    assert outside.p > 0.99


@given(
    ENDS, st.floats(0.01, 5), st.floats(1, 50), st.one_of(ENDS, st.just(-np.inf)), st.just(np.inf)
)
def test_verdict_of_one_claim_agrees_with_its_interval(value, error, freedom, above, below):
    if above == -np.inf:
        above, below = -np.inf, 1.0
    one = effect(value, error, freedom)
    [decision] = decide([bound_test(one, above, below)])
    assert decision.verdict == verdict_of(one, above, below)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_decide_adjusts_p_by_holm(values):
    tests = [Test(p, 1 - p) for p in values]
    decisions = decide(tests)
    both = np.array([[test.p, test.p_opposite] for test in tests]).ravel()
    order = np.argsort(both, kind="stable")
    expected = np.empty(len(both))
    expected[order] = np.minimum(
        1, np.maximum.accumulate(both[order] * np.arange(len(both), 0, -1))
    )
    adjusted = np.array([[decision.p, decision.p_opposite] for decision in decisions]).ravel()
    assert adjusted == pytest.approx(expected)
    verdicts = [
        "holds" if p < 0.05 else "does not hold" if q < 0.05 else "undecided"
        for p, q in adjusted.reshape(-1, 2)
    ]
    assert [decision.verdict for decision in decisions] == verdicts


@given(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=8))
def test_more_claims_decide_no_undecided_one(p, others):
    verdict_of_one = decide([Test(p, 1 - p)])[0].verdict
    among = decide([Test(p, 1 - p), *(Test(q, 1 - q) for q in others)])[0].verdict
    assert among in ("undecided", verdict_of_one)


def test_tables_without_effects_seldom_have_verdicts():
    """At most 5 % of tables have a verdict if thirteen effects are all on their bounds."""
    random, decided, trials = np.random.default_rng(7), 0, 150
    for _ in range(trials):
        tests = [
            bound_test(effects.mean_effect(random.normal(0, 1, 5)), above=0) for _ in range(13)
        ]
        decided += any(decision.verdict != "undecided" for decision in decide(tests))
    assert decided / trials < 0.1


def test_claim_without_p_is_undecided_and_not_counted():
    missing = Test(np.nan, np.nan)
    first, second = decide([Test(0.02, 0.98), missing])
    assert (first.verdict, first.p) == ("holds", pytest.approx(0.04))
    assert second.verdict == "undecided"
    assert np.isnan(second.p)


# -- exponents -------------------------------------------------------------------------------------
def test_difference_is_synthetic_minus_real():
    assert effects.difference(curve(0.4), curve(0.3)).value == pytest.approx(-0.1)


@given(st.lists(st.floats(0.01, 2), min_size=1, max_size=5), st.floats(0.01, 2))
def test_mean_difference_without_scatter_is_exact(exponents, real):
    difference = effects.mean_difference([curve(k) for k in exponents], curve(real))
    assert difference.value == pytest.approx(np.mean(exponents) - real, abs=1e-6)


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
def test_mean_difference_covers_if_spreads_differ(synthetic, noises, common):
    random, covered, trials = np.random.default_rng(0), 0, 400
    truth = np.mean(synthetic) - 0.5
    for _ in range(trials):
        alike = bend(random, common)
        curves = [
            (SIZES, curve(k, random, noise)[1] * alike)
            for k, noise in zip(synthetic, noises, strict=False)
        ]
        difference = effects.mean_difference(curves, curve(0.5, random, noises[-1], SIZES[:5]))
        covered += difference.low <= truth <= difference.high
    assert 0.92 < covered / trials < 0.985


def test_curves_are_compared_at_common_sizes():
    longer = (np.append(SIZES, 9999), np.append(curve(0.3)[1], 1e-9))
    assert effects.mean_difference([longer, curve(0.5)], curve(0.2)).value == pytest.approx(0.2)
    assert effects.spread([longer, curve(0.5)], 0.1).effect.value == pytest.approx(0.2)
    with pytest.raises(
        laws.LawError, match=r"2 sizes that all of 2 curves have \(expected 3 or more\)"
    ):
        effects.common_sizes([curve(0.3), curve(0.3, sizes=np.append(SIZES[:2], [7, 8, 9]))])


def test_mean_difference_agrees_with_regression():
    random = np.random.default_rng(1)
    a, b = curve(0.5, random, 0.05), curve(0.3, random, 0.05)
    one, other = effects.difference(a, b), effects.mean_difference([b], a)
    assert other.value == pytest.approx(one.value)
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.1)


@pytest.mark.parametrize("common", [0, 0.1])
@pytest.mark.parametrize("exponents", [(0.3, 0.3, 0.3, 0.3), (0.2, 0.3, 0.35), (0.3, 0.25)])
def test_spread_covers_and_keeps_its_level(exponents, common):
    random, results = np.random.default_rng(2), []
    for _ in range(300):
        alike = bend(random, common)
        curves = [(SIZES, curve(k, random, 0.05)[1] * alike) for k in exponents]
        results.append(effects.spread(curves, 0.1))
    truth = np.ptp(exponents)
    covered = [result.effect.low <= truth <= result.effect.high for result in results]
    assert np.mean(covered) > 0.92
    if truth == 0:
        p = np.array([result.p for result in results])
        assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("exponents", [(0.4, 0.3), (0.4, 0.3, 0.3)])
def test_exponents_apart_by_the_margin_are_seldom_alike(exponents):
    random = np.random.default_rng(8)
    results = [
        effects.spread([curve(k, random, 0.05) for k in exponents], np.ptp(exponents))
        for _ in range(300)
    ]
    assert np.mean([result.p_alike < 0.05 for result in results]) < 0.08
    exact = effects.spread([curve(k, random, 1e-4) for k in (0.3, 0.31)], 0.1)
    assert exact.p < 1e-6
    assert exact.p_alike < 1e-6


def test_spread_of_two_curves_is_slope_of_their_ratio():
    """Each size has an effect, so only the ratio of the losses counts."""
    random = np.random.default_rng(3)
    a, b = curve(0.5, random, 0.05), curve(0.3, random, 0.05)
    result = effects.spread([a, b], 0.1)
    ratio = laws.fit("power", SIZES, a[1] / b[1])
    interval = result.effect.value, result.effect.low, result.effect.high
    assert interval == pytest.approx((ratio.k, *ratio.k_interval))
    assert result.exponents[0] - result.exponents[1] == pytest.approx(ratio.k)
    error = (ratio.k_interval[1] - ratio.k) / stats.t.ppf(0.975, 4)
    assert result.p_alike == pytest.approx(stats.t.cdf((abs(ratio.k) - 0.1) / error, 4))


def test_note_names_sizes_of_all_curves():
    short = (np.array([60, 120, 240, 480, 960]), np.exp(-0.3 * np.log([60, 120, 240, 480, 960])))
    real = (np.array([30, 60, 120, 240, 480]), np.exp(-0.5 * np.log([30, 60, 120, 240, 480])))
    note = at_same_sizes([short], real)
    assert "at the 4 sizes that all curves have (60 to 480 images) −0.20" in note
    assert at_same_sizes([(short[0][2:], short[1][2:])], real) == ""


# -- losses ----------------------------------------------------------------------------------------
def test_log_ratios_are_paired_by_seed():
    ratios = effects.log_ratios(
        log_losses([1.0, 2.0, 3.0], [0, 1, 2]), log_losses([2.5, 1.5], [2, 0])
    )
    assert ratios.to_dict() == pytest.approx({0: -0.5, 2: 0.5})
    with pytest.raises(ValueError, match="no seed"):
        effects.log_ratios(log_losses([1.0], [0]), log_losses([1.0], [1]))


def test_mean_effect_of_one_value_has_no_interval():
    mean = effects.mean_effect([-0.3])
    assert mean.value == pytest.approx(-0.3)
    assert decide([bound_test(mean, below=0)])[0].verdict == "undecided"


def test_over_sizes_averages_seeds_of_a_size():
    once = {30: pd.Series([-0.2]), 60: pd.Series([-0.1]), 120: pd.Series([-0.3])}
    often = {size: pd.concat([losses] * 5) for size, losses in once.items()}
    assert effects.over_sizes(often) == effects.over_sizes(once)
    assert effects.over_sizes(once).n == 3


def test_over_sizes_covers():
    random, covered, trials = np.random.default_rng(4), 0, 500
    for _ in range(trials):
        ratios = {
            size: -0.2 + random.normal(0, 0.1) + pd.Series(random.normal(0, 0.1, 3))
            for size in range(5)
        }
        mean = effects.over_sizes(ratios)
        covered += mean.low <= -0.2 <= mean.high
    assert 0.92 < covered / trials < 0.98
