"""Title of figure `repetition`: R*, why it is not identified, and whether the law fits."""

import numpy as np
import pandas as pd
import pytest

from scripts.plot_repetition import r_star_text


@pytest.mark.parametrize(
    ("low", "high", "p", "text"),
    [
        (23, 74, 0.5, "R* = 40 [23, 74]"),
        (23, 74, np.nan, "R* = 40 [23, 74]"),
        (23, 74, 0.002, "R* = 40 [23, 74]\nthe law does not fit (p = 0.002)"),
        (23, np.inf, 0.5, "R* is not identified: not bounded from above"),
        (0, np.inf, 0.5, "R* is not identified: not bounded from below or above"),
    ],
)
def test_title_states_interval_identification_and_fit(low, high, p, text):
    row = {"parameter": "r_star", "value": 40, "low": low, "high": high, "lack_of_fit_p": p}
    row["identified"] = low > 0 and np.isfinite(high)
    assert r_star_text(pd.DataFrame([row])) == text
