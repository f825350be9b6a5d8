"""A law with an irreducible loss, L(D) = E + (C / D)^k, fitted to log loss.

A single start can end in the wrong one of two minima, so many are taken, all at once: the solver
below works on a batch of problems, with the analytic Jacobian and a tight tolerance. With P the
power part at the largest size and z = k log(largest size / D),

    log L = log P + log(e^v - 1 + e^z),    v = log(1 + E / P), how far the floor lifts log loss at the largest size.

Log P is added to the rest, so its best value is a mean and needs no search (variable projection:
Golub and Pereyra 1973). Searched for are v and u = log k. No floor is v = 0, a bound of the search:
log E would run away.
"""

import numpy as np
from scipy.special import stdtrit

FEWEST = 4
OBJECTIVE = "nonlinear least squares on log loss, one point a size: the mean over its rows of log loss; the best of many starts"
_NO_FLOOR = -20.0  # log of a floor over the smallest loss: profiles start here
_STEPS = 400  # at most
_FAR = 600.0  # of a logarithm whose exponential must be finite
_MOST = 1000  # points that are fitted one by one; more are averaged over narrow ranges of size
_CELLS = 1_000_000  # resamples times points that are fitted at once: some 300 MB
_STEEPEST = 500.0  # exponent times the span of log sizes, at most: below _FAR


def log_loss(x: np.ndarray, k: float, log_scale: float, log_floor: float) -> np.ndarray:
    return np.logaddexp(log_floor, k * (log_scale - x))


def tangents(x: np.ndarray, k: float, log_scale: float, log_floor: float) -> np.ndarray:
    """Directions in which log loss moves with the parameters, shape (N, 3)."""
    log_power = k * (log_scale - x)
    share = np.exp(log_power - np.logaddexp(log_floor, log_power))  # of the power part in the loss
    return np.stack([share, share * (x - x.mean()), share * np.exp(k * (x - x.max()))], axis=1)


def _products(theta, d, y, weights, floor, held_k) -> np.ndarray:
    """Weighted inner products (3, 3, S) of both derivatives and the residuals: what a step is made
    of, and the cost.

    theta, floor: as of `solve`; d (N, 1): log of the largest size over each; y, weights (N, S).
    """
    z = np.exp(theta[1]) * d
    columns = np.empty((3, *z.shape))
    if floor is None:
        lifted = np.exp(theta[0] - z)
        total = 1 + (lifted - np.exp(-z))  # of the loss over its power part
        columns[0], columns[2] = lifted / total, z + np.log(total) - y
    else:
        total = 1 + np.exp(floor - theta[0] - z)
        columns[0], columns[2] = 1 / total, theta[0] + z + np.log(total) - y
    columns[1] = 0 if held_k else z / total
    if floor is None:  # log P at its best takes the mean out
        columns -= ((columns * weights).sum(1) / weights.sum(0))[:, None]
    return np.einsum("ins,jns->ijs", columns * weights, columns)


