"""Profile intervals: the values of a parameter at which the best fit is not much worse."""

from collections.abc import Callable

import numpy as np

NO_FLOOR = -20.0  # log of a floor over the smallest loss: profiles start here
STEEPEST = 500.0  # exponent times the span of log sizes, at most: exponentials stay finite


def _around(*centres: float) -> np.ndarray:
    """Return values at distances of 6e-5 to 4, doubling, on both sides of each centre."""
    distances = 4 * 0.5 ** np.arange(17)
    offsets = np.concatenate([-distances, [0.0], distances[::-1]])
    return (np.array(centres)[:, None] + offsets).ravel()


def log_exponents(x: np.ndarray, minima: list[float]) -> np.ndarray:
    """Return logs of exponents: around each minimum, and on to where the law is flat or a step.

    With k = 1e-4 / span the loss is constant; with k = 40 / gap only the smallest size is above the
    floor.

    Parameters
    ----------
    x : ndarray, shape (N,)
        Log sizes.
    minima : list of float
        Exponents at minima.
    """
    span = float(np.ptp(x))
    flat = min(np.log(1e-4 / span), min(minima) - 4)
    step = max(np.log(min(40 / (x[1] - x[0]), STEEPEST / span)), max(minima) + 4)
    return np.unique(np.concatenate([_around(*minima), np.linspace(flat, step, 40)]))


def log_floors(y: np.ndarray, best: float) -> np.ndarray:
    """Return logs of floors: around the best one, from none to four times the smallest loss.

    Parameters
    ----------
    y : ndarray, shape (N,)
        Log losses.
    best : float
        Log of the best floor.
    """
    shares = np.concatenate([_around(np.exp(best - y.min())), np.linspace(1e-3, 4, 80)])
    return y.min() + np.unique(np.append(np.log(shares[shares > 1e-6]), NO_FLOOR))


def ends(
    under: Callable[[np.ndarray], np.ndarray], grid: np.ndarray, best: float
) -> tuple[float, float]:
    """Return the ends of the values in a grid whose sum of squares is below the limit, refined.

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
    limits = []
    for edge, outward in ((inside[0], -1), (inside[-1], 1)):
        if not 0 <= edge + outward < len(grid):
            limits.append(outward * np.inf)
            continue
        near, far = grid[edge], grid[edge + outward]
        for _ in range(3):
            fine = np.linspace(near, far, 11)
            last = np.flatnonzero(np.append(True, under(fine[1:-1])))[-1]
            near, far = fine[last], fine[last + 1]
        limits.append(near)
    return min(limits[0], best), max(limits[1], best)
