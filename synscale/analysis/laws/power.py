"""The paper's law, L(D) = (C / D)^k: a straight line of log loss on log size."""

import numpy as np

FEWEST = 3
OBJECTIVE = (
    "ordinary least squares on log loss against log size, one point a size: the mean over its "
    "rows of log loss"
)


def log_loss(x: np.ndarray, k: float, log_scale: float) -> np.ndarray:
    """Return the law's log loss at log sizes x.

    Parameters
    ----------
    x : ndarray, shape (N,)
        Log sizes.
    k : float
        Exponent.
    log_scale : float
        Log size at which the loss is 1.

    Returns
    -------
    ndarray, shape (N,)
    """
    return k * (log_scale - x)


def tangents(x: np.ndarray, k: float, log_scale: float) -> np.ndarray:
    """Return directions in which log loss moves with the parameters, shape (N, 2).

    Parameters
    ----------
    x, k, log_scale : array
        As of `log_loss`.
    """
    return np.stack([np.ones_like(x), x - x.mean()], axis=1)


def _parameters(intercept: float, slope: float) -> dict[str, float]:
    slope = float(slope) or 1e-100  # a level line has no scale, but its loss must be found again
    return {"k": -slope, "log_scale": -float(intercept) / slope}


def curve(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return arguments of `log_loss` of the best fit to x, y (N,).

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Log sizes and log losses.
    """
    return _parameters(*np.polynomial.polynomial.polyfit(x, y, 1))


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """Fit the law to log sizes and log losses x, y (N,).

    The interval is Student's with N - 2 degrees of freedom; HC3's does not need equal spread.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Log sizes and log losses.
    """
    from statsmodels.regression.linear_model import OLS  # here, as figures only draw laws
    from statsmodels.tools import add_constant

    line = OLS(y, add_constant(x)).fit()
    parameters = _parameters(*line.params)
    low, high = line.conf_int(0.05)[1]
    robust = None
    if len(x) > 3:
        ends = line.get_robustcov_results("HC3", use_t=True).conf_int(0.05)[1]
        robust = [float(-end) for end in ends[::-1]] if np.isfinite(ends).all() else None
    return {
        **parameters,
        "k_interval": (float(-high), float(-low)),
        "residual_sum": float(line.ssr),
        "parameters": parameters,
        "more": {"r_squared": float(line.rsquared), "k_interval_hc3": robust},
    }


def bootstrap(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return k (B,) of each weighted line.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Log sizes and log losses.
    weights : ndarray, shape (B, N)
        How often each point was drawn.
    """
    total = weights.sum(1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    return -(weights * dx * dy).sum(1) / (weights * dx**2).sum(1)
