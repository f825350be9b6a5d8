"""Statistics behind the claims of the paper: effects with 95 % intervals, tests and their
adjustment. The tests are our choice.

A curve is (sizes, losses), as in `laws`: one point a size, seeds averaged. Intervals see how far
sizes lie from a law, or how seeds differ; they do not see that all curves share an evaluation set
and the generators that the study has.

Each claim has two tests: one whose rejection supports the hypothesis, one whose rejection supports
its opposite. Holm's method adjusts the p values of all of them together, so that with a probability
of 95 % no verdict of a table is wrong, whatever the tests share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.tools import add_constant

from synscale.analysis import laws
from synscale.analysis.laws.fit import LawError, points

LEVEL = 0.95
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Effect:
    """An estimate with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        The ends are NaN if there is too little for an interval.
    n : int
        The points that the estimate comes from.
    error, freedom : float
        Standard error and degrees of freedom of Student's t; NaN if the interval is not Student's.
    """

    value: float
    low: float
    high: float
    n: int
    error: float = np.nan
    freedom: float = np.nan


@dataclass(frozen=True)
class Test:
    """Evidence for a hypothesis and for its opposite: p values, NaN if there is no test.

    Attributes
    ----------
    p : float
        Probability of such data, or data that speak more for the hypothesis, if its opposite is true.
    p_opposite : float
        The same with the two exchanged.
    """

    __test__ = False  # not a test of pytest

    p: float
    p_opposite: float


@dataclass(frozen=True)
class Decision(Test):
    """Adjusted p values and the verdict that follows from them."""

    verdict: str


def test_bounds(effect: Effect, above: float = -np.inf, below: float = np.inf) -> Test:
    """Test whether an effect lies between two bounds, one of which may be missing.

    Two one-sided t tests: the hypothesis has the larger of their p values (intersection-union), its
    opposite twice the smaller one (Bonferroni), or that of the only bound.
    """
    limits = [(above, 1), (below, -1)]
    towards = [sign * (effect.value - limit) for limit, sign in limits if np.isfinite(limit)]
    if np.isnan(effect.error) or not towards:
        return Test(np.nan, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.divide(towards, effect.error)
    inside = np.where(np.isnan(t), 0.5, stats.t.sf(t, effect.freedom))
    return Test(float(inside.max()), float(min(1, len(t) * (1 - inside.max()))))


test_bounds.__test__ = False


def decide(tests: Sequence[Test]) -> list[Decision]:
    """Adjust the p values of several claims by Holm's method and decide each claim.

    Parameters
    ----------
    tests : sequence of Test
        Those without p values stay undecided and are not counted.

    Returns
    -------
    list of Decision
        "holds" if the adjusted p of the hypothesis is below 0.05, else "does not hold" if that of the opposite is, else "undecided".
        If there is one claim alone, this is what its 95 % interval says.
    """
    p = np.array([[test.p, test.p_opposite] for test in tests], float)
    known = ~np.isnan(p)
    if known.any():
        p[known] = multipletests(p[known], SIGNIFICANT, method="holm")[1]
    return [Decision(*map(float, row), verdict_of(*row)) for row in p]


def verdict_of(p: float, p_opposite: float) -> str:
    """Return the verdict that adjusted p values give."""
    if p < SIGNIFICANT:
        return "holds"
    return "does not hold" if p_opposite < SIGNIFICANT else "undecided"


# -- exponents -------------------------------------------------------------------------------------------------------------------------


def difference(real: tuple, synthetic: tuple) -> Effect:
    """k of the synthetic curve minus the real one's; `laws.compare`, so equal spread about both
    lines is assumed.
    """
    found = laws.compare(real, synthetic)
    low, high = found["difference_interval"]
    freedom = found["n"] - 4
    error = (high - low) / 2 / stats.t.ppf((1 + LEVEL) / 2, freedom)
    return Effect(found["difference"], low, high, found["n"], float(error), freedom)


def contrast(curves: Sequence[tuple], weights: Sequence[float]) -> Effect:
    """Weighted sum of the exponents of curves with independent scatter, each with a spread of its
    own: Welch and Satterthwaite.

    The variances w^2 se^2 add up; degrees of freedom: (sum v)^2 / sum(v^2 / (N - 2)), v = w^2 se^2,
    N the sizes of a curve.
    """
    lines = [OLS(y, add_constant(x)).fit() for x, y in (points(*curve) for curve in curves)]
    weights = np.asarray(weights, float)
    value = float(-weights @ [line.params[1] for line in lines])
    variances = weights**2 * [line.bse[1] ** 2 for line in lines]
    total = variances.sum()
    spare = (
        total**2 / (variances**2 / [line.df_resid for line in lines]).sum() if total > 0 else 1.0
    )
    half = float(stats.t.ppf((1 + LEVEL) / 2, spare) * np.sqrt(total))
    n = sum(int(line.nobs) for line in lines)
    return Effect(value, value - half, value + half, n, float(np.sqrt(total)), float(spare))


def shared(curves: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Log sizes (N,) that all curves have, and log losses (curves, N). Raises LawError where they
    share fewer than three sizes.
    """
    tables = [pd.Series(y, np.exp(x).round(6)) for x, y in (points(*curve) for curve in curves)]
    both = pd.concat(tables, axis=1, join="inner").sort_index()
    if len(both) < 3:
        raise LawError(
            f"{len(both)} sizes that all of {len(curves)} curves have: a law needs 3 at least"
        )
    return np.log(both.index.to_numpy(float)), both.to_numpy().T


