"""Scaling laws: exact where they must be, honest about what they do not know."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import least_squares
from statsmodels.regression.linear_model import OLS

from scripts import fit_laws
from synscale.analysis import laws, metrics
from synscale.analysis.laws import LawError, floor, power, two_variable
from synscale.analysis.laws.exchange import exchange_rate

SIZES = 30 * 2.0 ** np.arange(6)
LONG = 30 * 2.0 ** np.arange(10)


def curve(kind: str, random, noise: float, sizes=LONG) -> np.ndarray:
    """Losses of a known law, k = 0.4 at first: with multiplicative noise."""
    exact = {
        "power": (200 / sizes) ** 0.4,
        "floor": 0.5 + (200 / sizes) ** 0.4,
        "broken": np.exp(
            0.2
            - 0.4 * np.minimum(np.log(sizes) - 5.5, 0)
            - 0.1 * np.maximum(np.log(sizes) - 5.5, 0)
        ),
    }
    return exact[kind] * np.exp(random.normal(0, noise, len(sizes)))


# -- the pure law ----------------------------------------------------------------------------------
@given(st.floats(0.01, 2), st.floats(-3, 10), st.integers(3, 9), st.floats(0.1, 1e6))
def test_a_power_law_without_noise_is_recovered(k, log_scale, points, smallest):
    sizes = smallest * 2.0 ** np.arange(points)
    found = laws.fit("power", sizes, np.exp(k * (log_scale - np.log(sizes))))
    assert found.k == pytest.approx(k, rel=1e-6)
    assert found.log_scale == pytest.approx(log_scale, rel=1e-4, abs=1e-4)
    assert found.loss(sizes) == pytest.approx(np.exp(k * (log_scale - np.log(sizes))))


@given(st.floats(0.1, 10), st.floats(1e-3, 1e6))
def test_the_exponent_does_not_depend_on_the_units(loss_unit, size_unit):
    losses = np.array([1.1, 0.8, 0.75, 0.5, 0.42, 0.4])
    a, b = (
        laws.fit("power", SIZES, losses),
        laws.fit("power", SIZES * size_unit, losses * loss_unit),
    )
    assert b.k == pytest.approx(a.k)
    assert b.k_interval == pytest.approx(a.k_interval)


def test_seeds_are_no_independent_points():
    losses = np.array([1.1, 0.8, 0.75, 0.5, 0.42, 0.4])
    once, often = (
        laws.fit("power", SIZES, losses),
        laws.fit("power", np.repeat(SIZES, 9), np.repeat(losses, 9)),
    )
    assert often.k_interval == pytest.approx(once.k_interval)
    assert often.n == 9 * once.n


def test_a_level_line_has_the_loss_of_its_points():
    level = power.fit(np.array([-1.0, 0.0, 1.0]), np.array([0.0, -1.5, 0.0]))
    assert level["k"] == pytest.approx(0)
    assert power.log_loss(np.array([-3.0, 9.0]), **level["parameters"]) == pytest.approx(-0.5)


@pytest.mark.parametrize("law", ["power", "floor", "broken"])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_law_that_is_fitted_without_its_intervals_is_the_same(law, seed):
    """Held-out errors need no intervals."""
    x, y = np.log(LONG), np.log(curve(law, np.random.default_rng(seed), 0.01))
    assert laws.LAWS[law].curve(x, y) == pytest.approx(laws.LAWS[law].fit(x, y)["parameters"])


# -- coverage of the nominal 95 % intervals --------------------------------------------------------
def test_the_pure_law_covers_with_noise_of_sizes_and_seeds():
    random, covered, trials = np.random.default_rng(0), 0, 600
    sizes = np.repeat(SIZES, 3)
    for _ in range(trials):
        noise = np.repeat(random.normal(0, 0.05, len(SIZES)), 3) + random.normal(
            0, 0.04, len(sizes)
        )
        low, high = laws.fit("power", sizes, np.exp(-0.3 * np.log(sizes) + 2 + noise)).k_interval
        covered += low <= 0.3 <= high
    assert 0.92 < covered / trials < 0.98


@pytest.mark.parametrize(
    ("law", "true_floor", "trials"), [("floor", 0.5, 100), ("broken", None, 500)]
)
def test_richer_laws_cover(law, true_floor, trials):
    random, covered, floors = np.random.default_rng(1), 0, 0
    for _ in range(trials):
        found = laws.fit(law, LONG, curve(law, random, 0.01))
        covered += found.k_interval[0] <= 0.4 <= found.k_interval[1]
        if true_floor:
            floors += (
                found.more["floor_interval"][0] <= true_floor <= found.more["floor_interval"][1]
            )
    spare = (
        2 * (0.05 * 0.95 / trials) ** 0.5
    )  # two standard errors beyond the limits of 0.90 and 0.98
    assert 0.90 - spare < covered / trials < 0.98 + spare
    assert true_floor is None or 0.90 - spare < floors / trials < 0.98 + spare


def test_a_line_through_a_curve_with_a_floor_misses_the_exponent():
    """Why the floor is worth fitting: the pure law's interval does not tell that its form is wrong."""
    random = np.random.default_rng(2)
    losses = curve("floor", random, 0.01)
    assert laws.fit("power", LONG, losses).k_interval[1] < 0.4
    low, high = laws.fit("floor", LONG, losses).k_interval
    assert low < 0.4 < high


