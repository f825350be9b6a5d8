"""Effects behind the claims of the paper: differences of exponents and of losses, with intervals.

A curve is (sizes, losses), as in `laws`: one point for each size, seeds averaged. Intervals contain
how far sizes are from a law, or how seeds differ; they do not contain that all curves share an
evaluation set and the generators that the study has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from synscale.analysis import laws
from synscale.analysis.laws.fit import LawError, points

LEVEL = 0.95
UPPER = (1 + LEVEL) / 2

Points = tuple[np.ndarray, np.ndarray]  # sizes and losses of a curve


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
class Spread:
    """How far the exponents of several curves differ.

    Attributes
    ----------
    effect : Effect
        Largest minus smallest k.
    p : float
        Of the F-test that all exponents are equal.
    p_alike : float
        Of the test that some pair differs by a given amount or more.
    exponents : list of float
        k of each curve.
    """

    effect: Effect
    p: float
    p_alike: float
    exponents: list[float]


def _student(value: float, error: float, freedom: float, n: int) -> Effect:
    """Return an effect with Student's interval."""
    half = float(stats.t.ppf(UPPER, freedom)) * error
    return Effect(value, value - half, value + half, n, error, freedom)


def _exponent(curve: Points) -> float:
    return float(-np.polyfit(*points(*curve), 1)[0])


# -- exponents -----------------------------------------------------------------------------------


def difference(real: Points, synthetic: Points) -> Effect:
    """Return k of the synthetic curve minus the real one's, by `laws.compare`.

    Equal spread about both lines is assumed.

    Parameters
    ----------
    real, synthetic : Points
        Sizes and losses of each curve.
    """
    result = laws.compare(real, synthetic)
    low, high = result["difference_interval"]
    freedom = result["n"] - 4
    error = (high - low) / 2 / stats.t.ppf(UPPER, freedom)
    return Effect(result["difference"], low, high, result["n"], float(error), freedom)


def contrast(curves: Sequence[Points], weights: Sequence[float]) -> Effect:
    """Return a weighted sum of the exponents of curves with independent, unequal scatter.

    Welch and Satterthwaite: the variances v = w^2 se^2 add up; degrees of freedom
    (sum v)^2 / sum(v^2 / (N - 2)), with N the sizes of a curve.

    Parameters
    ----------
    curves : sequence of Points
        Sizes and losses of each curve.
    weights : sequence of float
        Weight of each exponent.
    """
    lines = [OLS(y, add_constant(x)).fit() for x, y in (points(*curve) for curve in curves)]
    value = -float(np.dot(weights, [line.params[1] for line in lines]))
    variances = np.square(weights) * [line.bse[1] ** 2 for line in lines]
    total = variances.sum()
    squares = variances**2 / [line.df_resid for line in lines]
    freedom = total**2 / squares.sum() if total > 0 else 1.0
    n = sum(int(line.nobs) for line in lines)
    return _student(value, float(np.sqrt(total)), float(freedom), n)


def common_sizes(curves: Sequence[Points]) -> Points:
    """Return the log sizes (N,) that all curves have, and their log losses (curves, N).

    Raises LawError if there are fewer than three.
    """
    tables = [pd.Series(y, np.exp(x).round(6)) for x, y in (points(*curve) for curve in curves)]
    both = pd.concat(tables, axis=1, join="inner").sort_index()
    if len(both) < 3:
        number = f"{len(both)} sizes that all of {len(curves)} curves have"
        raise LawError(f"{number} (expected 3 or more)")
    return np.log(both.index.to_numpy(float)), both.to_numpy().T


def mean_difference(synthetic: Sequence[Points], real: Points) -> Effect:
    """Return the mean k of the synthetic curves minus the real one's.

    The mean is over these curves, not over all that could be generated. Log losses are averaged at
    each size that all curves have, and one line is fitted: its k is the mean of theirs. Curves bend
    alike, so their distances from their lines are not independent, and the error of their mean is
    not that of so many lines.

    Parameters as of `difference`, with several synthetic curves.
    """
    x, y = common_sizes(synthetic)
    return contrast([(np.exp(x), np.exp(y.mean(0))), real], [1, -1])


@cache
def _tukey(groups: int, freedom: int) -> float:
    """Return Tukey's half-width of a difference of two slopes, in its standard errors."""
    return float(stats.studentized_range.ppf(LEVEL, groups, freedom) / np.sqrt(2))


