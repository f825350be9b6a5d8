"""A law with an irreducible loss, L(D) = E + (C / D)^k, fitted to log loss.

A single start can end in the wrong one of two minima, so many are taken, all at once: the solver
below works on a batch of problems, with the analytic Jacobian and a tight tolerance. With P the
power part at the largest size and z = k log(largest size / D),

    log L = log P + log(e^v - 1 + e^z),    v = log(1 + E / P),

with v how far the floor lifts log loss at the largest size. Log P is added to the rest, so its best
value is a mean and needs no search (variable projection: Golub and Pereyra 1973). Searched for are
v and u = log k. No floor is v = 0, a bound of the search: log E would run away.
"""

import numpy as np
from scipy.special import stdtrit

from synscale.analysis.laws import profile

FEWEST = 4
OBJECTIVE = (
    "nonlinear least squares on log loss, one point a size: the mean over its rows of log loss; "
    "the best of many starts"
)
_STEPS = 400  # at most
_FAR = 600.0  # largest logarithm whose exponential is finite
_MOST = 1000  # points that are fitted one by one; more are averaged over narrow ranges of size
_CELLS = 1_000_000  # resamples times points that are fitted at once: some 300 MB


def log_loss(x: np.ndarray, k: float, log_scale: float, log_floor: float) -> np.ndarray:
    """Return the law's log loss at log sizes x.

    Parameters
    ----------
    x : ndarray, shape (N,)
        Log sizes.
    k : float
        Exponent.
    log_scale : float
        Log size at which the power part is 1.
    log_floor : float
        Log of the irreducible loss.
    """
    return np.logaddexp(log_floor, k * (log_scale - x))


def tangents(x: np.ndarray, k: float, log_scale: float, log_floor: float) -> np.ndarray:
    """Return derivatives of log loss, shape (N, 3), with the parameters of `log_loss`."""
    log_power = k * (log_scale - x)
    share = np.exp(log_power - np.logaddexp(log_floor, log_power))  # power part of the loss
    return np.stack([share, share * (x - x.mean()), share * np.exp(k * (x - x.max()))], axis=1)


def _products(theta, d, y, weights, floor, fixed_k) -> np.ndarray:
    """Return weighted inner products (3, 3, S) of both derivatives and the residuals.

    theta, floor: as of `solve`; d (N, 1): log of the largest size over each; y, weights (N, S).
    """
    z = np.exp(theta[1]) * d
    columns = np.empty((3, *z.shape))
    if floor is None:
        lifted = np.exp(theta[0] - z)
        total = 1 + (lifted - np.exp(-z))  # loss over its power part
        columns[0], columns[2] = lifted / total, z + np.log(total) - y
    else:
        total = 1 + np.exp(floor - theta[0] - z)
        columns[0], columns[2] = 1 / total, theta[0] + z + np.log(total) - y
    columns[1] = 0 if fixed_k else z / total
    if floor is None:  # log P at its best takes the mean out
        columns -= ((columns * weights).sum(1) / weights.sum(0))[:, None]
    return np.einsum("ins,jns->ijs", columns * weights, columns)