def solve(
    x,
    y,
    theta,
    weights=None,
    floor=None,
    held_k: bool = False,
    tolerance: float = 1e-18,
    enough: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Levenberg and Marquardt's method on a batch: the least (weighted) sum of squares from each
    start.

    x (N,) log sizes, y (N,) or (N, S) log losses, weights (N, S) or None; theta (2, S): v and u,
    or, where log floors (S,) are given and stay, log P and u; held_k: u stays. A row is done when
    its sum is under `enough`, or by no more than a share `tolerance` of what lies over it still to
    fall. Returns theta (2, S) and the sums of squares (S,).
    """
    d, shape = (x.max() - x)[:, None], (len(x), theta.shape[1])
    y = np.broadcast_to(y if y.ndim == 2 else y[:, None], shape)
    weights = np.broadcast_to(1.0 if weights is None else weights, shape)
    low = np.array([[0.0 if floor is None else floor.min() - _FAR], [-np.inf if held_k else -12.0]])
    high = np.array([[_FAR if floor is None else np.inf], [np.inf if held_k else 5.0]])
    found, costs, rows = theta.copy(), np.empty(shape[1]), np.arange(shape[1])
    products, damping = _products(theta, d, y, weights, floor, held_k), np.full(shape[1], 1e-3)
    for left in reversed(range(_STEPS)):
        (vv, uv, gradient_v), (_, uu, gradient_u), (_, _, cost) = products
        vv, uu = vv + (damping * vv + 1e-12), uu + (damping * uu + 1e-12)
        least, most = (
            np.maximum(low - theta, -3),
            np.minimum(high - theta, 3),
        )  # np.clip takes longer on so few numbers
        step_v = np.minimum(
            np.maximum((uv * gradient_u - uu * gradient_v) / (vv * uu - uv * uv), least[0]), most[0]
        )
        step_u = np.minimum(
            np.maximum(-(gradient_u + uv * step_v) / uu, least[1]), most[1]
        )  # the best one also where step_v is cut short
        fall = -(step_v * gradient_v + step_u * gradient_u)
        trial = theta + np.stack([step_v, step_u])
        new = _products(trial, d, y, weights, floor, held_k)
        bound = cost * (1 + 1e-12)  # rounding must not refuse the last steps
        theta, products = (
            np.where(new[2, 2] <= bound, trial, theta),
            np.where(new[2, 2] <= bound, new, products),
        )
        going = (
            ((1 + damping) * fall > tolerance * (cost - enough) + 1e-28)
            & (cost > enough)
            & (damping < 1e9)
            & (left > 0)
        )
        damping = np.where(
            new[2, 2] <= bound - fall / 2, np.maximum(damping / 4, 1e-9), damping * 5
        )
        if 2 * np.count_nonzero(going) <= len(
            rows
        ):  # to take rows out costs as much as to keep a few
            found[:, rows], costs[rows] = theta, products[2, 2]
            rows, theta, products, damping = (
                rows[going],
                theta[:, going],
                products[..., going],
                damping[going],
            )
            y, weights, floor = (
                y[:, going],
                weights[:, going],
                None if floor is None else floor[going],
            )
            if not len(rows):
                break
    return found, costs


def starts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Thirty-five starts (2, 35): floors from none to just under the smallest loss, exponents from
    0.05 to 3. x, y (N,).
    """
    floors = np.array([1e-6, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])[:, None]  # over the smallest loss
    k = np.array([0.05, 0.2, 0.5, 1.2, 3.0])
    log_power = np.log(np.exp(y - y.min()) - floors).mean(1, keepdims=True)
    log_power = log_power - k * (x.max() - x.mean())
    return np.stack(
        [np.log1p(floors * np.exp(-log_power)).ravel(), np.tile(np.log(k), len(floors))]
    )


def curve_of(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Arguments of `log_loss` of theta (2,) = v, u, with the log P that is best for x, y (N,)."""
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
    """Means of x and y, each shape (P,), and counts, shape (P, 1) or None, over ranges of a
    thousandth of the span of x.

    Within such a range the law is a line, so a fit to the means differs by about a millionth of its
    spread. The largest size is a range by itself, because theta refers to it. Up to `_MOST` points
    stay as they are.
    """
    if len(x) <= _MOST:
        return x, y, None
    place = np.unique((x - x.min()) / np.ptp(x) * _MOST // 1, return_inverse=True)[1]
    counts = np.bincount(place)
    return np.bincount(place, x) / counts, np.bincount(place, y) / counts, counts[:, None]


def curve(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Arguments of `log_loss` of the best fit to x, y (N,), as of `fit`, without intervals."""
    means = _averaged(x, y)
    theta, costs = solve(*means[:2], starts(*means[:2]), means[2])
    if len(means[0]) < len(x):
        theta, costs = solve(x, y, theta[:, _minima(theta, costs)])
    return curve_of(theta[:, costs.argmin()], x, y)


def _around(*centres: float) -> np.ndarray:
    """Values at distances of 6e-5 to 4, each twice the one before, on both sides of each centre."""
    distances = 4 * 0.5 ** np.arange(17)
    offsets = np.concatenate([-distances, [0.0], distances[::-1]])
    return (np.array(centres)[:, None] + offsets).ravel()


def _log_exponents(x: np.ndarray, minima: list[float]) -> np.ndarray:
    """Logs of exponents for the profile: around each minimum, and on to where the law is flat or a
    step.

    With k = 1e-4 / span the loss is constant; with k = 40 / gap only the smallest size is above the
    floor.
    """
    span = np.ptp(x)
    flat = min(np.log(1e-4 / span), min(minima) - 4)
    step = max(np.log(min(40 / (x[1] - x[0]), _STEEPEST / span)), max(minima) + 4)
    return np.unique(np.concatenate([_around(*minima), np.linspace(flat, step, 40)]))


def _log_floors(y: np.ndarray, best: float) -> np.ndarray:
    """Logs of floors for the profile: around the best one, from none to four times the smallest
    loss.
    """
    shares = np.concatenate([_around(np.exp(best - y.min())), np.linspace(1e-3, 4, 80)])
    return y.min() + np.unique(np.append(np.log(shares[shares > 1e-6]), _NO_FLOOR))


def _ends(under, grid: np.ndarray, best: float) -> tuple[float, float]:
    """Smallest and largest value in the grid, refined, at which the sum of squares is below the
    limit.

    Parameters
    ----------
    under : callable
        Maps values, shape (V,), to whether their sums of squares are below the limit, shape (V,).
    grid : ndarray, shape (G,)
        Ascending values. Beyond its ends the law no longer changes.
    best : float
        The value of the best fit.

    Returns
    -------
    tuple of float
        Both ends; infinite if the sum of squares is still below the limit at an end of the grid.
    """
    inside = np.flatnonzero(under(grid))
    if not len(inside):
        return best, best
    ends = []
    for edge, outward in ((inside[0], -1), (inside[-1], 1)):
        if not 0 <= edge + outward < len(grid):
            ends.append(outward * np.inf)
            continue
        near, far = grid[edge], grid[edge + outward]
        for _ in range(3):
            fine = np.linspace(near, far, 11)
            last = np.flatnonzero(under(fine[1:-1]))
            last = last[-1] + 1 if len(last) else 0
            near, far = fine[last], fine[last + 1]
        ends.append(near)
    return min(ends[0], best), max(ends[1], best)


def _minima(theta: np.ndarray, costs: np.ndarray) -> list[int]:
    """Indices of the different minima, best first; two are different when their exponents are by
    more than a thousandth.
    """
    found = []
    for i in np.argsort(costs):
        if costs[i] < 4 * costs.min() + 1e-12 and all(
            abs(theta[1, i] - theta[1, j]) > 1e-3 for j in found
        ):
            found.append(i)
    return found[:2]


def fit(x: np.ndarray, y: np.ndarray) -> dict:
    """x, y (N,): log size and log loss. Intervals by profile: the values at which the best fit is
    not worse by Student's t, 95 %, with N - 3 degrees of freedom.
    """
    mean_x, mean_y, counts = _averaged(x, y)
    theta, costs = solve(mean_x, mean_y, starts(mean_x, mean_y), counts)
    minima = _minima(theta, costs)
    theta, least = theta[:, minima], costs.min()
    if len(mean_x) < len(x):
        theta, costs = solve(x, y, theta)
        order = np.argsort(costs)
        theta, costs = theta[:, order], costs[order]
    else:
        costs = costs[minima]
    u, cost = theta[1, 0], costs[0]
    curves = [curve_of(own, x, y) for own in theta.T]
    own, spare, lowest = curves[0], len(x) - 3, y.min() + _NO_FLOOR
    limit = least + cost * stdtrit(spare, 0.975) ** 2 / spare + 1e-24
    log_floor, log_power = max(own["log_floor"], lowest), own["k"] * (own["log_scale"] - x.max())

    def k_under(values):  # from no floor: with k held there is one minimum
        return (
            solve(
                mean_x,
                mean_y,
                np.stack([np.zeros_like(values), values]),
                counts,
                held_k=True,
                tolerance=1e-6,
                enough=limit,
            )[1]
            <= limit
        )

    def floor_under(values):
        return (
            solve(
                mean_x,
                mean_y,
                np.repeat([[log_power], [u]], len(values), 1),
                counts,
                floor=values,
                tolerance=1e-6,
                enough=limit,
            )[1]
            <= limit
        )

    k_low, k_high = np.exp(_ends(k_under, _log_exponents(x, list(theta[1])), u))
    floor = np.exp(_ends(floor_under, _log_floors(y, log_floor), log_floor))
    none = 1e-6 * float(np.exp(y.min()))
    zero = lambda value: 0.0 if value <= none else float(value)  # noqa: E731
    return {
        "k": own["k"],
        "k_interval": (float(k_low), float(k_high)),
        "log_scale": own["log_scale"],
        "residual_sum": float(cost),
        "parameters": own,
        "more": {
            "floor": zero(np.exp(own["log_floor"])),
            "floor_interval": [zero(floor[0]), float(floor[1])],
            "minima": [
                {
                    "k": curve["k"],
                    "floor": zero(np.exp(curve["log_floor"])),
                    "residual_sum": float(cost),
                }
                for curve, cost in zip(curves, costs, strict=True)
            ],
        },
    }


def bootstrap(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """k of each weighted fit. x, y (N,); weights (B, N). Returns (B,). Starts: the best fit of all
    points, and the two next to it.
    """
    theta, costs = solve(x, y, starts(x, y))
    v, u = theta[:, costs.argmin()]
    tries = np.array([[v, v / 3, v + 0.3], [u, u - 0.3, u + 0.5]])
    found = []
    for part in np.array_split(weights, max(1, weights.size // _CELLS)):
        theta, costs = solve(x, y, np.repeat(tries, len(part), 1), np.tile(part.T, 3))
        winner = costs.reshape(3, -1).argmin(0)
        found.append(np.exp(theta[1].reshape(3, -1)[winner, np.arange(len(part))]))
    return np.concatenate(found)
