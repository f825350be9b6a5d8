"""The joint law of both kinds of images: known laws are found, and unknown parts are reported."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synscale.analysis.laws import LawError, batched, joint
from synscale.analysis.laws.joint_forms import FORMS
from synscale.analysis.laws.joint_points import points
from tests.support import joint_runs

GRID = np.array([0.0, 40.0, 40.0, 200.0]), np.array([50.0, 0.0, 50.0, 700.0])


def data_of(law, noise: float = 0.0, seed: int = 0):
    return points(**joint_runs.simulate(law, noise, seed))


def parameter(fitted, name: str):
    table = joint.parameters(fitted).set_index("parameter")
    return table.loc[name]


# -- derivatives -----------------------------------------------------------------------------------
@given(st.sampled_from(sorted(FORMS)), st.integers(0, 10**6))
@settings(max_examples=20)
def test_derivatives_by_parameters_are_those_of_the_loss(name, seed):
    form = FORMS[name]
    theta = np.random.default_rng(seed).normal(0, 0.5, (1, len(form.parameters)))
    n, m = (values / 100 for values in GRID)
    _, jacobian = form.values(theta, n, m)
    for place in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[0, place] = 1e-6
        high, low = (form.values(theta + side * step, n, m)[0] for side in (1, -1))
        assert jacobian[..., place] == pytest.approx((high - low) / 2e-6, rel=1e-4, abs=1e-7)


@given(st.sampled_from(sorted(FORMS)), st.integers(0, 10**6))
@settings(max_examples=20)
def test_marginal_value_is_the_ratio_of_falls_of_the_loss(name, seed):
    data = data_of(joint_runs.constant)
    theta = np.random.default_rng(seed).normal(0, 0.3, len(FORMS[name].parameters))
    fitted = joint.JointFit(FORMS[name], theta, 0.0, data, 0.0)
    n, m = GRID[0][2:], GRID[1][2:]
    fall_real = fitted.log_loss(n + 1e-3, m) - fitted.log_loss(n - 1e-3, m)
    fall_synthetic = fitted.log_loss(n, m + 1e-3) - fitted.log_loss(n, m - 1e-3)
    expected = np.where(fall_real < 0, fall_synthetic / fall_real, np.nan)
    values = fitted.marginal_value(n, m)
    assert values == pytest.approx(expected, rel=1e-3, abs=1e-6, nan_ok=True)


# -- known laws ------------------------------------------------------------------------------------
@given(st.floats(0.02, 0.9), st.floats(0.3, 0.9), st.floats(0.05, 0.4))
@settings(max_examples=10, deadline=None)
def test_exact_losses_return_the_parameters(w, alpha, floor):
    data = data_of(lambda n, m: floor + 8 * (n + w * m) ** -alpha)
    fitted = joint.fit(FORMS["constant weight"], data)
    values = fitted.form.natural(fitted.theta, data.y)
    assert values[[0, 2, 3]] == pytest.approx([floor, alpha, w], rel=1e-3)
    assert fitted.held_out < 1e-5


def test_exact_risk_returns_the_parameters():
    fitted = joint.fit(FORMS["weighted risk"], data_of(joint_runs.risk))
    floor, bias, beta, *_ = fitted.form.natural(fitted.theta, fitted.points.y)
    assert (floor, bias, beta) == pytest.approx((0.1, 0.5, 0.5), rel=1e-3)


@pytest.mark.parametrize(
    ("law", "name"), [(joint_runs.constant, "constant weight"), (joint_runs.risk, "weighted risk")]
)
def test_form_of_the_simulated_law_is_chosen(law, name):
    best, fits, possible = joint.choose(data_of(law, noise=0.01))
    assert best.form.name == name
    assert name in possible and set(fits) == set(FORMS)


def test_profile_intervals_and_draws_cover_the_truth():
    data = data_of(joint_runs.constant, noise=0.03, seed=1)
    fitted = joint.fit(FORMS["constant weight"], data)
    row = parameter(fitted, "w")
    assert row["low"] < 0.2 < row["high"] < 0.4 and row["identified"]
    drawn = fitted.marginal_value([100.0], [500.0], joint.draws(fitted, 100))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert low < 0.2 < high
    assert low == pytest.approx(row["low"], rel=0.2) and high == pytest.approx(row["high"], rel=0.2)


def test_draws_do_not_depend_on_the_seed_of_another_call():
    fitted = joint.fit(FORMS["constant weight"], data_of(joint_runs.constant, noise=0.03))
    assert np.array_equal(joint.draws(fitted, 5), joint.draws(fitted, 5))


# -- what the data do not say ----------------------------------------------------------------------
def test_flat_losses_identify_neither_exponent_nor_weight():
    rows = joint_runs.simulate(lambda n, m: np.ones_like(n), noise=0.05)
    fitted = joint.fit(FORMS["constant weight"], points(**rows))
    assert not parameter(fitted, "alpha")["identified"]
    assert not parameter(fitted, "w")["identified"]


def test_floor_of_zero_is_identified_by_its_upper_end():
    data = data_of(lambda n, m: 8 * (n + 0.2 * m) ** -0.5, noise=0.02)
    row = parameter(joint.fit(FORMS["constant weight"], data), "E")
    assert row["low"] == 0 and 0 < row["high"] < 0.5 and row["identified"]


def test_mixtures_are_predicted_without_their_curve():
    rows = joint_runs.simulate(joint_runs.constant)
    is_curve = rows["curves"] == "real_120"
    rows.loc[is_curve, "losses"] *= 1.5
    table = joint.held_out(FORMS["constant weight"], points(**rows))
    of_curve = table[table["curve"] == "real_120"]
    assert (of_curve["loss"] / of_curve["without_curve"]).to_numpy() == pytest.approx(1.5, rel=1e-3)
    assert table["largest"].notna().sum() == len(joint_runs.MIXED)


def test_seeds_of_a_pair_average_their_log_losses():
    rows = joint_runs.simulate(joint_runs.constant)
    once = points(**rows)
    twice = points(**{name: np.tile(values, 2) for name, values in rows.items()})
    assert np.array_equal(once.y, twice.y)


# -- bad input -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda rows: rows[:6], "6 different pairs of numbers of images .expected 7 or more"),
        (lambda rows: rows[rows["synthetic"] > 0], "fewer than two numbers of real images only"),
        (lambda rows: rows[rows["real"] > 0], "fewer than two numbers of synthetic images only"),
        (lambda rows: rows[:13], "no run is trained on a mixture"),
        (lambda rows: rows.assign(losses=0.0), "losses must be positive, finite numbers"),
        (lambda rows: rows.assign(real=-1.0), "numbers of images must be finite, 0 or more"),
    ],
)
def test_data_without_a_joint_law_are_refused(keep, message):
    with pytest.raises(LawError, match=message):
        points(**keep(joint_runs.simulate(joint_runs.constant)))


# -- least squares ---------------------------------------------------------------------------------
def test_batched_solver_respects_bounds_and_fixed_parameters():
    x = np.linspace(0, 1, 9)

    def line(theta):
        design = np.stack([np.ones_like(x), x], axis=-1)
        return theta @ design.T, np.broadcast_to(design, (len(theta), *design.shape))

    y, start = 2 + 3 * x, np.zeros((2, 2))
    free, costs = batched.solve(line, y, start, np.full(2, -9.0), np.full(2, 9.0))
    assert free == pytest.approx(np.tile([2, 3], (2, 1))) and costs == pytest.approx([0, 0])
    bounded, _ = batched.solve(line, y, start, np.full(2, -9.0), np.array([9.0, 1.0]))
    assert bounded[0] == pytest.approx([3, 1])
    fixed, _ = batched.solve(line, y, start, np.full(2, -9.0), np.full(2, 9.0), fixed=0)
    assert fixed[:, 0].tolist() == [0, 0]
