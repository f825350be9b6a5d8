"""What the joint law is fitted to: one point for each pair of numbers of images."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synscale.analysis.laws.fit import LawError

FEWEST = 7  # also in synscale/study/checks/joint_law.py


@dataclass(frozen=True)
class Points:
    """What the law is fitted to.

    Attributes
    ----------
    real, synthetic : ndarray, shape (N,)
        Numbers of images, divided by `reference`.
    y : ndarray, shape (N,)
        Mean log losses.
    curve : ndarray, shape (N,)
        Name of the curve of each point.
    reference : float
        Geometric mean of the total numbers of images.
    """

    real: np.ndarray
    synthetic: np.ndarray
    y: np.ndarray
    curve: np.ndarray
    reference: float

    def where(self, mask: np.ndarray) -> "Points":
        """Return some of the points, in the same units.

        Parameters
        ----------
        mask : ndarray of bool, shape (N,)
        """
        images = self.real[mask], self.synthetic[mask]
        return Points(*images, self.y[mask], self.curve[mask], self.reference)

    @property
    def is_mixture(self) -> np.ndarray:
        """Which points have images of both kinds, shape (N,)."""
        return (self.real > 0) & (self.synthetic > 0)


def points(real, synthetic, losses, curves) -> Points:
    """Return the points of a fit.

    Parameters
    ----------
    real, synthetic : array_like, shape (N,)
        Numbers of images of each run.
    losses : array_like, shape (N,)
    curves : array_like of str, shape (N,)

    Raises
    ------
    LawError
        If a value cannot be fitted, or if the numbers do not identify a law of both kinds.
    """
    table = pd.DataFrame({"real": real, "synthetic": synthetic, "loss": losses, "curve": curves})
    numbers = table[["real", "synthetic"]].to_numpy(float)
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (numbers.sum(1) > 0).all()):
        raise LawError("numbers of images must be finite, 0 or more, and not both 0")
    loss = table["loss"].to_numpy(float)
    if not (np.isfinite(loss).all() and (loss > 0).all()):
        raise LawError("losses must be positive, finite numbers: the law is fitted to their logs")
    table["y"] = np.log(loss)
    table = table.groupby(["real", "synthetic"], as_index=False, sort=True).agg(
        y=("y", "mean"), curve=("curve", "first")
    )
    n, m = (table[name].to_numpy(float) for name in ("real", "synthetic"))
    if len(table) < FEWEST:
        raise LawError(
            f"{len(table)} different pairs of numbers of images (expected {FEWEST} or more)"
        )
    for name, values, others in (("real", n, m), ("synthetic", m, n)):
        if len(np.unique(values[others == 0])) < 2:
            raise LawError(f"fewer than two numbers of {name} images only; add others")
    if not ((n > 0) & (m > 0)).any():
        raise LawError("no run is trained on a mixture of real and synthetic images; add one")
    reference = float(np.exp(np.log(n + m).mean()))
    y, curve = table["y"].to_numpy(), table["curve"].to_numpy(str)
    return Points(n / reference, m / reference, y, curve, reference)
