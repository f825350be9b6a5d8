"""The cheapest mixture, against laws that can be solved by hand."""

import numpy as np
import pytest

from synscale.analysis import mixture_prices
from synscale.analysis.laws import joint
from synscale.analysis.laws.joint_forms import FORMS
from synscale.analysis.laws.joint_points import points
from tests.support import joint_runs


@pytest.fixture(scope="module")
def fitted():
    """The fit of losses whose synthetic images are worth a fifth of a real one."""
    return joint.fit(FORMS["constant weight"], points(**joint_runs.simulate(joint_runs.constant)))


def loss_of(number: float) -> np.ndarray:
    """Return the loss of an effective number of images."""
    return np.array([0.2 + 8 * number**-0.5])


def cheapest(fitted, prices, number: float):
    drawn = fitted.theta[None]
    return mixture_prices.cheapest(fitted, drawn, prices, loss_of(number)).iloc[0]


def test_expensive_synthetic_images_are_not_used(fitted):
    row = cheapest(fitted, (1.0, 0.3), 200)
    assert row["real_images"] == pytest.approx(200, rel=0.01)
    assert row["synthetic_images"] == pytest.approx(0, abs=1)
    assert row["cost"] == pytest.approx(row["real_only"])


def test_cheap_synthetic_images_replace_all_real_ones(fitted):
    row = cheapest(fitted, (1.0, 0.1), 200)
    assert row["synthetic_images"] == pytest.approx(1000, rel=0.01)
    assert row["cost"] == pytest.approx(100, rel=0.01)
    assert row["real_only"] == pytest.approx(200, rel=0.01)


def test_mixture_is_needed_where_no_kind_suffices(fitted):
    """At most 480 real and 3,840 synthetic images, which are worth 768, were trained on."""
    row = cheapest(fitted, (1.0, 0.1), 1000)
    assert row["real_only"] == row["synthetic_only"] == np.inf
    assert row["synthetic_images"] == pytest.approx(3840, rel=0.01)
    assert row["real_images"] == pytest.approx(232, rel=0.02)


def test_loss_that_no_mixture_reaches_has_no_cost(fitted):
    row = cheapest(fitted, (1.0, 0.1), 1e5)
    assert row["cost"] == row["cost_low"] == np.inf


def test_free_synthetic_images_cost_nothing(fitted):
    row = cheapest(fitted, (1.0, 0.0), 200)
    assert row["cost"] == row["synthetic_only"] == 0


def test_interval_of_the_cost_contains_it():
    rows = joint_runs.simulate(joint_runs.constant, noise=0.02)
    noisy = joint.fit(FORMS["constant weight"], points(**rows))
    row = mixture_prices.cheapest(noisy, joint.draws(noisy, 60), (1.0, 0.1), loss_of(200)).iloc[0]
    assert row["cost_low"] < row["cost"] < row["cost_high"] < 2 * row["cost_low"]
