"""Statistics behind the claims of the paper: effects with 95 % intervals, and what an interval says of a hypothesis. All ours.

A curve is (sizes, losses), as in `laws`: one point a size, seeds averaged. Intervals see how far sizes lie from a law, or how seeds
differ; they do not see that all curves share an evaluation set and the generators that the study has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from scripts.lib import laws
from scripts.lib.laws.fit import LawError, points

LEVEL = 0.95
SIGNIFICANT = 0.05
VERDICTS = ("holds", "does not hold", "undecided")


@dataclass(frozen=True)
class Effect:
    """An estimate with its 95 % interval; n: the points that it comes from. The ends are NaN where there is too little for an interval."""

    value: float
    low: float
    high: float
    n: int
    p: float = np.nan


def verdict(low: float, high: float, above: float = -np.inf, below: float = np.inf) -> str:
    """Of the hypothesis that an effect lies between `above` and `below`, both excluded, given its interval.

    "holds" where the whole interval lies inside, "does not hold" where all of it lies outside on one side, else "undecided".
    """
    if np.isnan(low) or np.isnan(high):
        return "undecided"
    if (low > above or above == -np.inf) and (high < below or below == np.inf):
        return "holds"
    return "does not hold" if high <= above or low >= below else "undecided"


def verdict_of_equality(p: float, high: float, much: float) -> str:
    """Of the hypothesis that exponents differ. p: of the F-test that they are equal; high: upper end of their largest difference.

    "holds" where p < 0.05, "does not hold" where they differ by less than `much` with confidence, else "undecided".
    """
    if p < SIGNIFICANT:
        return "holds"
    return "does not hold" if high < much else "undecided"


# -- exponents -------------------------------------------------------------------------------------------------------------------------


def difference(real: tuple, synthetic: tuple) -> Effect:
    """k of the synthetic curve minus the real one's; `laws.compare`, so equal spread about both lines is assumed."""
    found = laws.compare(real, synthetic)
    return Effect(found["difference"], *found["difference_interval"], found["n"], found["p"])


def contrast(curves: Sequence[tuple], weights: Sequence[float]) -> Effect:
    """Weighted sum of the exponents of curves with independent scatter, each with a spread of its own: Welch and Satterthwaite.

    The variances w^2 se^2 add up; degrees of freedom: (sum v)^2 / sum(v^2 / (N - 2)), v = w^2 se^2, N the sizes of a curve.
    """
    lines = [OLS(y, add_constant(x)).fit() for x, y in (points(*curve) for curve in curves)]
    weights = np.asarray(weights, float)
    value = float(-weights @ [line.params[1] for line in lines])
    variances = weights**2 * [line.bse[1] ** 2 for line in lines]
    total = variances.sum()
    spare = total**2 / (variances**2 / [line.df_resid for line in lines]).sum() if total > 0 else 1.0
    half = float(stats.t.ppf((1 + LEVEL) / 2, spare) * np.sqrt(total))
    p = float(2 * stats.t.sf(abs(value) / np.sqrt(total), spare)) if total > 0 else np.nan
    return Effect(value, value - half, value + half, sum(int(line.nobs) for line in lines), p)


def shared(curves: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Log sizes (N,) that all curves have, and log losses (curves, N). Raises LawError where they share fewer than three sizes."""
    tables = [pd.Series(y, np.exp(x).round(6)) for x, y in (points(*curve) for curve in curves)]
    both = pd.concat(tables, axis=1, join="inner").sort_index()
    if len(both) < 3:
        raise LawError(f"{len(both)} sizes that all of {len(curves)} curves have: a law needs 3 at least")
    return np.log(both.index.to_numpy(float)), both.to_numpy().T


def mean_difference(synthetic: Sequence[tuple], real: tuple) -> Effect:
    """Mean k of the synthetic curves minus the real one's: of these curves, not of all that could be made.

    The curves' log losses are averaged at each size that all have, and one line is fitted: its k is the mean of theirs. They bend alike,
    so their distances from their lines are not independent, and the error of their mean is not that of so many lines.
    """
    x, y = shared(synthetic)
    return contrast([(np.exp(x), np.exp(y.mean(0))), real], [1, -1])


@cache
def _tukey(groups: int, spare: int) -> float:
    """Standard errors that a difference of two of `groups` slopes is wide to either side, so that all differences hold at once."""
    return float(stats.studentized_range.ppf(LEVEL, groups, spare) / np.sqrt(2))


def spread(curves: Sequence[tuple]) -> tuple[Effect, list[float]]:
    """Largest minus smallest k of two curves or more at the sizes that all have, and every k.

    One regression of log loss with an effect of each size, as curves share the evaluation set and bend alike, and a line for each curve. p:
    F-test that all slopes are equal. Interval: every pair of slopes has Tukey's, so that all hold at once with 95 %; the largest difference
    lies between the largest of their lower ends (0 at least) and the largest of their upper ends. So no pair is favoured for having been
    picked by the data.
    """
    x, y = shared(curves)
    count, sizes = y.shape
    group, place = np.repeat(np.arange(count), sizes), np.tile(np.arange(sizes), count)
    own = np.eye(count)[group][:, 1:]  # the first curve is what the others are compared with
    equal = np.hstack([np.eye(sizes)[place], own])
    full = OLS(y.ravel(), np.hstack([equal, own * x[place][:, None]])).fit()
    _, p, _ = full.compare_f_test(OLS(y.ravel(), equal).fit())
    k = [float(-np.polyfit(x, row, 1)[0]) for row in y]
    names = [np.zeros(len(full.params)), *np.eye(len(full.params))[1 - count :]]
    factor, ends = _tukey(count, int(full.df_resid)), []
    for i, j in combinations(range(count), 2):
        half = factor * float(full.t_test(names[i] - names[j]).sd.item())
        ends.append((abs(k[i] - k[j]) - half, abs(k[i] - k[j]) + half))
    low, high = np.max(ends, axis=0)
    return Effect(float(np.ptp(k)), max(0.0, float(low)), float(high), y.size, float(p)), k


# -- losses ----------------------------------------------------------------------------------------------------------------------------


def mean_effect(values) -> Effect:
    """Mean of values (N,) and Student's interval; p: that their mean is 0. One value alone has no interval."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return Effect(float(values.mean()), np.nan, np.nan, len(values))
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(LEVEL)
    return Effect(float(values.mean()), float(low), float(high), len(values), float(test.pvalue))


def log_ratios(with_synthetic: pd.DataFrame, alone: pd.DataFrame) -> pd.Series:
    """Log loss with synthetic images minus log loss without, of the runs of the same seed.

    Both: seed, cross_entropy, a row a seed. Raises ValueError where they share no seed.
    """
    both = with_synthetic.set_index("seed")["cross_entropy"].to_frame("with").join(alone.set_index("seed")["cross_entropy"].to_frame("alone"), how="inner")
    if both.empty:
        raise ValueError("no seed has been trained both with synthetic images and without")
    return np.log(both["with"]) - np.log(both["alone"])


def over_sizes(ratios: dict[int, pd.Series]) -> Effect:
    """Mean over sizes of log loss ratios, each the mean over its seeds, with Student's interval over the sizes.

    Seeds of one size share their images, so they are averaged first; a point is a size.
    """
    return mean_effect([own.mean() for own in ratios.values()])
