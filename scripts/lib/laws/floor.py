"""A law with an irreducible loss, L(D) = E + (C / D)^k, fitted to log loss.

A single start can end in the wrong one of two minima, so many are taken, all at once: the solver below works on a batch of problems,
with the analytic Jacobian and a tight tolerance. Inside it a curve is e = log E, u = log k, and a = log of the power part at the mean
log size, which are far less entangled than E, k and C.
"""

import numpy as np
from scipy import stats

FEWEST = 4
OBJECTIVE = "nonlinear least squares on log loss, one point a size: the mean over its rows of log loss; the best of many starts"
_NO_FLOOR = -20.0  # e below the log of the smallest loss by this much is no floor; the solver stays there once it is there


def log_loss(x: np.ndarray, k: float, log_scale: float, log_floor: float) -> np.ndarray:
    return np.logaddexp(log_floor, k * (log_scale - x))


def _curve(theta: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log loss (S, N) and its Jacobian (S, N, 3) at theta (S, 3) = e, u, a; x (N,) centred."""
    e, u, a = theta[:, :1], theta[:, 1:2], theta[:, 2:]
    slope = np.exp(u)
    power = a - slope * x
    value = np.logaddexp(e, power)
    share = np.exp(power - value)
    return value, np.stack([1 - share, -share * slope * x, share], axis=-1)


def solve(x, y, theta, weights=None, held: int | None = None, iterations: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Levenberg and Marquardt's method on a batch: the least (weighted) sum of squares from each start.

    x (N,) centred, y (N,) or (S, N), theta (S, 3), weights (S, N) or None; held: a column of theta that stays.
    Returns theta (S, 3) and the sums of squares (S,).
    """
    theta, root = theta.copy(), 1.0 if weights is None else np.sqrt(weights)
    lowest = y.min() + _NO_FLOOR

    def state(t, rows):
        value, jacobian = _curve(t, x)
        scale = root if weights is None else root[rows]
        residual = (value - (y if y.ndim == 1 else y[rows])) * scale
        jacobian = jacobian * (scale if weights is None else scale[..., None])
        if held is not None:
            jacobian[..., held] = 0
        jacobian[t[:, 0] <= lowest, :, 0] = 0
        return residual, jacobian, (residual**2).sum(1)

    rows = np.arange(len(theta))
    residual, jacobian, cost = state(theta, rows)
    costs, damping = cost.copy(), np.full(len(theta), 1e-3)
    for _ in range(iterations):
        gradient = np.einsum("snp,sn->sp", jacobian, residual)
        normal = np.einsum("snp,snq->spq", jacobian, jacobian)
        diagonal = np.einsum("spp->sp", normal)
        normal = normal + np.einsum("sp,pq->spq", damping[:, None] * diagonal + 1e-12, np.eye(3))
        step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
        step = np.clip(step, -3, 3)
        trial = theta[rows] + step
        trial[:, 0] = np.maximum(trial[:, 0], lowest)
        trial[:, 1] = np.clip(trial[:, 1], -12, 5)
        new_residual, new_jacobian, new_cost = state(trial, rows)
        better = new_cost < cost
        gain = np.where(better, cost - new_cost, np.inf)
        theta[rows[better]] = trial[better]
        residual[better], jacobian[better], cost[better] = new_residual[better], new_jacobian[better], new_cost[better]
        costs[rows] = cost
        damping = np.where(better, damping / 4, damping * 5)
        going = ~((better & (gain <= 1e-15 * cost + 1e-28)) | (damping > 1e9))
        if not going.any():
            break
        rows, residual, jacobian, cost, damping = rows[going], residual[going], jacobian[going], cost[going], damping[going]
    return theta, costs


def starts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Thirty-five starts (35, 3): floors from none to just under the smallest loss, exponents from 0.05 to 3."""
    found = []
    for share in (1e-6, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
        above = np.log(np.exp(y) - share * np.exp(y.min()))
        found += [(y.min() + np.log(share), np.log(k), (above + k * x).mean()) for k in (0.05, 0.2, 0.5, 1.2, 3.0)]
    return np.array(found)


def _profile(x, y, best, column, grid, limit) -> tuple[float, float]:
    """Smallest and largest value in the grid, refined, of one column of theta at which the sum of squares stays under the limit."""

    def under(values):
        costs = []
        for base in (best, np.array([y.min() + _NO_FLOOR, best[1], best[2]])):
            theta = np.repeat(base[None], len(values), 0)
            theta[:, column] = values
            costs.append(solve(x, y, theta, held=column)[1])
        return np.minimum(*costs) <= limit

    inside = np.flatnonzero(under(grid))
    if not len(inside):
        return best[column], best[column]
    ends = []
    for edge, outward in ((inside[0], -1), (inside[-1], 1)):
        beyond = edge + outward
        if not 0 <= beyond < len(grid):
            ends.append(grid[edge])
            continue
        fine = np.linspace(grid[edge], grid[beyond], 40)
        ends.append(fine[np.flatnonzero(under(fine))[-1]])
    return min(ends[0], best[column]), max(ends[1], best[column])


def _minima(theta: np.ndarray, costs: np.ndarray) -> list[int]:
    """Indices of the different minima, best first; two are different when their exponents are by more than a thousandth."""
    found = []
    for i in np.argsort(costs):
        if costs[i] < 4 * costs.min() + 1e-12 and all(abs(theta[i, 1] - theta[j, 1]) > 1e-3 for j in found):
            found.append(i)
    return found[:2]


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """x, y (N,): log size and log loss. Intervals by profile: the values at which the best fit is not worse by Student's t, 95 %, with
    N - 3 degrees of freedom."""
    centre = x.mean()
    x = x - centre
    theta, costs = solve(x, y, starts(x, y))
    minima = _minima(theta, costs)
    best, cost = theta[minima[0]], costs[minima[0]]
    spare = len(x) - 3
    limit = cost * (1 + stats.t.ppf(0.975, spare) ** 2 / spare) + 1e-24
    k_low, k_high = np.exp(_profile(x, y, best, 1, best[1] + np.linspace(-4, 4, 161), limit))
    grid = np.unique(np.concatenate([[y.min() + _NO_FLOOR], y.min() + np.log(np.linspace(1e-3, 1.15, 160)), [best[0]]]))
    floor = np.exp(_profile(x, y, best, 0, grid, limit))

    def named(row):
        k = float(np.exp(row[1]))
        return {"k": k, "log_scale": float(centre + row[2] / k), "log_floor": float(row[0])}

    own = named(best)
    none = 1e-6 * float(np.exp(y.min()))
    zero = lambda value: 0.0 if value <= none else float(value)  # noqa: E731
    return {
        "k": own["k"],
        "k_interval": (float(k_low), float(k_high)),
        "log_scale": own["log_scale"],
        "residual_sum": float(cost),
        "parameters": own,
        "more": {
            "floor": zero(np.exp(best[0])),
            "floor_interval": [zero(floor[0]), float(floor[1])],
            "minima": [{"k": float(np.exp(theta[i, 1])), "floor": zero(np.exp(theta[i, 0])), "residual_sum": float(costs[i])} for i in minima],
        },
    }


def bootstrap(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """k of each weighted fit. x, y (N,); weights (B, N). Returns (B,). Starts: the best fit of all points, and the two next to it."""
    x = x - x.mean()
    theta, costs = solve(x, y, starts(x, y))
    best = theta[np.argmin(costs)]
    tries = [
        solve(x, y, np.repeat((best + shift)[None], len(weights), 0), weights)
        for shift in (np.zeros(3), np.array([-1, -0.3, 0.1]), np.array([0.05, 0.5, -0.2]))
    ]
    winner = np.argmin([cost for _, cost in tries], axis=0)
    return np.exp(np.stack([theta[:, 1] for theta, _ in tries])[winner, np.arange(len(weights))])
