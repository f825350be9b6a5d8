"""Which scores of image sets go with their usefulness: rank correlation of each, and one regression
on all of them.

Rows are configurations. They share generators, prompts, the classifier that scores and the images
that test, so they are no sample of independent ones: the intervals say what a study's
configurations show, not what the next generator will. Ours: the paper draws recognizability and
diversity beside accuracy, it tests nothing.
"""

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.tools import add_constant

LEVEL = 0.95


class UsefulnessError(ValueError):
    """Data that no such statistic can be made of; the message says why."""


def _refuse(table: pd.DataFrame, fewest: int) -> None:
    if len(table) < fewest:
        raise UsefulnessError(f"{len(table)} configurations, {fewest} at least are needed")
    if wrong := [name for name in table if not np.isfinite(table[name]).all()]:
        raise UsefulnessError(f"not a finite number everywhere: {', '.join(wrong)}")
    # Rounding alone must not pass for a difference.
    if constant := [
        name for name in table if np.ptp(table[name]) <= 1e-12 * np.abs(table[name]).max()
    ]:
        raise UsefulnessError(f"the same for all configurations: {', '.join(constant)}")


def _fisher(r, variance) -> tuple:
    """Interval of correlations r, whose arc tangens hyperbolicus has this variance; the ends of a
    perfect correlation are itself.
    """
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance)
    with np.errstate(divide="ignore"):
        return np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)


def spearman(score, usefulness) -> tuple[float, float, float]:
    """Spearman's rho of two (N,), and its 95 % interval: Fisher z with the variance (1 + rho^2 / 2)
    / (N - 3) of Bonett and Wright (2000).

    Raises UsefulnessError for fewer than 4 rows or a constant.
    """
    table = pd.DataFrame(
        {"score": np.asarray(score, float), "usefulness": np.asarray(usefulness, float)}
    )
    _refuse(table, 4)
    rho = float(stats.spearmanr(table["score"], table["usefulness"]).statistic)
    low, high = _fisher(rho, (1 + rho**2 / 2) / (len(table) - 3))
    return rho, float(low), float(high)


def regression(scores: pd.DataFrame, usefulness) -> pd.DataFrame:
    """Usefulness (N,) on all scores (N, P) at once, by least squares; both have mean 0 and standard
    deviation 1. A row for each score:

    coefficient, low, high: standard deviations of usefulness for one of the score, others held;
    Student's interval of HC3 errors. partial, partial_low, partial_high: correlation with
    usefulness given the other scores; Fisher z with variance 1 / (N - P - 2). vif: variance
    inflation factor, 1 / (1 - R^2) of the score on the others. Above about 10 its coefficient is
    hardly its own. r_squared: of the whole regression, adjusted for the number of scores. Raises
    UsefulnessError for fewer than P + 3 rows, a constant, or a score that is a linear function of
    the others.
    """
    table = scores.astype(float).assign(usefulness=np.asarray(usefulness, float))
    count = scores.shape[1]
    _refuse(table, count + 3)
    table = (table - table.mean()) / table.std()
    design = add_constant(table[scores.columns].to_numpy())
    if np.linalg.matrix_rank(design, tol=1e-6) <= count:
        raise UsefulnessError(
            f"some of these are linear functions of the others: {', '.join(scores)}"
        )
    line = OLS(table["usefulness"].to_numpy(), design).fit()
    low, high = line.get_robustcov_results("HC3", use_t=True).conf_int(1 - LEVEL)[1:].T
    t = line.tvalues[1:]
    partial = t / np.sqrt(t**2 + line.df_resid)
    partial_low, partial_high = _fisher(partial, 1 / (len(table) - count - 2))
    return pd.DataFrame(
        {
            "score": list(scores.columns),
            "coefficient": line.params[1:],
            "low": low,
            "high": high,
            "partial": partial,
            "partial_low": partial_low,
            "partial_high": partial_high,
            "vif": [variance_inflation_factor(design, place) for place in range(1, count + 1)],
            "r_squared": line.rsquared_adj,
        }
    )
