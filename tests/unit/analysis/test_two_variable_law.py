"""The law of two variables: what a design identifies, repeats, and intervals at a floor of zero."""

import numpy as np
import pytest

from synscale.analysis.laws import LawError, two_variable

N, D = (axis.ravel() for axis in np.meshgrid(1e6 * 4.0 ** np.arange(4), 1e8 * 4.0 ** np.arange(4)))


ZERO = 5  # a seed whose best fit has no floor


def losses(n=N, d=D, floor: float = 1.7, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (floor + 400 / n**0.34 + 2000 / d**0.37) * np.exp(random.normal(0, noise, len(n)))


@pytest.fixture
def few_starts(monkeypatch):
    """Twelve of the 324 starts: the others end at the same optimum."""
    starts = two_variable._starts
    monkeypatch.setattr(two_variable, "_starts", lambda y: starts(y)[::27])


def test_floor_of_zero_has_an_interval_with_width(few_starts):
    y = losses(floor=0.3, noise=0.03, seed=ZERO)
    fitted = two_variable.fit(N, D, y, bootstrap=20)
    assert fitted["floor"] == 0
    low, high = fitted["floor_interval"]
    assert low == 0 and high > 0.3


def test_fit_does_not_depend_on_the_unit_of_the_loss(few_starts):
    y = losses(noise=0.02)
    fitted, small = (two_variable.fit(N, D, y * unit, bootstrap=0) for unit in (1, 1e-9))
    assert small["floor"] == pytest.approx(1e-9 * fitted["floor"], rel=1e-4)
    assert small["a"] == pytest.approx(fitted["a"], rel=1e-4)


def test_repeated_rows_are_one_point(few_starts):
    y = losses(noise=0.02)
    once = two_variable.fit(N, D, y, bootstrap=10)
    repeated = two_variable.fit(*(np.tile(values, 9) for values in (N, D, y)), bootstrap=10)
    assert (repeated["n"], repeated["points"]) == (144, 16)
    for name in ("a", "floor"):
        assert repeated[name] == pytest.approx(once[name], rel=1e-5)
        assert repeated[f"{name}_interval"] == pytest.approx(once[f"{name}_interval"], rel=1e-3)


def test_repeats_average_their_log_losses():
    y = losses(noise=0.02)
    doubled = np.concatenate([y * 1.1, y / 1.1])
    _, _, means = two_variable.points(np.tile(N, 2), np.tile(D, 2), doubled)
    _, _, unrepeated = two_variable.points(N, D, y)
    assert means == pytest.approx(unrepeated)


@pytest.mark.parametrize("jitter", [0.0, 0.01])
def test_collinear_sizes_are_refused(jitter):
    n = np.geomspace(1e6, 1e9, 12)
    d = 20 * n * np.exp(np.random.default_rng(0).normal(0, jitter, 12))
    with pytest.raises(LawError, match="collinear: the squared correlation"):
        two_variable.fit(n, d, losses(n, d), bootstrap=0)


def test_sizes_that_hardly_vary_are_refused():
    with pytest.raises(LawError, match=r"model sizes span a factor of 1.003 only \(expected 2"):
        two_variable.fit(1e6 * np.linspace(1, 1.003, 16), D, losses(), bootstrap=0)


def test_repeats_of_few_pairs_are_refused():
    few = [0, 5, 10, 12]
    rows = (np.repeat(values[few], 5) for values in (N, D, losses()))
    with pytest.raises(LawError, match=r"4 different pairs of sizes \(expected 6 or more\)"):
        two_variable.fit(*rows, bootstrap=0)


def test_almost_collinear_sizes_are_reported(few_starts):
    n = np.geomspace(1e6, 1e9, 12)
    d = 20 * n * np.exp(np.random.default_rng(0).normal(0, 0.4, 12))
    fitted = two_variable.fit(n, d, losses(n, d, noise=0.01), bootstrap=0)
    assert any("almost collinear" in note for note in fitted["warnings"])


def test_objective_value_is_the_sum_of_huber_losses(few_starts):
    y = losses(noise=0.02)
    fitted = two_variable.fit(N, D, y, bootstrap=0)
    curve = fitted["floor"] + fitted["A"] / N ** fitted["a"] + fitted["B"] / D ** fitted["b"]
    error = np.abs(np.log(curve / y))
    delta = two_variable.DELTA
    huber = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)).sum()
    assert fitted["objective_value"] == pytest.approx(huber, rel=1e-6)