def mean_difference(synthetic: Sequence[tuple], real: tuple) -> Effect:
    """Mean k of the synthetic curves minus the real one's: of these curves, not of all that could
    be made.

    The curves' log losses are averaged at each size that all have, and one line is fitted: its k is
    the mean of theirs. They bend alike, so their distances from their lines are not independent,
    and the error of their mean is not that of so many lines.
    """
    x, y = shared(synthetic)
    return contrast([(np.exp(x), np.exp(y.mean(0))), real], [1, -1])


@cache
def _tukey(groups: int, spare: int) -> float:
    """Standard errors that a difference of two of `groups` slopes is wide to either side, so that
    all differences hold at once.
    """
    return float(stats.studentized_range.ppf(LEVEL, groups, spare) / np.sqrt(2))


def spread(curves: Sequence[tuple], much: float) -> tuple[Effect, Test, list[float]]:
    """Compare the exponents of two or more curves at the sizes that all have.

    One regression of log loss with an effect of each size, as curves share the evaluation set and
    bend alike, and a line for each curve.

    Parameters
    ----------
    curves : sequence of (sizes, losses)
    much : float
        Exponents that differ by less are alike.

    Returns
    -------
    Effect
        Largest minus smallest k. Every pair of slopes has Tukey's interval, so that all hold at once with 95 %; the largest difference
        lies between the largest of their lower ends (0 at least) and the largest of their upper ends. So no pair is favoured because
        the data picked it.
    Test
        p of the F-test that all slopes are equal. Of the opposite: that some pair differs by `much` or more; every pair is tested, and
        the largest p counts (intersection-union), so none needs a correction.
    list of float
        k of each curve.
    """
    x, y = shared(curves)
    count, sizes = y.shape
    group, place = np.repeat(np.arange(count), sizes), np.tile(np.arange(sizes), count)
    others = np.eye(count)[group][:, 1:]  # the first curve is what the others are compared with
    equal = np.hstack([np.eye(sizes)[place], others])
    full = OLS(y.ravel(), np.hstack([equal, others * x[place][:, None]])).fit()
    _, p, _ = full.compare_f_test(OLS(y.ravel(), equal).fit())
    k = [float(-np.polyfit(x, row, 1)[0]) for row in y]
    slopes = [np.zeros(len(full.params)), *np.eye(len(full.params))[1 - count :]]
    pairs = combinations(range(count), 2)
    errors = np.array([full.t_test(slopes[i] - slopes[j]).sd.item() for i, j in pairs])
    effect, alike = _largest_difference(k, errors, int(full.df_resid), much, y.size)
    return effect, Test(float(p), alike), k


