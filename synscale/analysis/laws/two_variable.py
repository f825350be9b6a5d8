"""A law of two sizes, L(N, D) = E + A / N^a + B / D^b, for users who scale models as well as data.

Fitted as Hoffmann et al. (arXiv 2203.15556, approach 3) do, Huber loss on log loss, but with the
whole grid of starts, the analytic gradient, and a tolerance tight enough that the answer does not
depend on the starts: a loose one is known to end elsewhere.
"""

from itertools import product

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from threadpoolctl import threadpool_limits

from synscale.analysis.laws.fit import LawError

DELTA = 1e-3
OBJECTIVE = (
    f"sum of Huber losses (delta = {DELTA:g}) of log loss, one point for each pair of sizes: the "
    "mean over its rows of log loss; L-BFGS-B with the analytic gradient, the best of 324 starts"
)
FEWEST = 6
NAMES = ("A", "B", "floor", "a", "b")
LEAST_RATIO = 2.0  # largest size over the smallest
COLLINEAR = 0.99  # squared correlation of log sizes above which the exponents are not identified
ALMOST_COLLINEAR = 0.9
_NO_FLOOR = np.log(1e-6)  # floor over the smallest loss; less is no floor
_TIGHT = {"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-8}
_LOOSE = {"maxiter": 500, "ftol": 1e-9, "gtol": 1e-6}  # resamples: far below their spread
_FLOORS = (0.2, 0.6, 0.9)  # over the smallest loss: where resamples start, besides the optimum


def _terms(theta, log_n, log_d):
    """Return logs of the three parts of the loss, (3, N).

    theta: log A, log B, log E, a, b.
    """
    log_floor = np.full_like(log_n, theta[2])
    return np.stack([theta[0] - theta[3] * log_n, theta[1] - theta[4] * log_d, log_floor])


def objective(theta, log_n, log_d, y) -> tuple[float, np.ndarray]:
    """Return the sum of Huber losses over DELTA squared, and its gradient (5,).

    Parameters
    ----------
    theta : ndarray, shape (5,)
        Log floor, log scale and exponent of each variable.
    log_n, log_d, y : ndarray, shape (N,)
        Log sizes of the model and the data, and log losses.
    """
    terms = _terms(theta, log_n, log_d)
    value = np.logaddexp.reduce(terms, axis=0)
    share = np.exp(terms - value)
    residual = value - y
    small = np.abs(residual) <= DELTA
    loss = np.where(small, residual**2 / 2, DELTA * (np.abs(residual) - DELTA / 2)).sum()
    pull = np.clip(residual, -DELTA, DELTA)
    slopes = -(share[0] * pull * log_n).sum(), -(share[1] * pull * log_d).sum()
    return loss / DELTA**2, np.array([*(share @ pull), *slopes]) / DELTA**2


def points(model_sizes, data_sizes, losses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log sizes and log losses, one point for each pair of sizes.

    A point is the mean over its rows of log loss.

    Parameters
    ----------
    model_sizes, data_sizes, losses : array_like, shape (N,)

    Returns
    -------
    tuple of ndarray, each shape (P,)

    Raises
    ------
    LawError
        If a value is not positive and finite, or if the sizes do not identify both exponents.
    """
    columns = np.array([model_sizes, data_sizes, losses], float)
    for name, values in zip(("model sizes", "data sizes", "losses"), columns, strict=True):
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise LawError(
                f"{name} must be positive, finite numbers: the law is fitted to their logarithms"
            )
        count = len(np.unique(values))
        if count < 3:
            raise LawError(f"{count} different {name} (expected 3 or more); add other sizes")
    pairs, place = np.unique(columns[:2], axis=1, return_inverse=True)
    place = place.ravel()
    if pairs.shape[1] < FEWEST:
        raise LawError(
            f"{pairs.shape[1]} different pairs of sizes (expected {FEWEST} or more); add others"
        )
    for name, values in zip(("model sizes", "data sizes"), pairs, strict=True):
        ratio = values.max() / values.min()
        if ratio < LEAST_RATIO:
            raise LawError(
                f"{name} span a factor of {ratio:.4g} only (expected {LEAST_RATIO:g} or more): "
                "their exponent is not identified; add other sizes, or fit a law of one variable"
            )
    y = np.bincount(place, np.log(columns[2])) / np.bincount(place)
    log_n, log_d = np.log(pairs)
    shared = _shared(log_n, log_d)
    if shared > COLLINEAR:
        raise LawError(
            "model and data sizes are collinear: the squared correlation of their logarithms is "
            f"{shared:.4f} (expected {COLLINEAR:g} or less), so the exponents are not identified; "
            "vary one size with the other fixed, or fit a law of one variable"
        )
    return log_n, log_d, y


def _shared(log_n: np.ndarray, log_d: np.ndarray) -> float:
    """Return the squared correlation of both log sizes."""
    return float(np.corrcoef(log_n, log_d)[0, 1] ** 2)


def _descend(start, log_n, log_d, y, options: dict) -> OptimizeResult:
    data = log_n, log_d, y
    return minimize(objective, start, data, jac=True, method="L-BFGS-B", options=options)


def _starts(y: np.ndarray) -> list[list[float]]:
    """Return 324 starts for centred log sizes."""
    starts = []
    exponents = (0.1, 0.35, 0.8)
    grid = product((0.01, 0.4, 0.8, 0.95), exponents, exponents, (0.1, 0.5, 0.9))
    for share, a, b, left in grid:
        log_floor = y.min() + np.log(share)
        above = y.min() + np.log(max(np.exp(np.median(y) - y.min()) - share, 1e-6))
        starts += [
            [above + np.log(left) + tilt, above + np.log(1 - left) - tilt, log_floor, a, b]
            for tilt in (0.0, 0.5, -0.5)
        ]
    return starts


def _resample_starts(optimum: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return the optimum, and the same loss at the mean sizes with other floors.

    From no floor at all, log E has no gradient.
    """
    starts, middle = [optimum], np.logaddexp.reduce(optimum[:3])
    for share in _FLOORS:
        log_floor = y.min() + np.log(share)
        left = np.log(max(np.exp(middle) - np.exp(log_floor), 1e-3 * np.exp(middle)))
        powers = optimum[:2] + left - np.logaddexp(*optimum[:2])
        starts.append(np.array([*powers, log_floor, *optimum[3:]]))
    return starts


def _bootstrap(optimum: np.ndarray, centred: tuple, times: int, seed: int) -> np.ndarray:
    """Return parameters (times, 5) of case resamples of the points, each the best of its starts."""
    random, count = np.random.default_rng(seed), len(centred[2])
    starts = _resample_starts(optimum, centred[2])
    draws: list[np.ndarray] = []
    while len(draws) < times:
        rows = random.integers(0, count, count)
        log_n, log_d, y = (values[rows] for values in centred)
        if min(len(np.unique(log_n)), len(np.unique(log_d))) < 3:
            continue  # a resample of too few different sizes has no fit and is drawn again
        results = [_descend(start, log_n, log_d, y, _LOOSE) for start in starts]
        draws.append(min(results, key=lambda result: result.fun).x)
    return np.array(draws)


def _warnings(shared: float, fitted: dict, log_sizes: tuple) -> list[str]:
    """Sentences on what the design does not identify."""
    messages = []
    if shared > ALMOST_COLLINEAR:
        messages.append(
            "model and data sizes are almost collinear (squared correlation of their logarithms "
            f"{shared:.3f}): the exponents a and b are hard to distinguish"
        )
    for name, logs in zip(("a", "b"), log_sizes, strict=True):
        if fitted[name] <= 0 or fitted[name] * np.ptp(logs) > 30:
            messages.append(
                f"exponent {name} = {fitted[name]:.3g} is not that of a loss that falls smoothly"
            )
    return messages


def _parameters(rows: np.ndarray, middle: np.ndarray, least: float) -> np.ndarray:
    """Return A, B, E, a, b of rows (..., 5) that are fitted to log sizes less their `middle`.

    A log floor below `least` is no floor.
    """
    logs = rows[..., :3].copy()
    logs[..., :2] += rows[..., 3:] * middle
    scales = np.exp(np.minimum(logs, 700))
    scales[..., 2] = np.where(logs[..., 2] < least, 0.0, scales[..., 2])
    return np.concatenate([scales, rows[..., 3:]], axis=-1)


# L-BFGS-B's matrices are of five numbers: more threads wait on each other, ten times as long.
@threadpool_limits.wrap(limits=1)
def fit(model_sizes, data_sizes, losses, bootstrap: int = 200, seed: int = 0) -> dict:
    """Fit the law of two variables.

    Intervals are 95 % percentiles of a case bootstrap of the points, each resample fitted from the
    optimum and from other floors. On a grid of 16 points all of 40 covered
    (docs/reference/laws.md).

    Parameters
    ----------
    model_sizes, data_sizes, losses : array_like, shape (N,)
        All positive. Rows with the same pair of sizes are repeats of one point.
    bootstrap : int
        Number of resamples; 0 for no intervals.
    seed : int
        Of the resamples.

    Returns
    -------
    dict
        Parameters, intervals `{name}_interval`, and `warnings`.

    Raises
    ------
    LawError
        If the data do not identify the law.
    """
    log_n, log_d, y = points(model_sizes, data_sizes, losses)
    middle = np.array([log_n.mean(), log_d.mean()])
    centred = (log_n - middle[0], log_d - middle[1], y)
    results = [_descend(start, *centred, _TIGHT) for start in _starts(y)]
    best = min(results, key=lambda result: result.fun)
    agreeing = sum(result.fun <= best.fun * (1 + 1e-6) + 1e-12 for result in results)
    least = y.min() + _NO_FLOOR
    fitted = dict(zip(NAMES, map(float, _parameters(best.x, middle, least)), strict=True))
    intervals = {}
    if bootstrap:
        draws = _parameters(_bootstrap(best.x, centred, bootstrap, seed), middle, least)
        ends = np.quantile(draws, [0.025, 0.975], axis=0).T.tolist()
        intervals = {f"{name}_interval": pair for name, pair in zip(NAMES, ends, strict=True)}
    return {
        "law": "two_variable",
        "objective": OBJECTIVE,
        "n": len(np.asarray(losses)),
        "points": len(y),
        **fitted,
        **intervals,
        "objective_value": float(best.fun) * DELTA**2,
        "starts": len(results),
        "starts_at_the_optimum": int(agreeing),
        "warnings": _warnings(_shared(log_n, log_d), fitted, (log_n, log_d)),
    }
