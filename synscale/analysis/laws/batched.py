"""Least squares with bounds, many problems at once, by Levenberg and Marquardt's method.

Starts, resamples and profiles of a law are hundreds of small problems; one at a time they would
take minutes. The Jacobian is analytic.
"""

from collections.abc import Callable

import numpy as np

# Maps parameters, shape (S, P), to values, shape (S, N), and their derivatives, shape (S, N, P).
Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_STEPS = 300  # at most
_LONGEST = 2.0  # largest change of a parameter in one step


def solve(
    evaluate: Evaluate,
    y: np.ndarray,
    theta: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    fixed: int | None = None,
    tolerance: float = 1e-12,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise sums of squares of `evaluate(theta) - y`.

    Parameters
    ----------
    evaluate : callable
    y : ndarray, shape (N,) or (S, N)
    theta : ndarray, shape (S, P)
        Starts.
    low, high : ndarray, shape (P,)
        Bounds of the parameters.
    fixed : int, optional
        Index of a parameter that keeps its value.
    tolerance : float
        A problem is done if its sum is expected to fall by no more than this share.

    Returns
    -------
    theta : ndarray, shape (S, P)
    costs : ndarray, shape (S,)
        Sums of squares.
    """
    y = np.broadcast_to(y, (len(theta), y.shape[-1]))
    best = np.clip(theta, low, high)
    if fixed is not None:
        best[:, fixed] = theta[:, fixed]
    costs = np.empty(len(theta))
    rows = np.arange(len(theta))
    damping = np.full(len(theta), 1e-3)
    theta = best.copy()
    values, jacobian = evaluate(theta)
    cost = ((values - y) ** 2).sum(1)
    for left in reversed(range(_STEPS)):
        step, fall = _step(values - y, jacobian, damping, theta, low, high, fixed)
        trial = theta + step
        new_values, new_jacobian = evaluate(trial)
        new_cost = ((new_values - y) ** 2).sum(1)
        is_better = new_cost <= cost * (1 + 1e-12)
        theta = np.where(is_better[:, None], trial, theta)
        values = np.where(is_better[:, None], new_values, values)
        jacobian = np.where(is_better[:, None, None], new_jacobian, jacobian)
        cost = np.where(is_better, new_cost, cost)
        going = (fall > tolerance * cost + 1e-28) & (damping < 1e10) & (left > 0)
        damping = np.where(is_better, np.maximum(damping / 4, 1e-10), damping * 5)
        if 2 * np.count_nonzero(going) <= len(rows):
            best[rows], costs[rows] = theta, cost
            rows, damping, theta, y = rows[going], damping[going], theta[going], y[going]
            values, jacobian, cost = values[going], jacobian[going], cost[going]
            if not len(rows):
                break
    return best, costs


def _step(residuals, jacobian, damping, theta, low, high, fixed) -> tuple[np.ndarray, np.ndarray]:
    """Return damped steps (S, P) inside the bounds, and the falls expected without damping (S,).

    A parameter at a bound that the gradient pushes against stays there, so that the others move as
    if it were a constant.
    """
    gradient = np.einsum("sn,snp->sp", residuals, jacobian)
    products = np.einsum("snp,snq->spq", jacobian, jacobian)
    still = (theta <= low) & (gradient > 0) | (theta >= high) & (gradient < 0)
    if fixed is not None:
        still[:, fixed] = True
    gradient = np.where(still, 0.0, gradient)
    products = np.where(still[:, :, None] | still[:, None, :], 0.0, products)
    diagonal = np.einsum("spp->sp", products)  # a view
    diagonal += damping[:, None] * diagonal + 1e-12 + still
    step = -np.linalg.solve(products, gradient[..., None])[..., 0]
    step = np.clip(np.clip(step, -_LONGEST, _LONGEST), low - theta, high - theta)
    if fixed is not None:
        step[:, fixed] = 0.0
    return step, -(step * gradient).sum(1) * (1 + damping)
