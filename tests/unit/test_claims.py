"""Statistics of the claims: effects that are known, intervals that cover, verdicts that follow."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lib import claims, laws

SIZES = 30 * 2.0 ** np.arange(6)
ENDS = st.floats(-10, 10)


def curve(k: float, random=None, noise: float = 0.0, sizes=SIZES) -> tuple:
    scatter = random.normal(0, noise, len(sizes)) if random else 0
    return sizes, np.exp(2 - k * np.log(sizes) + scatter)


def log_losses(values, seeds=None) -> pd.DataFrame:
    return pd.DataFrame({"seed": range(len(values)) if seeds is None else seeds, "cross_entropy": np.exp(values)})


# -- verdicts --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.09, -0.01, "holds"),
        (-0.2, -0.1, "does not hold"),
        (0, 0.1, "does not hold"),
        (-0.12, -0.05, "undecided"),
        (-0.05, 0.02, "undecided"),
        (-0.5, 0.5, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_a_hypothesis_of_two_ends(low, high, told):
    assert claims.verdict(low, high, above=-0.1, below=0) == told


@given(ENDS, ENDS, ENDS)
def test_a_hypothesis_and_its_opposite_have_opposite_verdicts(a, b, limit):
    low, high = sorted((a, b))
    below, above = claims.verdict(low, high, below=limit), claims.verdict(low, high, above=limit)
    if limit in (low, high):  # neither "below" nor "above" holds of the limit itself
        assert "holds" not in (below, above)
    else:
        assert (below, above) in {("holds", "does not hold"), ("does not hold", "holds"), ("undecided", "undecided")}


@given(ENDS, ENDS, ENDS, ENDS, st.floats(0, 1), st.floats(0, 1))
def test_a_narrower_interval_never_takes_a_verdict_back(a, b, c, d, first, second):
    low, high = sorted((a, b))
    above, below = sorted((c, d))
    inner = sorted(np.clip(low + share * (high - low), low, high) for share in (first, second))
    wide, narrow = claims.verdict(low, high, above, below), claims.verdict(*inner, above, below)
    assert wide in claims.VERDICTS
    assert wide in ("undecided", narrow)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_exponents_differ_or_are_alike_or_it_is_not_known(p, high, much):
    told = claims.verdict_of_equality(p, high, much)
    assert told == ("holds" if p < 0.05 else "does not hold" if high < much else "undecided")


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
@pytest.mark.parametrize(("synthetic", "noises"), [((0.3,), (0.05, 0.05)), ((0.25, 0.3, 0.35), (0.02, 0.05, 0.1, 0.03)), ((0.2, 0.4), (0.1, 0.1, 0.01))])
def test_the_mean_difference_covers_where_spreads_differ_and_curves_bend_alike(synthetic, noises, common):
    random, covered, trials = np.random.default_rng(0), 0, 400
    truth = np.mean(synthetic) - 0.5
    for _ in range(trials):
        alike = bend(random, common)
        curves = [(SIZES, curve(k, random, noise)[1] * alike) for k, noise in zip(synthetic, noises, strict=False)]
        found = claims.mean_difference(curves, curve(0.5, random, noises[-1], SIZES[:5]))
        covered += found.low <= truth <= found.high
    assert 0.92 < covered / trials < 0.985


def test_curves_are_compared_at_the_sizes_that_all_have():
    longer = (np.append(SIZES, 9999), np.append(curve(0.3)[1], 1e-9))
    assert claims.mean_difference([longer, curve(0.5)], curve(0.2)).value == pytest.approx(0.2)
    assert claims.spread([longer, curve(0.5)])[0].value == pytest.approx(0.2)
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
        found.append(claims.spread([(SIZES, curve(k, random, 0.05)[1] * alike) for k in exponents])[0])
    assert np.mean([own.low <= np.ptp(exponents) <= own.high for own in found]) > 0.92
    if np.ptp(exponents) == 0:
        assert np.mean([own.p < 0.05 for own in found]) == pytest.approx(0.05, abs=0.03)


def test_the_spread_of_two_curves_is_the_slope_of_their_ratio():
    """As a size has an effect of its own, only the ratio of the losses counts."""
    random = np.random.default_rng(3)
    a, b = curve(0.5, random, 0.05), curve(0.3, random, 0.05)
    found, each = claims.spread([a, b])
    ratio = laws.fit("power", SIZES, a[1] / b[1])
    assert (found.value, found.low, found.high) == pytest.approx((ratio.k, *ratio.k_interval))
    assert each[0] - each[1] == pytest.approx(ratio.k)


# -- losses ----------------------------------------------------------------------------------------------------------------------------


def test_losses_are_compared_by_seed():
    ratios = claims.log_ratios(log_losses([1.0, 2.0, 3.0], [0, 1, 2]), log_losses([2.5, 1.5], [2, 0]))
    assert ratios.to_dict() == pytest.approx({0: -0.5, 2: 0.5})
    with pytest.raises(ValueError, match="no seed"):
        claims.log_ratios(log_losses([1.0], [0]), log_losses([1.0], [1]))


def test_one_value_alone_has_no_interval():
    found = claims.mean_effect([-0.3])
    assert found.value == pytest.approx(-0.3)
    assert claims.verdict(found.low, found.high, below=0) == "undecided"


def test_seeds_of_a_size_are_no_independent_points():
    once = {30: pd.Series([-0.2]), 60: pd.Series([-0.1]), 120: pd.Series([-0.3])}
    often = {size: pd.concat([own] * 5) for size, own in once.items()}
    assert claims.over_sizes(often) == claims.over_sizes(once)
    assert claims.over_sizes(once).n == 3


def test_the_mean_over_sizes_covers():
    random, covered, trials = np.random.default_rng(4), 0, 500
    for _ in range(trials):
        found = claims.over_sizes({size: -0.2 + random.normal(0, 0.1) + pd.Series(random.normal(0, 0.1, 3)) for size in range(5)})
        covered += found.low <= -0.2 <= found.high
    assert 0.92 < covered / trials < 0.98
