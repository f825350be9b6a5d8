"""Scaling laws: exact if the data are, and with intervals that cover."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from scripts import fit_laws
from synscale.analysis import laws, metrics
from synscale.analysis.laws import LawError, power, two_variable
from synscale.workflow.settings.laws import ExperimentSettings
from tests.support.law_curves import LONG, SIZES, curve


# -- the pure law ----------------------------------------------------------------------------------
@given(st.floats(0.01, 2), st.floats(-3, 10), st.integers(3, 9), st.floats(0.1, 1e6))
def test_power_law_without_noise_is_recovered(k, log_scale, points, smallest):
    sizes = smallest * 2.0 ** np.arange(points)
    fitted = laws.fit("power", sizes, np.exp(k * (log_scale - np.log(sizes))))
    assert fitted.k == pytest.approx(k, rel=1e-6)
    assert fitted.log_scale == pytest.approx(log_scale, rel=1e-4, abs=1e-4)
    assert fitted.loss(sizes) == pytest.approx(np.exp(k * (log_scale - np.log(sizes))))


@given(st.floats(0.1, 10), st.floats(1e-3, 1e6))
def test_exponent_does_not_depend_on_units(loss_unit, size_unit):
    losses = np.array([1.1, 0.8, 0.75, 0.5, 0.42, 0.4])
    a, b = (
        laws.fit("power", SIZES, losses),
        laws.fit("power", SIZES * size_unit, losses * loss_unit),
    )
    assert b.k == pytest.approx(a.k)
    assert b.k_interval == pytest.approx(a.k_interval)


def test_seeds_of_a_size_are_one_point():
    losses = np.array([1.1, 0.8, 0.75, 0.5, 0.42, 0.4])
    once, often = (
        laws.fit("power", SIZES, losses),
        laws.fit("power", np.repeat(SIZES, 9), np.repeat(losses, 9)),
    )
    assert often.k_interval == pytest.approx(once.k_interval)
    assert often.n == 9 * once.n


def test_level_line_has_the_loss_of_its_points():
    level = power.fit(np.array([-1.0, 0.0, 1.0]), np.array([0.0, -1.5, 0.0]))
    assert level["k"] == pytest.approx(0)
    assert power.log_loss(np.array([-3.0, 9.0]), **level["parameters"]) == pytest.approx(-0.5)


@pytest.mark.parametrize("law", ["power", "floor", "broken"])
@given(seed=st.integers(0, 2**32 - 1))
def test_curve_agrees_with_fit(law, seed):
    """Held-out errors need no intervals."""
    x, y = np.log(LONG), np.log(curve(law, np.random.default_rng(seed), 0.01))
    assert laws.LAWS[law].curve(x, y) == pytest.approx(laws.LAWS[law].fit(x, y)["parameters"])


# -- coverage of the nominal 95 % intervals --------------------------------------------------------
def test_pure_law_covers_with_noise_of_sizes_and_seeds():
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
        fitted = laws.fit(law, LONG, curve(law, random, 0.01))
        covered += fitted.k_interval[0] <= 0.4 <= fitted.k_interval[1]
        if true_floor:
            floors += (
                fitted.more["floor_interval"][0] <= true_floor <= fitted.more["floor_interval"][1]
            )
    spare = (
        2 * (0.05 * 0.95 / trials) ** 0.5
    )  # two standard errors beyond the limits of 0.90 and 0.98
    assert 0.90 - spare < covered / trials < 0.98 + spare
    assert true_floor is None or 0.90 - spare < floors / trials < 0.98 + spare


def test_line_through_curve_with_floor_misses_exponent():
    """Why the floor is fitted: the pure law's interval does not contain its own error."""
    random = np.random.default_rng(2)
    losses = curve("floor", random, 0.01)
    assert laws.fit("power", LONG, losses).k_interval[1] < 0.4
    low, high = laws.fit("floor", LONG, losses).k_interval
    assert low < 0.4 < high


def test_missing_floor_is_zero():
    random = np.random.default_rng(3)
    fitted = laws.fit("floor", LONG, curve("power", random, 0.01))
    assert fitted.more["floor_interval"][0] == 0


# -- choosing and comparing ------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["power", "floor", "broken"])
def test_choose_finds_the_law_of_the_data(kind):
    random = np.random.default_rng(4)
    laws_of_choice = [laws.choose(LONG, curve(kind, random, 0.01)).fit.law for _ in range(12)]
    assert laws_of_choice.count(kind) >= 9


def test_choose_takes_pure_law_for_few_sizes():
    choice = laws.choose(SIZES[:3], [1.0, 0.7, 0.6])
    assert choice.fit.law == "power"
    assert "too few" in choice.reason


def test_compare_covers_equal_and_different_exponents():
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


def test_compare_is_regression_with_interaction():
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
    comparison = laws.compare(first, second)
    assert comparison["difference"] == pytest.approx(-theirs.params[3])
    assert comparison["difference_interval"] == pytest.approx(-theirs.conf_int(0.05)[3][::-1])
    assert comparison["p"] == pytest.approx(theirs.pvalues[3])
    assert (comparison["k"][1] - comparison["k"][0], comparison["n"]) == (
        pytest.approx(comparison["difference"]),
        16,
    )


# -- two variables ---------------------------------------------------------------------------------
def two_variable_data(noise: float = 0.0):
    n, d = (
        axis.ravel() for axis in np.meshgrid(1e6 * 4.0 ** np.arange(6), 1e8 * 4.0 ** np.arange(6))
    )
    random = np.random.default_rng(0)
    return n, d, (1.7 + 400 / n**0.34 + 2000 / d**0.37) * np.exp(random.normal(0, noise, len(n)))


def test_law_of_two_variables_is_recovered():
    fitted = two_variable.fit(*two_variable_data(), bootstrap=0)
    for name, value in {"floor": 1.7, "a": 0.34, "b": 0.37, "A": 400, "B": 2000}.items():
        assert fitted[name] == pytest.approx(value, rel=2e-2), name


def test_gradient_is_that_of_the_objective():
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
    ("sizes", "losses", "message"),
    [
        ([10, 20], [1, 0.5], r"2 different sizes \(expected 3 or more\)"),
        ([10, 20, 20, 10], [1, 0.5, 0.4, 1], "2 different sizes"),
        ([10, 20, 40], [1, 0.5, 0], "positive"),
        ([10, 20, 0], [1, 0.5, 0.2], "positive"),
        ([10, 20, 40], [1, np.nan, 0.3], "finite"),
        ([10, 20, 40], [1, 1, 1], "the same at every size"),
        ([10, 20, 40], [1, 1], "one loss for each size"),
    ],
)
def test_fit_refuses_data_without_a_law(sizes, losses, message):
    with pytest.raises(LawError, match=message):
        laws.fit("power", sizes, losses)


def test_richer_law_needs_more_sizes():
    with pytest.raises(LawError, match=r"expected 4 or more for law 'floor'"):
        laws.fit("floor", [10, 20, 40], [1, 0.7, 0.6])


def test_metrics_of_experiments_refuse_a_missing_run():
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
    experiment = ExperimentSettings([("real", None)], ["a"], [10, 20, 40, 80], [0])
    [entry] = fit_laws.fit(metrics.of_experiments(table, [experiment, experiment]), (10, 40))
    assert entry["sizes"] == [10, 20, 40]
    with pytest.raises(ValueError, match=r"1 runs have no metrics, the first: .*'size': 40"):
        metrics.of_experiments(table[table["size"] != 40], [experiment])
