"""The paper's law, L(D) = (C / D)^k: a straight line of log loss on log size."""

import numpy as np

from scripts.lib.laws.line import Line, interval, line

FEWEST = 3
OBJECTIVE = "ordinary least squares on log loss against log size, one point a size: the mean over its rows of log loss"


def log_loss(x: np.ndarray, k: float, log_scale: float) -> np.ndarray:
    return k * (log_scale - x)


def _parameters(own: Line) -> dict[str, float]:
    slope = own.slope or 1e-100  # a level line has no scale, but its loss must be found again
    return {"k": -slope, "log_scale": -own.intercept / slope}


def curve(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Arguments of `log_loss` of the best fit to x, y (N,)."""
    return _parameters(line(x, y))


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """x, y (N,): log size and log loss. The interval is Student's with N - 2 degrees of freedom; HC3's does not ask for equal spread."""
    own = line(x, y)
    parameters = _parameters(own)
    k = parameters["k"]
    return {
        **parameters,
        "k_interval": interval(k, own.slope_error, own.spare),
        "residual_sum": own.residual_sum,
        "parameters": parameters,
        "more": {
            "r_squared": 1 - own.residual_sum / float(((y - own.level) ** 2).sum()),
            "k_interval_hc3": list(interval(k, own.slope_error_hc3, own.spare)) if len(x) > 3 else None,
        },
    }


def bootstrap(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """k of each weighted line. x, y (N,); weights (B, N), how often each point was drawn. Returns (B,)."""
    total = weights.sum(1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    return -(weights * dx * dy).sum(1) / (weights * dx**2).sum(1)