def spread(curves: Sequence[Points], min_difference: float) -> Spread:
    """Compare the exponents of two or more curves at the sizes that all have.

    One regression of log loss with an effect of each size, because curves share the evaluation set
    and bend alike, and a line for each curve. Every pair of slopes has Tukey's interval, so that
    all hold at once with 95 %. The largest difference is between the largest of their lower ends
    (0 at least) and the largest of their upper ends, so no pair is favoured because the data
    selected it. For `p_alike` every pair is tested, and the largest p counts (intersection-union),
    so none needs a correction.

    Parameters
    ----------
    curves : sequence of (sizes, losses)
    min_difference : float
        Exponents that differ by less are alike.
    """
    x, y = common_sizes(curves)
    count, sizes = y.shape
    group: np.ndarray = np.repeat(np.arange(count), sizes)
    place = np.tile(np.arange(sizes), count)
    others = np.eye(count)[group][:, 1:]  # the first curve is what the others are compared with
    equal = np.hstack([np.eye(sizes)[place], others])
    full = OLS(y.ravel(), np.hstack([equal, others * x[place][:, None]])).fit()
    _, p, _ = full.compare_f_test(OLS(y.ravel(), equal).fit())
    k = [float(-np.polyfit(x, row, 1)[0]) for row in y]
    slopes = [np.zeros(len(full.params)), *np.eye(len(full.params))[1 - count :]]
    pairs = combinations(range(count), 2)
    errors = np.array([full.t_test(slopes[i] - slopes[j]).sd.item() for i, j in pairs])
    return _spread(k, errors, int(full.df_resid), min_difference, y.size, p)


def _spread(
    k: list[float], errors: np.ndarray | float, freedom: int, margin: float, n: int, p: float
) -> Spread:
    """Return the spread of exponents k; errors are those of the difference of each pair."""
    apart = np.array([abs(one - other) for one, other in combinations(k, 2)])
    half = _tukey(len(k), freedom) * errors
    alike = stats.t.cdf((apart - margin) / errors, freedom).max()
    low = max(0.0, float((apart - half).max()))
    effect = Effect(float(np.ptp(k)), low, float((apart + half).max()), n)
    return Spread(effect, float(p), float(alike), k)


# -- exponents over draws of the images ----------------------------------------------------------


def over_draws(
    effect: Callable, synthetic: Sequence[Sequence[Points]], real: Sequence[Points]
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
    draws = zip(*synthetic, real, strict=True)
    return mean_effect([effect(list(curves), single).value for *curves, single in draws])


def spread_over_draws(curves: Sequence[Sequence[Points]], min_difference: float) -> Spread:
    """Compare exponents as `spread` does, by their scatter over draws of the images.

    An analysis of variance of the exponents with an effect of each draw.

    Parameters
    ----------
    curves : sequence of sequence of Points
        For each source, the curve of each draw.
    min_difference : float
        Exponents that differ by less are alike.
    """
    k = np.array([[_exponent(curve) for curve in draws] for draws in curves])
    count, draws = k.shape
    centred = k - k.mean(0)
    means = centred.mean(1)
    freedom = (count - 1) * (draws - 1)
    variance = ((centred - means[:, None]) ** 2).sum() / freedom
    p = stats.f.sf(draws * (means**2).sum() / (count - 1) / variance, count - 1, freedom)
    errors = np.sqrt(2 * variance / draws)
    return _spread(k.mean(1).tolist(), errors, freedom, min_difference, k.size, p)


# -- losses --------------------------------------------------------------------------------------


def mean_effect(values) -> Effect:
    """Return the mean of values (N,) with Student's interval. One value has no interval."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return Effect(mean, np.nan, np.nan, len(values))
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return _student(mean, error, len(values) - 1, len(values))


def log_ratios(with_synthetic: pd.DataFrame, real_only: pd.DataFrame) -> pd.Series:
    """Return log loss with synthetic images minus log loss without, by seed.

    Parameters
    ----------
    with_synthetic, real_only : DataFrame
        A row for each seed, columns seed and cross_entropy.

    Raises
    ------
    ValueError
        If they share no seed.
    """
    losses = [rows.set_index("seed")["cross_entropy"] for rows in (with_synthetic, real_only)]
    both = pd.concat(losses, axis=1, join="inner", keys=["with", "real_only"])
    if both.empty:
        raise ValueError("no seed is trained both with synthetic images and without; add its runs")
    return np.log(both["with"]) - np.log(both["real_only"])


def by_draw(ratios: dict[int, pd.Series], draws: int) -> list[float]:
    """Return the mean over sizes of log loss ratios of each draw of the images.

    Parameters
    ----------
    ratios : dict
        Size -> log loss ratios, indexed by seed.
    draws : int
        Number of draws of the images; seed s trains on draw s % draws.
    """
    by_seed = pd.concat(ratios.values(), axis=1).mean(axis=1)
    return [float(group.mean()) for _, group in by_seed.groupby(lambda seed: seed % draws)]


def over_sizes(ratios: dict[int, pd.Series]) -> Effect:
    """Return the mean over sizes of log loss ratios, with Student's interval over the sizes.

    Seeds of one size share their images, so they are averaged first; a point is a size.
    """
    return mean_effect([by_seed.mean() for by_seed in ratios.values()])