def _limits(floor, fixed_k: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest theta, (2, 1) each."""
    low, high = (0.0, _FAR) if floor is None else (floor.min() - _FAR, np.inf)
    low_u, high_u = (-np.inf, np.inf) if fixed_k else (-12.0, 5.0)
    return np.array([[low], [low_u]]), np.array([[high], [high_u]])


def solve(
    x, y, theta, weights=None, floor=None, fixed_k=False, tolerance=1e-18, enough=0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise (weighted) sums of squares by Levenberg and Marquardt's method, a batch at once.

    Parameters
    ----------
    x : ndarray, shape (N,)
        Log sizes.
    y : ndarray, shape (N,) or (N, S)
        Log losses.
    theta : ndarray, shape (2, S)
        Starts: v and u, or log P and u if log floors are given.
    weights : ndarray, shape (N, S), optional
    floor : ndarray, shape (S,), optional
        Log floors that are fixed.
    fixed_k : bool
        Whether u is fixed.
    tolerance, enough : float
        A row is done if its sum is below `enough`, or is expected to fall by no more than this
        share of the rest above it.

    Returns
    -------
    theta : ndarray, shape (2, S)
    costs : ndarray, shape (S,)
        Sums of squares.
    """
    d, shape = (x.max() - x)[:, None], (len(x), theta.shape[1])
    y = np.broadcast_to(y if y.ndim == 2 else y[:, None], shape)
    weights = np.broadcast_to(1.0 if weights is None else weights, shape)
    low, high = _limits(floor, fixed_k)
    best, costs, rows = theta.copy(), np.empty(shape[1]), np.arange(shape[1])
    products, damping = _products(theta, d, y, weights, floor, fixed_k), np.full(shape[1], 1e-3)
    for left in reversed(range(_STEPS)):
        step, fall = _step(products, damping, low - theta, high - theta)
        trial = theta + step
        cost = products[2, 2]
        new = _products(trial, d, y, weights, floor, fixed_k)
        bound = cost * (1 + 1e-12)  # rounding must not refuse the last steps
        is_better = new[2, 2] <= bound
        theta = np.where(is_better, trial, theta)
        products = np.where(is_better, new, products)
        going = (1 + damping) * fall > tolerance * (cost - enough) + 1e-28
        going &= (cost > enough) & (damping < 1e9) & (left > 0)
        is_good = new[2, 2] <= bound - fall / 2
        damping = np.where(is_good, np.maximum(damping / 4, 1e-9), damping * 5)
        # To take rows out costs as much as to keep a few.
        if 2 * np.count_nonzero(going) <= len(rows):
            best[:, rows] = theta
            costs[rows] = products[2, 2]
            rows, damping = rows[going], damping[going]
            theta, y, weights = theta[:, going], y[:, going], weights[:, going]
            products = products[..., going]
            floor = None if floor is None else floor[going]
            if not len(rows):
                break
    return best, costs


def _step(products, damping, low, high) -> tuple[np.ndarray, np.ndarray]:
    """Return a damped step (2, S) between two limits, and the fall that is expected of it (S,)."""
    (vv, uv, gradient_v), (_, uu, gradient_u), _ = products
    vv, uu = vv + (damping * vv + 1e-12), uu + (damping * uu + 1e-12)
    least, most = np.maximum(low, -3), np.minimum(high, 3)
    newton_v = (uv * gradient_u - uu * gradient_v) / (vv * uu - uv * uv)
    # np.clip takes longer on so few numbers.
    step_v = np.minimum(np.maximum(newton_v, least[0]), most[0])
    newton_u = -(gradient_u + uv * step_v) / uu  # the best one also if step_v is cut short
    step_u = np.minimum(np.maximum(newton_u, least[1]), most[1])
    return np.stack([step_v, step_u]), -(step_v * gradient_v + step_u * gradient_u)


def starts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return 35 starts (2, 35) for x, y (N,), with the parameters of `fit`.

    Floors are from none to just under the smallest loss, exponents from 0.05 to 3.
    """
    floors = np.array([1e-6, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])[:, None]  # over the smallest loss
    k = np.array([0.05, 0.2, 0.5, 1.2, 3.0])
    log_power = np.log(np.exp(y - y.min()) - floors).mean(1, keepdims=True)
    log_power = log_power - k * (x.max() - x.mean())
    v = np.log1p(floors * np.exp(-log_power)).ravel()
    return np.stack([v, np.tile(np.log(k), len(floors))])


def curve_of(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return arguments of `log_loss`, with the best log P.

    Parameters as of `fit`, and theta, shape (2,): v and u.
    """
    k = float(np.exp(theta[1]))
    z = k * (x.max() - x)
    log_power = float((y - z - np.log1p(np.exp(theta[0] - z) - np.exp(-z))).mean())
    with np.errstate(divide="ignore"):
        return {
            "k": k,
            "log_scale": float(x.max()) + log_power / k,
            "log_floor": log_power + float(np.log(np.expm1(theta[0]))),
        }


def _averaged(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return means of x and y, (P,), and counts, (P, 1) or None, over narrow ranges of x.

    A range is a thousandth of the span of x. Within it the law is a line, so a fit to the means
    differs by about a millionth of its spread. The largest size is a range by itself, because theta
    refers to it. Up to `_MOST` points stay as they are.
    """
    if len(x) <= _MOST:
        return x, y, None
    place = np.unique((x - x.min()) / np.ptp(x) * _MOST // 1, return_inverse=True)[1]
    counts = np.bincount(place)
    return np.bincount(place, x) / counts, np.bincount(place, y) / counts, counts[:, None]


def curve(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return arguments of `log_loss` of the best fit, with the parameters of `fit`."""
    means = _averaged(x, y)
    theta, costs = solve(*means[:2], starts(*means[:2]), means[2])
    if len(means[0]) < len(x):
        theta, costs = solve(x, y, theta[:, _minima(theta, costs)])
    return curve_of(theta[:, costs.argmin()], x, y)


def _minima(theta: np.ndarray, costs: np.ndarray) -> list[int]:
    """Return indices of the two best minima whose exponents differ by more than a thousandth."""
    minima: list[int] = []
    for i in np.argsort(costs):
        is_new = all(abs(theta[1, i] - theta[1, j]) > 1e-3 for j in minima)
        if is_new and costs[i] < 4 * costs.min() + 1e-12:
            minima.append(i)
    return minima[:2]


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """Fit the law, with profile intervals.

    Their ends are the values at which the best fit is not worse by Student's t, 95 %, with N - 3
    degrees of freedom.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
        Log sizes and log losses.
    """
    mean_x, mean_y, counts = _averaged(x, y)
    theta, costs = solve(mean_x, mean_y, starts(mean_x, mean_y), counts)
    least = costs.min()
    places = _minima(theta, costs)
    theta, costs = theta[:, places], costs[places]
    if len(mean_x) < len(x):
        theta, costs = solve(x, y, theta)
        order = np.argsort(costs)
        theta, costs = theta[:, order], costs[order]
    curves = [curve_of(column, x, y) for column in theta.T]
    best, cost = curves[0], costs[0]
    freedom = len(x) - 3
    limit = least + cost * stdtrit(freedom, 0.975) ** 2 / freedom + 1e-24
    log_floor = max(best["log_floor"], y.min() + profile.NO_FLOOR)
    log_power = best["k"] * (best["log_scale"] - x.max())
    k_grid = profile.log_exponents(x, list(theta[1]))
    floor_grid = profile.log_floors(y, log_floor)
    options = {"tolerance": 1e-6, "enough": limit}

    def k_under(values: np.ndarray) -> np.ndarray:
        start = np.stack([np.zeros_like(values), values])  # from no floor: k is fixed, one minimum
        return solve(mean_x, mean_y, start, counts, fixed_k=True, **options)[1] <= limit

    def floor_under(values: np.ndarray) -> np.ndarray:
        start = np.repeat([[log_power], [theta[1, 0]]], len(values), 1)
        return solve(mean_x, mean_y, start, counts, floor=values, **options)[1] <= limit

    k_low, k_high = np.exp(profile.ends(k_under, k_grid, float(theta[1, 0])))
    floor_interval = np.exp(profile.ends(floor_under, floor_grid, log_floor))
    tiny = 1e-6 * float(np.exp(y.min()))
    minima = []
    for curve, residual_sum in zip(curves, costs.tolist(), strict=True):
        floor = _zero_if(np.exp(curve["log_floor"]), tiny)
        minima.append({"k": curve["k"], "floor": floor, "residual_sum": residual_sum})
    return {
        "k": best["k"],
        "k_interval": (float(k_low), float(k_high)),
        "log_scale": best["log_scale"],
        "residual_sum": float(costs[0]),
        "parameters": best,
        "more": {
            "floor": minima[0]["floor"],
            "floor_interval": [_zero_if(floor_interval[0], tiny), float(floor_interval[1])],
            "minima": minima,
        },
    }


def _zero_if(value: float, limit: float) -> float:
    """Return a value, or zero if it is not above a limit."""
    return 0.0 if value <= limit else float(value)


def bootstrap(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return k of each weighted fit, from the best fit of all points and the two next to it.

    Parameters
    ----------
    x, y : ndarray, shape (N,)
    weights : ndarray, shape (B, N)

    Returns
    -------
    ndarray, shape (B,)
    """
    theta, costs = solve(x, y, starts(x, y))
    v, u = theta[:, costs.argmin()]
    near = np.array([[v, v / 3, v + 0.3], [u, u - 0.3, u + 0.5]])
    exponents = []
    for part in np.array_split(weights, max(1, weights.size // _CELLS)):
        theta, costs = solve(x, y, np.repeat(near, len(part), 1), np.tile(part.T, 3))
        winner = costs.reshape(3, -1).argmin(0)
        exponents.append(np.exp(theta[1].reshape(3, -1)[winner, np.arange(len(part))]))
    return np.concatenate(exponents)
