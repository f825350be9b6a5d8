"""The choice of a law: independent of units, honest about what few sizes cannot distinguish."""

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synscale.analysis import laws
from synscale.analysis.laws import LawError, diagnostics
from synscale.analysis.laws.fit import points

DOUBLING = 1e5 * 2.0 ** np.arange(12)
BUMP = [2.51, 2.19, 1.93, 1.92, 2.45, 2.75, 1.94, 1.13, 0.844, 0.722]  # double descent
FIVE = np.array([3.023, 2.617, 2.291, 2.094, 1.840])  # a floor of 1, noise of 1 %
CUT = ([1e4, 1e5, 1e6, 1e7, 1e8], [2.514, 1.788, 1.580, 1.423, 1.594])  # k has no upper bound
FLAT = 1 + 0.01 * np.array([0.05, 0.68, 1.0, -0.62, 1.82, -1.32, -0.66, 0.94, 0.05, 2.0])


def falling(count: int, seed: int, floor: float = 0.0, noise: float = 0.02) -> tuple:
    random = np.random.default_rng(seed)
    sizes = DOUBLING[:count]
    losses = floor + 2 * (sizes / sizes[0]) ** -random.uniform(0.15, 0.6)
    return sizes, losses * np.exp(random.normal(0, noise, count))


