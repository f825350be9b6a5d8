"""Warnings about a fitted law.

The loss does not fall, is not monotone, or leaves a pattern in its residuals.
"""

import numpy as np
from scipy.special import betainc

from synscale.analysis.laws.fit import LAWS, Fit, fit, points

LEVEL = 0.05  # significance level of the test for lack of fit
_RISE = 0.05  # rise of log loss; a smaller one is noise
_GROUPS = 40  # neighbouring sizes are averaged in so many groups, if there are more sizes


def autocorrelation(residuals: np.ndarray, tangents: np.ndarray) -> float:
    """Return p of the Durbin-Watson test against residuals that resemble their neighbours.

    The ratio is compared with a beta distribution of the same mean and variance, which depend on
    the tangents.

    Parameters
    ----------
    residuals : ndarray, shape (N,)
        Of log loss, by ascending size.
    tangents : ndarray, shape (N, P)
        Directions that the fit removes from the residuals.

    Returns
    -------
    float
        NaN with fewer than two spare degrees of freedom, and for residuals of rounding size.
    """
    columns = tangents / np.maximum(np.linalg.norm(tangents, axis=0), 1e-300)
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    basis = left[:, values > 1e-9]
    count, spare = len(residuals), len(residuals) - basis.shape[1]
    if spare < 2 or np.abs(residuals).max() < 1e-9:
        return np.nan
    steps = np.diff(basis, axis=0)  # A = D'D, with D the matrix of differences
    inner = steps.T @ steps
    applied = np.zeros_like(basis)
    applied[:-1] -= steps
    applied[1:] += steps
    trace = 2 * (count - 1) - np.trace(inner)
    squares = (6 * count - 8) - 2 * (applied**2).sum() + (inner**2).sum()
    mean = trace / spare
    variance = 2 * (squares - trace * mean) / (spare * (spare + 2))
    ratio = (np.diff(residuals) ** 2).sum() / (residuals**2).sum()
    scaled, spread = mean / 4, variance / 16
    weight = scaled * (1 - scaled) / spread - 1
    return float(betainc(scaled * weight, (1 - scaled) * weight, np.clip(ratio / 4, 0, 1)))


def largest_rise(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float] | None:
    """Find the largest rise of log loss from a size to a larger one.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Ascending log sizes, and log losses.

    Returns
    -------
    tuple of float, or None
        The rise and both log sizes; None if noise explains it. The noise is estimated from second
        differences, and N values without a trend differ by at most some 2 sqrt(2 log N) of it.
    """
    if len(x) > _GROUPS:
        x, y = (np.array([part.mean() for part in np.array_split(v, _GROUPS)]) for v in (x, y))
    end = int(np.argmax(y - np.minimum.accumulate(y)))
    start = int(np.argmin(y[: end + 1]))
    noise = np.sqrt((np.diff(y, 2) ** 2).mean() / 6)
    rise = y[end] - y[start]
    if rise <= max(_RISE, (2 * np.sqrt(2 * np.log(len(y))) - 1) * noise):
        return None
    return float(rise), float(x[start]), float(x[end])


def warnings(fitted: Fit, sizes, losses) -> list[str]:
    """Return sentences for the reader of a fit; none if nothing speaks against the law.

    Parameters
    ----------
    fitted : Fit
    sizes, losses : array_like, shape (N,)
        The rows that it was fitted to.
    """
    x, y = points(sizes, losses)
    messages = []
    low, high = fit("power", sizes, losses).k_interval
    interval = f"95 % interval of k of the pure law [{low:.3g}, {high:.3g}]"
    if high < 0:
        messages.append(
            f"the loss rises with size ({interval}): k is negative; if the column is an accuracy, "
            "fit the error, 1 - accuracy"
        )
    elif low <= 0:
        messages.append(f"the loss does not clearly fall with size ({interval})")
    largest = largest_rise(x, y)
    if largest and high >= 0:
        rise, start, end = largest
        between = f"size {np.exp(start):,.6g} to {np.exp(end):,.6g}"
        messages.append(
            f"the loss is not monotone: it rises by {np.expm1(rise):.0%} from {between}; the pure "
            "law and the law with a floor only fall"
        )
    law = LAWS[fitted.law]
    residuals = y - law.log_loss(x, **fitted.parameters)
    p = autocorrelation(residuals, law.tangents(x, **fitted.parameters))
    if p < LEVEL:
        messages.append(
            f"lack of fit of law {fitted.law!r}: residuals of neighbouring sizes resemble each "
            f"other (Durbin-Watson test, p = {p:.2g})"
        )
    return messages