def test_no_floor_is_told_as_zero():
    random = np.random.default_rng(3)
    found = laws.fit("floor", LONG, curve("power", random, 0.01))
    assert found.more["floor_interval"][0] == 0


# -- the solver ------------------------------------------------------------------------------------
def scipy_fit(x, y, curve: dict, held: dict) -> float:
    """The least sum of squares that MINPACK finds from a curve, some of its parameters (k,
    log_floor) held.
    """
    free = [name for name in ("k", "log_scale", "log_floor") if name not in held]
    start = {
        "k": np.log(curve["k"]),
        "log_scale": curve["k"] * curve["log_scale"],
        "log_floor": max(curve["log_floor"], -30.0),
    }

    def residuals(theta):
        own = dict(zip(free, theta, strict=True)) | held
        return np.logaddexp(own["log_floor"], own["log_scale"] - np.exp(own["k"]) * x) - y

    with np.errstate(over="ignore", invalid="ignore"):
        return (
            2
            * least_squares(
                residuals,
                [start[name] for name in free],
                method="lm",
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
            ).cost
        )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1.5), st.floats(0.1, 1.2))
def test_the_batch_solver_finds_the_optimum_of_scipy(seed, E, k):
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


def test_every_row_of_a_batch_is_the_fit_of_its_own_curve():
    random = np.random.default_rng(7)
    x, weights = np.log(LONG), random.integers(1, 4, (10, 6)).astype(float)
    y = np.stack([np.log(curve("floor", random, 0.02)) for _ in range(6)], axis=1)
    starts = np.repeat(floor.starts(x, y[:, 0])[:, [7]], 6, 1)
    together, costs = floor.solve(x, y, starts, weights)
    for i in range(6):
        alone, cost = floor.solve(
            np.repeat(x, weights[:, i].astype(int)),
            np.repeat(y[:, i], weights[:, i].astype(int)),
            starts[:, [i]],
        )
        assert together[:, i] == pytest.approx(alone[:, 0], rel=1e-7)
        assert costs[i] == pytest.approx(cost[0])


@pytest.mark.parametrize(("kind", "seed"), [("floor", 0), ("floor", 1), ("power", 0), ("power", 6)])
def test_at_the_ends_of_an_interval_the_fit_is_as_much_worse_as_t_allows(kind, seed):
    """With a floor that is best and with none; the ends are of a grid, so within a hundredth."""
    random = np.random.default_rng(seed)
    x, y = np.log(LONG), np.log(curve(kind, random, 0.02))
    found = floor.fit(x, y)
    assert (found["more"]["floor"] > 0) == (kind == "floor")
    limit = found["residual_sum"] * (1 + stats.t.ppf(0.975, 7) ** 2 / 7)
    nearby = [floor.curve_of(theta, x, y) for theta in floor.starts(x, y).T]

    def least(**held):
        return min(scipy_fit(x, y, own, held) for own in nearby)

    for end, outward in zip(np.log(found["k_interval"]), (-0.01, 0.01), strict=True):
        assert least(k=end - outward) < limit < least(k=end + outward)
    low, high = found["more"]["floor_interval"]
    assert least(log_floor=np.log(high * 0.98)) < limit < least(log_floor=np.log(high * 1.02))
    if low > 0:
        assert least(log_floor=np.log(low * 0.98)) > limit > least(log_floor=np.log(low * 1.02))