# -- units -----------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-6, 6), st.floats(-6, 6))
@example(4082083, 4.0, 0.0)  # the break is at a size, but for rounding
def test_choice_is_invariant_under_rescaling(seed, log_size_unit, log_loss_unit):
    sizes, losses = falling(8 + seed % 5, seed)
    losses[-3:] *= [1.0, 1.05, 1.1]  # the smaller sizes without the rest show no floor
    choice = laws.choose(sizes, losses)
    scaled = laws.choose(sizes * 10.0**log_size_unit, losses * 10.0**log_loss_unit)
    assert scaled.fit.law == choice.fit.law
    assert scaled.not_ruled_out == choice.not_ruled_out
    assert scaled.k_interval == pytest.approx(choice.k_interval, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_equal_held_out_errors_do_not_depend_on_units(seed, monkeypatch):
    """Both laws predict the same, but for the last bit, and AICc prefers the floor."""
    sizes, losses = falling(8, seed, floor=1.0, noise=0.002)
    for last_bit in (1 - 1e-15, 1.0, 1 + 1e-15):
        errors = {"power": 0.1, "floor": 0.1 * last_bit, "broken": 1.0}
        monkeypatch.setattr(laws.choice, "held_out_error", lambda law, *_, e=errors: e[law])
        assert laws.choose(sizes, losses).fit.law == "floor"


# -- exact data ------------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [0.01, 0.1, 0.31, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("count", [7, 8, 10, 12])
def test_exact_power_law_is_chosen_as_power(k, count):
    for smallest, scale in ((1, 1), (30, 200), (1e5, 1e7), (1e9, 1e3)):
        sizes = smallest * 2.0 ** np.arange(count)
        choice = laws.choose(sizes, (scale / sizes) ** k)
        assert choice.fit.law == "power", (smallest, scale, choice.reason)


def test_exact_floor_and_break_are_still_chosen():
    x = np.log(DOUBLING / DOUBLING[0])
    assert laws.choose(DOUBLING, 0.5 + np.exp(-0.4 * x)).fit.law == "floor"
    bent = np.exp(-0.4 * np.minimum(x, 4.0) - 0.1 * np.maximum(x - 4.0, 0))
    assert laws.choose(DOUBLING, bent).fit.law == "broken"


# -- few sizes -------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [5, 6, 8])
def test_interval_covers_floor_that_few_sizes_hide(count):
    covered = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        sizes, k = DOUBLING[:count], random.uniform(0.15, 0.6)
        losses = (1 + 1.5 * (sizes / sizes[0]) ** -k) * np.exp(random.normal(0, 0.03, count))
        low, high = laws.choose(sizes, losses).k_interval
        covered += low <= k <= high
    assert covered / 60 >= 0.9 - 2 * (0.9 * 0.1 / 60) ** 0.5


def test_few_sizes_report_k_under_both_laws():
    choice = laws.choose(DOUBLING[:5], FIVE)
    assert choice.not_ruled_out == ("power", "floor")
    assert "not distinguished from a law with a floor of 0 to 1.78" in choice.reason
    assert "no bend can be detected with 5 sizes" in choice.reason
    written = choice.as_json()
    assert written["k"] == written["k_by_law"]["power"]["k"] < written["k_by_law"]["floor"]["k"]
    low, high = written["k_interval"]
    for law in ("power", "floor"):
        assert low <= written["k_by_law"][law]["k_interval"][0]
        assert high >= written["k_by_law"][law]["k_interval"][1]


def test_six_sizes_report_what_aicc_needs():
    choice = laws.choose(*falling(6, 0, floor=1.0))
    assert "with 6 sizes AICc needs a 207-fold smaller sum of squares" in choice.reason


def test_clear_floor_rules_the_pure_law_out():
    choice = laws.choose(*falling(12, 0, floor=1.0, noise=0.005))
    assert choice.fit.law == "floor"
    assert choice.not_ruled_out == ("floor",)
    assert choice.k_interval == choice.fit.k_interval


# -- data that no law describes --------------------------------------------------------------------
def test_loss_that_is_not_monotone_is_reported():
    notes = laws.choose(DOUBLING[:10], BUMP).warnings
    assert any("not monotone: it rises by 43%" in note for note in notes)
    assert any("lack of fit" in note for note in notes)


def test_monotone_noisy_losses_are_not_reported():
    notes = [laws.choose(*falling(8, seed)).warnings for seed in range(40)]
    assert not any("monotone" in note for notes_of_curve in notes for note in notes_of_curve)
    assert sum("lack of fit" in note for notes_of_curve in notes for note in notes_of_curve) <= 6


def test_loss_that_rises_is_reported():
    choice = laws.choose(DOUBLING[:10], 1 - 0.8 * (DOUBLING[:10] / 1e5) ** -0.2)
    assert any("the loss rises with size" in note for note in choice.warnings)


def test_flat_loss_bounds_no_exponent():
    choice = laws.choose(DOUBLING[:10], FLAT)
    assert choice.k_interval[1] == np.inf
    assert choice.as_json()["k_interval"][1] is None
    assert any("does not clearly fall" in note for note in choice.warnings)


def test_lack_of_fit_has_its_level():
    random, x = np.random.default_rng(0), np.arange(10.0)
    line = np.stack([np.ones(10), x], axis=1)
    off = np.eye(10) - line @ np.linalg.pinv(line)
    p = [diagnostics.autocorrelation(off @ random.normal(size=10), line) for _ in range(2000)]
    for level in (0.05, 0.5):
        assert np.mean(np.array(p) < level) == pytest.approx(level, abs=0.03)


# -- intervals at bounds ---------------------------------------------------------------------------
def test_interval_without_upper_bound_is_infinite():
    fitted = laws.fit("floor", *CUT)
    assert fitted.k_interval[1] == np.inf
    assert 0 < fitted.k_interval[0] < fitted.k
    assert fitted.as_json()["k_interval"][1] is None


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_floor_law_refuses_losses_that_do_not_fall(slope):
    losses = FLAT * (DOUBLING[:10] / DOUBLING[0]) ** slope
    with pytest.raises(LawError, match="the loss does not fall with size"):
        laws.fit("floor", DOUBLING[:10], losses)


def test_floor_interval_ends_are_no_grid_ends():
    """The old grid ended at k e^4 and k e^-4."""
    cut = 0
    for seed in range(20):
        fitted = laws.fit("floor", *falling(5, seed, floor=1.0, noise=0.03))
        ratio = np.array(fitted.k_interval) / fitted.k
        cut += bool(np.isclose(np.abs(np.log(np.maximum(ratio, 1e-9))), 4, atol=1e-6).any())
    assert cut == 0


# -- size ------------------------------------------------------------------------------------------
def test_many_rows_take_linear_work(monkeypatch):
    """One pass over the rows, not one for each size."""
    sizes = np.repeat(np.arange(1, 20001), 3)
    calls = []
    log = np.log
    monkeypatch.setattr(np, "log", lambda values: calls.append(np.size(values)) or log(values))
    points(sizes, 1.0 / sizes)
    assert len(calls) < 10


def test_many_points_are_fitted_like_all_of_them(monkeypatch):
    """Averages over narrow ranges of size: the same fit, and nearly the same interval."""
    sizes = np.linspace(1e3, 1e6, 1500)
    noise = np.random.default_rng(0).normal(0, 0.05, len(sizes))
    losses = (0.3 + (2e4 / sizes) ** 0.4) * np.exp(noise)
    fast = laws.fit("floor", sizes, losses)
    monkeypatch.setattr(laws.floor, "_MOST", 10**9)
    exact = laws.fit("floor", sizes, losses)
    assert fast.k == pytest.approx(exact.k, rel=1e-6)
    assert fast.k_interval == pytest.approx(exact.k_interval, rel=1e-3)


def test_many_points_take_few_seconds():
    sizes = np.linspace(1e3, 1e6, 60_000)
    noise = np.random.default_rng(0).normal(0, 0.05, len(sizes))
    start = time.process_time()
    choice = laws.choose(sizes, (0.3 + (2e4 / sizes) ** 0.4) * np.exp(noise))
    assert time.process_time() - start < 10
    assert choice.fit.law == "floor"
    assert not choice.warnings
