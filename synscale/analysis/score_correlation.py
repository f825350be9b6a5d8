"""Which scores of image sets go with their accuracy: rank correlations, and one regression on all.

Rows are configurations. They share generators, prompts, the classifier that scores and the images
that test, so they are no independent sample: intervals say what the configurations of a study show,
not what the next generator will. This is this project's analysis: the paper draws recognizability
and diversity next to accuracy and tests nothing.
"""

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.tools import add_constant

LEVEL = 0.95


class CorrelationError(ValueError):
    """Data that allow no such statistic; the message is the reason."""


def _check(table: pd.DataFrame, fewest: int) -> None:
    if len(table) < fewest:
        raise CorrelationError(f"{len(table)} configurations (expected {fewest} or more)")
    if infinite := [name for name in table if not np.isfinite(table[name]).all()]:
        raise CorrelationError(f"not a finite number everywhere: {', '.join(infinite)}")
    # Rounding must not pass for a difference.
    is_constant = np.ptp(table, axis=0) <= 1e-12 * table.abs().max()
    if is_constant.any():
        constant = ", ".join(table.columns[is_constant])
        raise CorrelationError(f"the same for all configurations: {constant}")


def _fisher(r, variance) -> tuple:
    """Return the interval of correlations r whose inverse hyperbolic tangent has this variance.

    The ends of a perfect correlation are itself.
    """
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance)
    with np.errstate(divide="ignore"):
        return np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)


def spearman(score, accuracy) -> tuple[float, float, float]:
    """Return Spearman's rho of two arrays, and the ends of its 95 % interval.

    Fisher z with the variance (1 + rho^2 / 2) / (N - 3) of Bonett and Wright (2000).

    Parameters
    ----------
    score, accuracy : array_like, shape (N,)

    Raises
    ------
    CorrelationError
        If there are fewer than 4 rows, or a constant.
    """
    columns = {"score": np.asarray(score, float), "accuracy": np.asarray(accuracy, float)}
    table = pd.DataFrame(columns)
    _check(table, 4)
    rho = float(stats.spearmanr(table["score"], table["accuracy"]).statistic)
    low, high = _fisher(rho, (1 + rho**2 / 2) / (len(table) - 3))
    return rho, float(low), float(high)


def regression(scores: pd.DataFrame, accuracy) -> pd.DataFrame:
    """Regress accuracy on all scores at once, by least squares, all standardised.

    Parameters
    ----------
    scores : DataFrame, shape (N, P)
    accuracy : array_like, shape (N,)

    Returns
    -------
    DataFrame
        A row for each score. coefficient, low, high: standard deviations of accuracy for one of the
        score, the others fixed; Student's interval of HC3 errors. partial, partial_low,
        partial_high: correlation with accuracy given the other scores; Fisher z with variance
        1 / (N - P - 2). vif: variance inflation factor, 1 / (1 - R^2) of the score on the others;
        above about 10 the coefficient hardly belongs to this score. r_squared: of the complete
        regression, adjusted for the number of scores.

    Raises
    ------
    CorrelationError
        If there are fewer than P + 3 rows, a constant, or a score that is a linear function of the
        others.
    """
    table = scores.astype(float).assign(accuracy=np.asarray(accuracy, float))
    count = scores.shape[1]
    _check(table, count + 3)
    table = (table - table.mean()) / table.std()
    design = add_constant(table[scores.columns].to_numpy())
    if np.linalg.matrix_rank(design, tol=1e-6) <= count:
        names = ", ".join(scores)
        raise CorrelationError(f"some of these are linear functions of the others: {names}")
    line = OLS(table["accuracy"].to_numpy(), design).fit()
    low, high = line.get_robustcov_results("HC3", use_t=True).conf_int(1 - LEVEL)[1:].T
    t = line.tvalues[1:]
    partial = t / np.sqrt(t**2 + line.df_resid)
    partial_low, partial_high = _fisher(partial, 1 / (len(table) - count - 2))
    vif = [variance_inflation_factor(design, place) for place in range(1, count + 1)]
    rows = pd.DataFrame({"score": list(scores), "coefficient": line.params[1:]})
    rows = rows.assign(low=low, high=high, partial=partial)
    rows = rows.assign(partial_low=partial_low, partial_high=partial_high)
    return rows.assign(vif=vif, r_squared=line.rsquared_adj)


def summarize(scores: pd.DataFrame, accuracy) -> tuple[pd.DataFrame, str]:
    """Return a row for each score: Spearman's rho, and its part in the regression on all scores.

    The text is the reason if there can be no regression; rho is NaN if it has no value. A score
    that some configurations do not have, NaN, is in no regression, and its rho is that of the
    others. Parameters as of `regression`.
    """
    accuracy = np.asarray(accuracy, float)
    rows = pd.DataFrame({"score": list(scores), "spearman": np.nan})
    columns = ["spearman", "spearman_low", "spearman_high"]
    for place, score in enumerate(scores):
        try:
            known = scores[score].notna().to_numpy()
            rows.loc[place, columns] = spearman(scores.loc[known, score], accuracy[known])
        except CorrelationError:
            continue
    try:
        complete = scores.dropna(axis="columns")
        return rows.merge(regression(complete, accuracy), on="score", how="left"), ""
    except CorrelationError as error:
        return rows, str(error)


def adjusted(rows: pd.DataFrame, scores: pd.DataFrame, accuracy) -> pd.DataFrame:
    """Return the rows of `summarize` with p values of Spearman's rho, adjusted for their number.

    Parameters
    ----------
    rows : DataFrame
    scores : DataFrame, shape (N, P)
    accuracy : array_like, shape (N,)

    Returns
    -------
    DataFrame
        p: two-sided, Student's t, of no correlation. p_holm: by Holm's method over all scores that
        have a rho.
    """
    accuracy = pd.Series(np.asarray(accuracy, float), scores.index)
    p = np.full(len(rows), np.nan)
    for place in np.flatnonzero(rows["spearman"].notna()):
        values = scores[rows["score"].iloc[place]].dropna()
        p[place] = stats.spearmanr(values, accuracy[values.index]).pvalue
    holm = p.copy()
    if (known := ~np.isnan(p)).any():
        holm[known] = multipletests(p[known], method="holm")[1]
    return rows.assign(p=p, p_holm=holm)