def test_from_a_minimum_that_is_told_no_way_leads_down():
    random, x = np.random.default_rng(8), np.log(LONG)
    for kind in ["floor", "power"] * 10:
        y = np.log(curve(kind, random, 0.03))
        for minimum in floor.fit(x, y)["more"]["minima"]:
            k, visible = (
                minimum["k"],
                max(minimum["floor"], 1e-3 * np.exp(y.min())),
            )  # from no floor at all numeric gradients see no way
            own = {
                "k": k,
                "log_floor": np.log(visible),
                "log_scale": x[0] + np.log(np.exp(y[0]) - visible) / k,
            }
            assert scipy_fit(x, y, own, {}) > minimum["residual_sum"] * (1 - 1e-6)


def test_bootstraps_of_the_pure_law_are_weighted_lines():
    random = np.random.default_rng(0)
    x, y = np.log(LONG), np.log(curve("power", random, 0.05))
    weights = random.multinomial(10, np.full(10, 0.1), size=20).astype(float)
    for own, k in zip(weights, power.bootstrap(x, y, weights), strict=True):
        assert k == pytest.approx(-np.polyfit(x, y, 1, w=np.sqrt(own))[0])


def test_bootstraps_of_the_law_with_a_floor_are_weighted_fits():
    random = np.random.default_rng(0)
    x, y = np.log(LONG), np.log(curve("floor", random, 0.01))
    whole = laws.fit("floor", LONG, np.exp(y)).k
    assert floor.bootstrap(x, y, np.ones((1, 10)))[0] == pytest.approx(whole, rel=1e-5)
    doubled = np.ones((1, 10))
    doubled[0, 3] = 2
    copy = floor.bootstrap(np.append(x, x[3]), np.append(y, y[3]), np.ones((1, 11)))
    assert floor.bootstrap(x, y, doubled)[0] == pytest.approx(copy[0], rel=1e-5)


# -- choosing and comparing ------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["power", "floor", "broken"])
def test_the_law_that_made_the_data_is_chosen(kind):
    random = np.random.default_rng(4)
    chosen = [laws.choose(LONG, curve(kind, random, 0.01)).fit.law for _ in range(12)]
    assert chosen.count(kind) >= 9


def test_with_few_sizes_the_pure_law_stands_and_says_why():
    choice = laws.choose(SIZES[:3], [1.0, 0.7, 0.6])
    assert choice.fit.law == "power"
    assert "too few" in choice.reason


def test_equal_exponents_are_told_apart_from_different_ones():
    random = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        a, b = ((SIZES, (200 / SIZES) ** 0.3 * np.exp(random.normal(0, 0.03, 6))) for _ in range(2))
        low, high = laws.compare(a, b)["difference_interval"]
        wrong += not low <= 0 <= high
    assert wrong / 200 < 0.1
    far = laws.compare(
        (SIZES, (200 / SIZES) ** 0.3),
        (SIZES, (200 / SIZES) ** 0.5 * np.exp(random.normal(0, 0.01, 6))),
    )
    assert far["difference"] == pytest.approx(0.2, abs=0.03)
    assert far["difference_interval"][0] > 0


def test_exponents_are_compared_by_a_regression_with_an_interaction():
    random = np.random.default_rng(9)
    first, second = (
        (sizes, (200 / sizes) ** 0.3 * np.exp(random.normal(0, 0.03, len(sizes))))
        for sizes in (SIZES, LONG)
    )
    x, group = np.log(np.concatenate([SIZES, LONG])), np.repeat([0.0, 1.0], [6, 10])
    theirs = OLS(
        np.log(np.concatenate([first[1], second[1]])),
        np.stack([np.ones_like(x), group, x, group * x], axis=1),
    ).fit()
    found = laws.compare(first, second)
    assert found["difference"] == pytest.approx(-theirs.params[3])
    assert found["difference_interval"] == pytest.approx(-theirs.conf_int(0.05)[3][::-1])
    assert found["p"] == pytest.approx(theirs.pvalues[3])
    assert (found["k"][1] - found["k"][0], found["n"]) == (pytest.approx(found["difference"]), 16)


# -- the exchange rate -----------------------------------------------------------------------------
def test_with_equal_laws_a_synthetic_image_is_worth_a_real_one():
    losses = (200 / SIZES) ** 0.3
    rates = exchange_rate((SIZES, losses), (SIZES, losses), SIZES[1:4])
    assert rates["rate"].to_numpy() == pytest.approx(1)
    assert rates["matched"].to_numpy() == pytest.approx(SIZES[1:4])
    assert rates["inside"].all()


