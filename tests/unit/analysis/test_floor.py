"""The solver of the law with a floor, and its profile intervals and bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import least_squares

from synscale.analysis import laws
from synscale.analysis.laws import floor, power
from tests.support.law_curves import LONG, curve


# -- the solver ------------------------------------------------------------------------------------
def scipy_fit(x, y, curve: dict, fixed: dict) -> float:
    """Return the least sum of squares that MINPACK finds from a curve.

    fixed: values of k or log_floor that are not fitted.
    """
    free = [name for name in ("k", "log_scale", "log_floor") if name not in fixed]
    start = {
        "k": np.log(curve["k"]),
        "log_scale": curve["k"] * curve["log_scale"],
        "log_floor": max(curve["log_floor"], -30.0),
    }

    def residuals(theta):
        parameters = dict(zip(free, theta, strict=True)) | fixed
        return (
            np.logaddexp(
                parameters["log_floor"], parameters["log_scale"] - np.exp(parameters["k"]) * x
            )
            - y
        )

    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    with np.errstate(over="ignore", invalid="ignore"):
        result = least_squares(residuals, [start[name] for name in free], method="lm", **tight)
    return 2 * result.cost


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1.5), st.floats(0.1, 1.2))
def test_solve_finds_the_optimum_of_scipy(seed, E, k):
    random = np.random.default_rng(seed)
    x = np.log(LONG) - np.log(LONG).mean()
    y = np.log(E + np.exp(-k * x)) + random.normal(0, 0.02, len(x))
    starts = floor.starts(x, y)
    _, costs = floor.solve(x, y, starts)
    assert (
        costs.min()
        <= min(scipy_fit(x, y, floor.curve_of(start, x, y), {}) for start in starts.T) * (1 + 1e-6)
        + 1e-12
    )


def test_solve_fits_each_curve_of_a_batch():
    random = np.random.default_rng(7)
    x, weights = np.log(LONG), random.integers(1, 4, (10, 6)).astype(float)
    y = np.stack([np.log(curve("floor", random, 0.02)) for _ in range(6)], axis=1)
    starts = np.repeat(floor.starts(x, y[:, 0])[:, [7]], 6, 1)
    together, costs = floor.solve(x, y, starts, weights)
    for i in range(6):
        single, cost = floor.solve(
            np.repeat(x, weights[:, i].astype(int)),
            np.repeat(y[:, i], weights[:, i].astype(int)),
            starts[:, [i]],
        )
        assert together[:, i] == pytest.approx(single[:, 0], rel=1e-7)
        assert costs[i] == pytest.approx(cost[0])


@pytest.mark.parametrize(("kind", "seed"), [("floor", 0), ("floor", 1), ("power", 0), ("power", 6)])
def test_interval_ends_are_at_the_limit_of_the_profile(kind, seed):
    """With a floor that is best and with none; the ends are of a grid, so within a hundredth."""
    random = np.random.default_rng(seed)
    x, y = np.log(LONG), np.log(curve(kind, random, 0.02))
    fitted = floor.fit(x, y)
    assert (fitted["more"]["floor"] > 0) == (kind == "floor")
    limit = fitted["residual_sum"] * (1 + stats.t.ppf(0.975, 7) ** 2 / 7)
    nearby = [floor.curve_of(theta, x, y) for theta in floor.starts(x, y).T]

    def least(**fixed):
        return min(scipy_fit(x, y, start, fixed) for start in nearby)

    for end, outward in zip(np.log(fitted["k_interval"]), (-0.01, 0.01), strict=True):
        assert least(k=end - outward) < limit < least(k=end + outward)
    low, high = fitted["more"]["floor_interval"]
    assert least(log_floor=np.log(high * 0.98)) < limit < least(log_floor=np.log(high * 1.02))
    if low > 0:
        assert least(log_floor=np.log(low * 0.98)) > limit > least(log_floor=np.log(low * 1.02))


def test_reported_minima_are_minima():
    random, x = np.random.default_rng(8), np.log(LONG)
    for kind in ["floor", "power"] * 10:
        y = np.log(curve(kind, random, 0.03))
        for minimum in floor.fit(x, y)["more"]["minima"]:
            k, visible = (
                minimum["k"],
                max(minimum["floor"], 1e-3 * np.exp(y.min())),
            )  # from no floor at all numeric gradients see no way
            neighbour = {
                "k": k,
                "log_floor": np.log(visible),
                "log_scale": x[0] + np.log(np.exp(y[0]) - visible) / k,
            }
            assert scipy_fit(x, y, neighbour, {}) > minimum["residual_sum"] * (1 - 1e-6)


def test_power_bootstrap_fits_weighted_lines():
    random = np.random.default_rng(0)
    x, y = np.log(LONG), np.log(curve("power", random, 0.05))
    weights = random.multinomial(10, np.full(10, 0.1), size=20).astype(float)
    for counts, k in zip(weights, power.bootstrap(x, y, weights), strict=True):
        assert k == pytest.approx(-np.polyfit(x, y, 1, w=np.sqrt(counts))[0])


def test_floor_bootstrap_fits_weighted_points():
    random = np.random.default_rng(0)
    x, y = np.log(LONG), np.log(curve("floor", random, 0.01))
    whole = laws.fit("floor", LONG, np.exp(y)).k
    assert floor.bootstrap(x, y, np.ones((1, 10)))[0] == pytest.approx(whole, rel=1e-5)
    doubled = np.ones((1, 10))
    doubled[0, 3] = 2
    copy = floor.bootstrap(np.append(x, x[3]), np.append(y, y[3]), np.ones((1, 11)))
    assert floor.bootstrap(x, y, doubled)[0] == pytest.approx(copy[0], rel=1e-5)
