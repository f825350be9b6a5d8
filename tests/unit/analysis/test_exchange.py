"""The exchange rate of richer laws, and the stability of its interval."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scripts import plot_exchange_rate
from synscale.analysis.laws.exchange import exchange_rate

SIZES = 30 * 2.0 ** np.arange(8)
REAL = SIZES[:5]
LAWS = {
    "floor": lambda x: np.log(0.3 + (60 / np.exp(x)) ** 0.5),
    "broken": lambda x: np.where(x < np.log(300), -0.6, -0.2) * (x - np.log(300)),
}


def scattered(losses: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    return losses * np.exp(np.random.default_rng(seed).normal(0, noise, len(losses)))


@pytest.mark.parametrize("law", LAWS)
def test_rate_follows_the_law_of_the_synthetic_curve(law):
    synthetic = np.exp(LAWS[law](np.log(SIZES)))
    real = (SIZES, scattered(0.9 * (60 / SIZES) ** 0.3, 1e-4))
    rates = exchange_rate(real, (SIZES, scattered(synthetic, 1e-4)), [100.0, 100.1, 400.0])
    assert set(rates["synthetic_law"]) == {law}
    assert set(rates["real_law"]) == {"power"}
    matched = rates["matched"].to_numpy()
    equal = np.log(0.9) + 0.3 * np.log(60 / rates["real_images"].to_numpy())
    assert LAWS[law](np.log(matched)) == pytest.approx(equal, abs=2e-3)
    assert (matched[1] - matched[0]) / 0.1 == pytest.approx(rates["rate"][0], rel=2e-3)
    assert (rates["rate_low"] <= rates["rate"]).all()
    assert (rates["rate_high"] >= rates["rate"]).all()


def test_loss_below_the_floor_has_no_match():
    real, synthetic = (60 / SIZES) ** 0.5, np.exp(LAWS["floor"](np.log(SIZES)))
    rates = exchange_rate(
        (SIZES, scattered(real, 1e-3)), (SIZES, scattered(synthetic, 1e-3)), [60.0, 3000.0]
    )
    assert rates["matched"].tolist() == [pytest.approx(100, rel=1), np.inf]
    assert rates["rate"][1] == np.inf
    assert not rates["inside"][1]


@pytest.mark.parametrize(("law", "noise"), [("power", 0.02), ("power", 0.05), ("floor", 0.01)])
def test_ends_of_the_interval_are_stable(law, noise):
    """Whatever the seed of the draws, within 5 %."""
    exact = np.exp(LAWS[law](np.log(SIZES))) if law == "floor" else (60 / SIZES) ** 0.3
    synthetic = (SIZES, scattered(exact, noise, seed=1))
    real = (REAL, scattered(1.2 * (60 / REAL) ** 0.4, noise, seed=2))
    tables = [exchange_rate(real, synthetic, [30.0, 120.0, 480.0], seed=seed) for seed in range(4)]
    for end in ("rate_low", "rate_high"):
        ends = np.array([rates[end] for rates in tables])
        finite = np.isfinite(ends).all(0)
        assert finite[0]
        assert (ends.max(0) / ends.min(0))[finite].max() < 1.05


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ([1.0, 5.0, np.inf, np.inf], "no match"),
        ([np.inf] * 4, "none: no loss matches, or one does not fall"),
    ],
)
def test_figure_marks_where_no_number_matches(rates, text):
    _, axes = plt.subplots()
    low, high = 0.5 * np.array(rates), np.full(4, np.inf)
    table = pd.DataFrame(
        {
            "real_images": [30.0, 60, 120, 240],
            "rate": rates,
            "rate_low": low,
            "rate_high": high,
            "inside": True,
        }
    )
    plot_exchange_rate.draw(axes, table, {"color": "black", "marker": "o"}, "synthetic")
    assert text in [label.get_text() for label in axes.texts]
    drawn = (
        np.concatenate([line.get_ydata() for line in axes.lines[1:]])
        if len(axes.lines) > 1
        else np.zeros(0)
    )
    assert np.isfinite(np.asarray(drawn, float)).all()
    plt.close()


@pytest.mark.parametrize(
    ("rate", "text"), [(0.541, "0.54"), (66.1, "66"), (3810.0, "3,800"), (284_000.0, "280k")]
)
def test_rates_are_written_without_powers_of_ten(rate, text):
    assert plot_exchange_rate.rate_text(rate) == text