def test_the_rate_is_the_slope_of_the_matching_number():
    real, synthetic = (SIZES, (100 / SIZES) ** 0.4), (SIZES, (120 / SIZES) ** 0.25)
    at = np.array([100.0, 100.001])
    rates = exchange_rate(real, synthetic, at)
    assert np.diff(rates["matched"])[0] / np.diff(at)[0] == pytest.approx(
        rates["rate"][0], rel=1e-3
    )
    assert (120 / rates["matched"][0]) ** 0.25 == pytest.approx((100 / 100) ** 0.4)  # equal losses


@pytest.mark.slow
def test_the_interval_of_the_rate_covers():
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


def test_a_synthetic_curve_that_may_not_fall_has_no_upper_bound():
    noisy = np.array([1.0, 0.99, 1.01, 0.98, 1.0, 0.99])
    assert np.isinf(
        exchange_rate((SIZES, (100 / SIZES) ** 0.4), (SIZES, noisy), [200.0])["rate_high"][0]
    )


def test_where_a_loss_does_not_fall_the_rate_is_nought_or_without_bound():
    falling, rising = (SIZES, (100 / SIZES) ** 0.4), (SIZES, (SIZES / 100) ** 0.4)
    assert np.isinf(exchange_rate(falling, rising, [200.0])["rate"][0])
    assert exchange_rate(rising, falling, [200.0])["rate"][0] == 0


# -- two variables ---------------------------------------------------------------------------------
def two_variable_data(noise: float = 0.0):
    n, d = (
        axis.ravel() for axis in np.meshgrid(1e6 * 4.0 ** np.arange(6), 1e8 * 4.0 ** np.arange(6))
    )
    random = np.random.default_rng(0)
    return n, d, (1.7 + 400 / n**0.34 + 2000 / d**0.37) * np.exp(random.normal(0, noise, len(n)))


def test_a_law_of_two_variables_is_recovered():
    found = two_variable.fit(*two_variable_data(), bootstrap=0)
    for name, value in {"floor": 1.7, "a": 0.34, "b": 0.37, "A": 400, "B": 2000}.items():
        assert found[name] == pytest.approx(value, rel=2e-2), name


def test_the_gradient_is_that_of_the_objective():
    n, d, y = (np.log(v) for v in two_variable_data(0.01))
    theta = np.array([5.0, 6.0, 0.3, 0.3, 0.4])
    _, gradient = two_variable.objective(theta, n, d, y)
    for i in range(5):
        step = np.eye(5)[i] * 1e-6
        numeric = (
            two_variable.objective(theta + step, n, d, y)[0]
            - two_variable.objective(theta - step, n, d, y)[0]
        ) / 2e-6
        assert gradient[i] == pytest.approx(numeric, rel=1e-4)


# -- what cannot be fitted -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sizes", "losses", "told"),
    [
        ([10, 20], [1, 0.5], "2 different sizes: a law needs 3 at least"),
        ([10, 20, 20, 10], [1, 0.5, 0.4, 1], "2 different sizes"),
        ([10, 20, 40], [1, 0.5, 0], "positive"),
        ([10, 20, 0], [1, 0.5, 0.2], "positive"),
        ([10, 20, 40], [1, np.nan, 0.3], "finite"),
        ([10, 20, 40], [1, 1, 1], "the same at every size"),
        ([10, 20, 40], [1, 1], "one loss for each size"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, losses, told):
    with pytest.raises(LawError, match=told):
        laws.fit("power", sizes, losses)


def test_a_richer_law_needs_more_sizes():
    with pytest.raises(LawError, match="law 'floor' needs 4"):
        laws.fit("floor", [10, 20, 40], [1, 0.7, 0.6])


def test_a_missing_run_is_no_silent_gap():
    runs = pd.DataFrame(
        {
            "source": "real",
            "guidance": pd.array([None] * 4, "Float64"),
            "architecture": "a",
            "size": [10, 20, 40, 80],
            "seed": 0,
        }
    )
    table = runs.assign(cross_entropy=[1, 0.8, 0.6, 0.5])
    experiment = {
        "curves": [["real", None]],
        "architectures": ["a"],
        "sizes": [10, 20, 40, 80],
        "seeds": [0],
    }
    assert fit_laws.fit(metrics.of_experiments(table, [experiment, experiment]), (10, 40))[0][
        "sizes"
    ] == [10, 20, 40]
    with pytest.raises(ValueError, match=r"1 runs have no metrics, the first: .*'size': 40"):
        metrics.of_experiments(table[table["size"] != 40], [experiment])
