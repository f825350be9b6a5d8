"""The cheapest mixture of real and synthetic images that reaches a loss, by the joint law."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from synscale.analysis.laws.joint import JointFit

LEVELS = [0.025, 0.975]
NUMBERS = 49  # numbers of images of each kind, in addition to none
_AT_ONCE = 50  # draws of the law that are searched together


def _numbers(trained: np.ndarray) -> np.ndarray:
    """Return none and numbers up to the largest one that is trained, on a logarithmic scale."""
    positive = trained[trained > 0]
    return np.append(0.0, np.geomspace(positive.min() / 10, positive.max(), NUMBERS))


def _fewest(losses: np.ndarray, numbers: np.ndarray, target: float) -> np.ndarray:
    """Return the fewest images, shape (S, A), at which the loss falls to a target.

    Parameters
    ----------
    losses : ndarray, shape (S, A, B)
        Log losses; the last axis are the numbers of this kind of images.
    numbers : ndarray, shape (B,)
        Ascending.
    target : float
        Log loss.

    Returns
    -------
    ndarray
        Interpolated between the numbers; infinite if none of them reaches the target.
    """
    is_reached = losses <= target
    first = is_reached.argmax(-1)
    before = np.maximum(first - 1, 0)
    high, low = (np.take_along_axis(losses, at[..., None], -1)[..., 0] for at in (before, first))
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((high - target) / (high - low), 0.0, 1.0)
    part = np.where((first == 0) | ~np.isfinite(part), 1.0, part)
    number = numbers[before] + part * (numbers[first] - numbers[before])
    return np.where(is_reached.any(-1), number, np.inf)


def _mixtures(losses, real, synthetic, target, prices) -> dict[str, np.ndarray]:
    """Return cost, real and synthetic images of the cheapest mixture of each draw, (S,) each.

    Also the costs with images of one kind only. `losses`: shape (S, real, synthetic).
    """
    added = _fewest(losses, synthetic, target)  # for each number of real images
    needed = _fewest(losses.swapaxes(1, 2), real, target)  # for each number of synthetic images
    pairs = [
        np.concatenate([np.broadcast_to(real, added.shape), needed], axis=1),
        np.concatenate([added, np.broadcast_to(synthetic, needed.shape)], axis=1),
    ]
    with np.errstate(invalid="ignore"):
        costs = sum(
            np.where(np.isfinite(n), price * n, np.inf)
            for n, price in zip(pairs, prices, strict=True)
        )
    best = costs.argmin(1)
    cost, *numbers = (np.take_along_axis(v, best[:, None], 1)[:, 0] for v in (costs, *pairs))
    only = needed[:, 0], added[:, 0]
    single = {
        name: np.where(np.isfinite(number), price * number, np.inf)
        for name, price, number in zip(("real_only", "synthetic_only"), prices, only, strict=True)
    }
    return {"cost": cost, "real_images": numbers[0], "synthetic_images": numbers[1]} | single


def cheapest(
    fitted: JointFit, theta: np.ndarray, prices: tuple[float, float], targets: np.ndarray
) -> pd.DataFrame:
    """Return the cheapest mixture for each target loss, among the trained numbers of images.

    Nothing is extrapolated: no more images of a kind than a run was trained on.

    Parameters
    ----------
    fitted : JointFit
    theta : ndarray, shape (S, P)
        Draws of the law, for intervals.
    prices : (float, float)
        Of a real and of a synthetic image.
    targets : ndarray, shape (T,)
        Losses.

    Returns
    -------
    DataFrame
        A row for each target: loss; cost, real_images, synthetic_images, real_only and
        synthetic_only (costs), each with `_low` and `_high` (95 %). Infinite if no mixture, or no
        number of images of this kind, reaches the loss.
    """
    points = fitted.points
    real = _numbers(points.real * points.reference)
    synthetic = _numbers(points.synthetic * points.reference)
    grid: Sequence[np.ndarray] = np.meshgrid(real, synthetic, indexing="ij")
    shape = len(real), len(synthetic)
    rows_by_target: list[list[dict[str, np.ndarray]]] = [[] for _ in targets]
    rows = np.concatenate([fitted.theta[None], theta])
    for part in np.array_split(rows, -(-len(rows) // _AT_ONCE)):
        with np.errstate(divide="ignore", invalid="ignore"):
            losses = fitted.log_loss(grid[0].ravel(), grid[1].ravel(), part).reshape(-1, *shape)
        losses[:, 0, 0] = np.inf  # no images at all
        for place, target in enumerate(np.log(targets)):
            rows_by_target[place].append(_mixtures(losses, real, synthetic, target, prices))
    table = []
    for target, parts in zip(targets, rows_by_target, strict=True):
        row = {"loss": float(target)}
        for name in parts[0]:
            values = np.concatenate([part[name] for part in parts])
            low, high = np.quantile(values[1:], LEVELS, method="nearest")
            row |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
        table.append(row)
    return pd.DataFrame(table)
