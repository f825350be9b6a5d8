"""A law that bends once: log loss falls by k per log size before the break and by k_after past it, without a jump."""

import numpy as np
from scipy.special import stdtrit

FEWEST = 6
OBJECTIVE = "least squares on log loss with one break, the best of all breaks with two sizes at least on each side; one point a size"


def log_loss(x: np.ndarray, level: float, k: float, k_after: float, log_break: float) -> np.ndarray:
    return level - k * (np.minimum(x, log_break) - log_break) - k_after * np.maximum(x - log_break, 0)


def _lines(x: np.ndarray, y: np.ndarray, breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (B, 3) = level at the break, k, k_after, and sums of squares (B,), for breaks (B,)."""
    before, after = np.minimum(x - breaks[:, None], 0), np.maximum(x - breaks[:, None], 0)
    design = np.stack([np.ones_like(before), -before, -after], axis=-1)
    coefficients = np.linalg.pinv(design) @ y
    return coefficients, ((np.einsum("bnp,bp->bn", design, coefficients) - y) ** 2).sum(1)


def _best(x: np.ndarray, y: np.ndarray) -> tuple[dict[str, float], float]:
    """Arguments of `log_loss` of the best fit to x, y (N,), and its sum of squares."""
    low, high = x[1], x[-2]
    for _ in range(4):
        breaks = np.linspace(low, high, 401)
        coefficients, costs = _lines(x, y, breaks)
        best, step = int(np.argmin(costs)), breaks[1] - breaks[0]
        low, high = max(x[1], breaks[best] - step), min(x[-2], breaks[best] + step)
    level, k, k_after = map(float, coefficients[best])
    return {"level": level, "k": k, "k_after": k_after, "log_break": float(breaks[best])}, float(costs[best])


def curve(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Arguments of `log_loss` of the best fit to x, y (N,)."""
    return _best(x, y)[0]


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """x, y (N,): log size and log loss. Intervals are Student's with N - 4 degrees of freedom from the Jacobian at the optimum. Of eight sizes
    those of the slopes cover about 94 %, that of the break 87 %: the sum of squares has a kink there at every size."""
    parameters, cost = _best(x, y)
    level, k, k_after, at = parameters.values()
    below = x <= at
    jacobian = np.stack([np.ones_like(x), np.where(below, at - x, 0), np.where(below, 0, at - x), np.where(below, k, k_after)], axis=1)
    spare = len(x) - 4
    spread = np.sqrt(np.maximum(np.diag(np.linalg.pinv(jacobian.T @ jacobian)), 0) * cost / spare) * stdtrit(spare, 0.975)
    return {
        "k": k,
        "k_interval": (k - float(spread[1]), k + float(spread[1])),
        "log_scale": at + level / k,
        "residual_sum": cost,
        "parameters": parameters,
        "more": {
            "k_after": k_after,
            "k_after_interval": [k_after - float(spread[2]), k_after + float(spread[2])],
            "break": float(np.exp(at)),
            "break_interval": [float(np.exp(at - spread[3])), float(np.exp(at + spread[3]))] if spread[3] < 20 else None,
        },
    }