def _largest_difference(
    k: Sequence[float], errors: np.ndarray | float, freedom: int, much: float, n: int
) -> tuple[Effect, float]:
    """Return the largest difference of exponents, and p of the test that some pair differs by
    `much`; errors: of each pair.
    """
    apart = np.array([abs(one - other) for one, other in combinations(k, 2)])
    half = _tukey(len(k), freedom) * errors
    alike = stats.t.cdf((apart - much) / errors, freedom).max()
    return Effect(
        float(np.ptp(k)), max(0.0, float((apart - half).max())), float((apart + half).max()), n
    ), float(alike)


# -- exponents over draws of the images --------------------------------------------------------------


def over_draws(
    effect: Callable, synthetic: Sequence[Sequence[tuple]], real: Sequence[tuple]
) -> Effect:
    """Average an effect over draws of the images, with Student's interval over them.

    Points of a curve share images, so their scatter about a law does not contain the draw of the
    images; curves of other draws do.

    Parameters
    ----------
    effect : callable
        Of synthetic curves and a real one, such as `mean_difference`.
    synthetic : sequence
        Curves of each draw, for each source.
    real : sequence of (sizes, losses)
        The real curve of each draw.
    """
    return mean_effect(
        [effect(list(curves), alone).value for *curves, alone in zip(*synthetic, real, strict=True)]
    )


def spread_over_draws(
    curves: Sequence[Sequence[tuple]], much: float
) -> tuple[Effect, Test, list[float]]:
    """Compare exponents as `spread` does, by their scatter over draws of the images.

    An analysis of variance of the exponents with an effect of each draw. curves: for each source,
    the curve of each draw.
    """
    k = np.array(
        [[float(-np.polyfit(*points(*curve), 1)[0]) for curve in draws] for draws in curves]
    )
    count, draws = k.shape
    centred = k - k.mean(0)
    means = centred.mean(1)
    freedom = (count - 1) * (draws - 1)
    variance = ((centred - means[:, None]) ** 2).sum() / freedom
    p = stats.f.sf(draws * (means**2).sum() / (count - 1) / variance, count - 1, freedom)
    each = k.mean(1).tolist()
    effect, alike = _largest_difference(each, np.sqrt(2 * variance / draws), freedom, much, k.size)
    return effect, Test(float(p), alike), each


# -- losses ----------------------------------------------------------------------------------------------------------------------------


def mean_effect(values) -> Effect:
    """Mean of values (N,) and Student's interval. One value has no interval."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return Effect(float(values.mean()), np.nan, np.nan, len(values))
    freedom, error = len(values) - 1, float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    value = float(values.mean())
    return Effect(value, value - half, value + half, len(values), error, freedom)


def log_ratios(with_synthetic: pd.DataFrame, alone: pd.DataFrame) -> pd.Series:
    """Log loss with synthetic images minus log loss without, of the runs of the same seed.

    Both: seed, cross_entropy, a row a seed. Raises ValueError where they share no seed.
    """
    both = (
        with_synthetic.set_index("seed")["cross_entropy"]
        .to_frame("with")
        .join(alone.set_index("seed")["cross_entropy"].to_frame("alone"), how="inner")
    )
    if both.empty:
        raise ValueError("no seed has been trained both with synthetic images and without")
    return np.log(both["with"]) - np.log(both["alone"])


def by_draw(ratios: dict[int, pd.Series], draws: int) -> list[float]:
    """Return the mean over sizes of log loss ratios of each draw of the images. ratios: size -> by
    seed.
    """
    return [
        float(own.mean())
        for _, own in pd.concat(ratios.values(), axis=1)
        .mean(axis=1)
        .groupby(lambda seed: seed % draws)
    ]


def over_sizes(ratios: dict[int, pd.Series]) -> Effect:
    """Mean over sizes of log loss ratios, each the mean over its seeds, with Student's interval
    over the sizes.

    Seeds of one size share their images, so they are averaged first; a point is a size.
    """
    return mean_effect([own.mean() for own in ratios.values()])
