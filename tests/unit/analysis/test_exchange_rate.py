"""The exchange rate of pure laws, and its interval."""

import numpy as np
import pytest

from synscale.analysis.laws.exchange import exchange_rate
from tests.support.law_curves import SIZES


def test_exchange_rate_of_equal_laws_is_one():
    losses = (200 / SIZES) ** 0.3
    rates = exchange_rate((SIZES, losses), (SIZES, losses), SIZES[1:4])
    assert rates["rate"].to_numpy() == pytest.approx(1)
    assert rates["matched"].to_numpy() == pytest.approx(SIZES[1:4])
    assert rates["inside"].all()


def test_exchange_rate_is_slope_of_matched_number():
    real, synthetic = (SIZES, (100 / SIZES) ** 0.4), (SIZES, (120 / SIZES) ** 0.25)
    at = np.array([100.0, 100.001])
    rates = exchange_rate(real, synthetic, at)
    assert np.diff(rates["matched"])[0] / np.diff(at)[0] == pytest.approx(
        rates["rate"][0], rel=1e-3
    )
    assert (120 / rates["matched"][0]) ** 0.25 == pytest.approx((100 / 100) ** 0.4)  # equal losses


@pytest.mark.slow
def test_exchange_rate_interval_covers():
    random, covered, trials = np.random.default_rng(6), 0, 300
    truth = 0.4 / 0.25 * (120 * (200 / 100) ** (0.4 / 0.25)) / 200
    for _ in range(trials):
        real, synthetic = (
            (SIZES, (c / SIZES) ** k * np.exp(random.normal(0, 0.03, 6)))
            for c, k in ((100, 0.4), (120, 0.25))
        )
        row = exchange_rate(real, synthetic, [200.0]).iloc[0]
        covered += row["rate_low"] <= truth <= row["rate_high"]
    assert 0.90 < covered / trials <= 0.99


def test_exchange_rate_of_flat_curve_has_no_upper_bound():
    noisy = np.array([1.0, 0.99, 1.01, 0.98, 1.0, 0.99])
    assert np.isinf(
        exchange_rate((SIZES, (100 / SIZES) ** 0.4), (SIZES, noisy), [200.0])["rate_high"][0]
    )


def test_exchange_rate_of_rising_loss_is_zero_or_infinite():
    falling, rising = (SIZES, (100 / SIZES) ** 0.4), (SIZES, (SIZES / 100) ** 0.4)
    assert np.isinf(exchange_rate(falling, rising, [200.0])["rate"][0])
    assert exchange_rate(rising, falling, [200.0])["rate"][0] == 0
