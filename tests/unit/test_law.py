"""The scaling law: exact where it must be, honest about what it does not know."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import fit_law
from scripts.lib import metrics
from scripts.lib.law import fit_power_law

SIZES = np.array([30, 60, 120, 240, 480, 960])


@given(st.floats(0.01, 2), st.floats(-3, 10), st.integers(3, 9), st.floats(0.1, 1e6))
def test_a_power_law_without_noise_is_recovered(k, log_scale, points, smallest):
    sizes = smallest * 2.0 ** np.arange(points)
    law = fit_power_law(sizes, np.exp(k * (log_scale - np.log(sizes))))
    assert law.k == pytest.approx(k, rel=1e-6)
    assert law.log_scale == pytest.approx(log_scale, rel=1e-4, abs=1e-4)
    assert law.k_interval[0] <= law.k <= law.k_interval[1] or law.k_interval == pytest.approx((k, k))


@given(st.floats(0.1, 10), st.floats(1e-3, 1e6))
def test_the_exponent_does_not_depend_on_the_units(loss_unit, size_unit):
    losses = np.array([1.1, 0.8, 0.75, 0.5, 0.42, 0.4])
    a, b = fit_power_law(SIZES, losses), fit_power_law(SIZES * size_unit, losses * loss_unit)
    assert b.k == pytest.approx(a.k)
    assert b.k_interval == pytest.approx(a.k_interval)


def test_nominal_95_percent_intervals_cover_the_exponent():
    """Noise of the sizes (their images are one draw) and of the seeds, as in the digits study."""
    random, covered, trials, k = np.random.default_rng(0), 0, 600, 0.3
    sizes = np.repeat(SIZES, 3)
    for _ in range(trials):
        noise = np.repeat(random.normal(0, 0.05, len(SIZES)), 3) + random.normal(0, 0.04, len(sizes))
        low, high = fit_power_law(sizes, np.exp(-k * np.log(sizes) + 2 + noise)).k_interval
        covered += low <= k <= high
    assert 0.92 < covered / trials < 0.98


def test_more_seeds_of_the_same_images_do_not_narrow_the_interval_by_themselves():
    losses = np.array([1.1, 0.8, 0.75, 0.5, 0.42, 0.4])
    once, often = fit_power_law(SIZES, losses), fit_power_law(np.repeat(SIZES, 9), np.repeat(losses, 9))
    assert often.k_interval == pytest.approx(once.k_interval)


@pytest.mark.parametrize(
    ("sizes", "losses", "told"),
    [
        ([10, 20], [1, 0.5], "3 at least"),
        ([10, 20, 20, 10], [1, 0.5, 0.4, 1], "2 sizes"),
        ([10, 20, 40], [1, 0.5, 0], "positive"),
        ([10, 20, 0], [1, 0.5, 0.2], "positive"),
        ([10, 20, 40], [1, np.nan, 0.3], "finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, losses, told):
    with pytest.raises(ValueError, match=told):
        fit_power_law(sizes, losses)


def test_a_missing_run_is_no_silent_gap():
    runs = pd.DataFrame({"source": "real", "guidance": pd.array([None] * 4, "Float64"), "architecture": "a", "size": [10, 20, 40, 80], "seed": 0})
    table = runs.assign(cross_entropy=[1, 0.8, 0.6, 0.5])
    experiment = {"curves": [["real", None]], "architectures": ["a"], "sizes": [10, 20, 40, 80], "seeds": [0]}
    assert fit_law.fit(metrics.of_experiments(table, [experiment, experiment]), (10, 80))[0]["sizes"] == [10, 20, 40, 80]
    with pytest.raises(ValueError, match=r"1 runs have no metrics, the first: .*'size': 40"):
        metrics.of_experiments(table[table["size"] != 40], [experiment])
