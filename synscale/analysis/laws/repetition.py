"""A law of unique images and epochs: how much a repeated image is worth.

L = (C / D')^k with D' = U (1 + R* (1 - exp(-R / R*))) for U unique images that are seen in R + 1
epochs (Muennighoff et al. 2023, arXiv 2305.16264, equation 5, there for tokens). The first
repetitions are worth nearly as much as new images; all of them together are worth R* times the
unique ones. An incomplete epoch counts the images that are seen. The law has no floor, like the
project's law of the number of images, and it cannot rise with epochs.

Fitted by least squares to one point for each pair of numbers: the mean over seeds of log loss.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import fdtrc, stdtrit

from synscale.analysis.laws import batched, profile
from synscale.analysis.laws.fit import LawError

PARAMETERS = ("log_loss_at_reference", "k", "r_star")
FEWEST = 5  # points, two more than parameters; also in synscale/study/checks/repetition.py
_LOW, _HIGH = np.log([[1e-8, 5e-3, 1e-3], [1e8, 5.0, 1e5]])
_GRID = 161  # values of a profile


@dataclass(frozen=True)
class Points:
    """What the law is fitted to.

    Attributes
    ----------
    images, epochs : ndarray, shape (N,)
        Unique images, and how often each is seen.
    y : ndarray, shape (N,)
        Mean log losses.
    """

    images: np.ndarray
    epochs: np.ndarray
    y: np.ndarray

    @property
    def reference(self) -> float:
        """Geometric mean of the numbers of images."""
        return float(np.exp(np.log(self.images).mean()))

    def where(self, mask: np.ndarray) -> "Points":
        """Return some of the points.

        Parameters
        ----------
        mask : ndarray of bool, shape (N,)
        """
        return Points(self.images[mask], self.epochs[mask], self.y[mask])


@dataclass(frozen=True)
class RepetitionFit:
    """The fitted law.

    Attributes
    ----------
    theta : ndarray, shape (3,)
        Log loss at the reference number of images seen once, log k, log R*.
    points : Points
    residual_sum : float
        Of squared residuals of log loss.
    """

    theta: np.ndarray
    points: Points
    residual_sum: float

    @property
    def r_star(self) -> float:
        """R*: what all repetitions together are worth, in the unique images."""
        return float(np.exp(self.theta[2]))

    def log_loss(self, images, epochs) -> np.ndarray:
        """Return log losses, shape (N,).

        Parameters
        ----------
        images, epochs : array_like, shape (N,)
        """
        images, epochs = (np.asarray(values, float) for values in (images, epochs))
        return _values(self.theta[None], images, epochs, self.points.reference)[0][0]


def points(images, epochs, losses) -> Points:
    """Return the points of a fit.

    Parameters
    ----------
    images, epochs, losses : array_like, shape (N,)
        Unique images, epochs and loss of each run.

    Raises
    ------
    LawError
        If a value cannot be fitted, or if the runs do not separate images from epochs.
    """
    table = pd.DataFrame({"images": images, "epochs": epochs, "loss": losses}).astype(float)
    values = table.to_numpy()
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise LawError("images, epochs and losses must be positive, finite numbers")
    table["y"] = np.log(table["loss"])
    means = table.groupby(["images", "epochs"], as_index=False)["y"].mean()
    if len(means) < FEWEST:
        pairs = f"{len(means)} different pairs of images and epochs"
        raise LawError(f"{pairs} (expected {FEWEST} or more)")
    if means["images"].nunique() < 2:
        raise LawError("one number of images; add another")
    if means.groupby("images")["epochs"].nunique().max() < 2:
        raise LawError("no number of images has runs of different epochs; add iterations")
    return Points(*(means[name].to_numpy() for name in ("images", "epochs", "y")))


def effective_share(epochs, r_star) -> np.ndarray:
    """Return D' / U: the number of new images that a repeated image is worth, in all epochs.

    Parameters
    ----------
    epochs : array_like, shape (N,)
    r_star : float
    """
    epochs = np.asarray(epochs, float)
    repeated = np.maximum(epochs - 1, 0)
    return np.minimum(epochs, 1) - r_star * np.expm1(-repeated / r_star)


def _values(theta, images, epochs, reference) -> tuple[np.ndarray, np.ndarray]:
    """Return log losses (S, N) and their derivatives (S, N, 3) for theta (S, 3)."""
    level, log_k, log_r = (column[:, None] for column in theta.T)
    k, r_star = np.exp(log_k), np.exp(log_r)
    share = effective_share(epochs, r_star)
    number = np.log(images / reference) + np.log(share)
    ratio = np.maximum(epochs - 1, 0) / r_star
    by_r = -np.expm1(-ratio) - ratio * np.exp(-ratio)
    columns = [np.ones_like(number), -k * number, -k * r_star * by_r / share]
    return level - k * number, np.stack(np.broadcast_arrays(*columns), axis=-1)


def _solve(data: Points, theta: np.ndarray, fixed: int | None = None):
    reference = data.reference
    return batched.solve(
        lambda theta: _values(theta, data.images, data.epochs, reference),
        data.y,
        theta,
        _LOW,
        _HIGH,
        fixed,
    )


def fit(data: Points) -> RepetitionFit:
    """Fit the law from many starts.

    Parameters
    ----------
    data : Points
    """
    exponents, worths = np.log([0.05, 0.2, 0.6]), np.log([0.3, 3.0, 30.0, 1e3])
    starts = [(data.y.mean(), k, r_star) for k in exponents for r_star in worths]
    theta, costs = _solve(data, np.array(starts))
    best = int(costs.argmin())
    return RepetitionFit(theta[best], data, float(costs[best]))


def parameters(fitted: RepetitionFit) -> pd.DataFrame:
    """Return k and R* with profile intervals.

    Ends are the values at which the best fit is not worse by Student's t, 95 %, with N - 3 degrees
    of freedom. A parameter is identified if the data bound it from both sides.

    Returns
    -------
    DataFrame
        parameter, value, low, high, identified. An unbounded end is 0 or infinite.
    """
    data = fitted.points
    spare = len(data.y) - len(fitted.theta)
    limit = fitted.residual_sum * (1 + stdtrit(spare, 0.975) ** 2 / spare) + 1e-24
    rows = []
    for place, name in enumerate(PARAMETERS[1:], 1):

        def under(values: np.ndarray, place: int = place) -> np.ndarray:
            theta = np.repeat(fitted.theta[None], len(values), 0)
            theta[:, place] = values
            return _solve(data, theta, place)[1] <= limit

        grid = np.union1d(np.linspace(_LOW[place], _HIGH[place], _GRID), fitted.theta[place])
        ends = np.array(profile.ends(under, grid, float(fitted.theta[place])))
        value, low, high = np.exp([fitted.theta[place], *ends])
        rows.append((name, value, low, high, bool(np.isfinite(ends).all())))
    return pd.DataFrame(rows, columns=["parameter", "value", "low", "high", "identified"])


def held_out_error(data: Points) -> float:
    """Return the error of predicting the most epochs of each number of images from fewer.

    Parameters
    ----------
    data : Points

    Returns
    -------
    float
        Root mean square error of log loss; NaN if too few points are left for a fit.
    """
    most = pd.Series(data.epochs).groupby(data.images).transform("max").to_numpy()
    is_most = data.epochs == most
    rest = data.where(~is_most)
    if len(rest.y) < FEWEST or len(np.unique(rest.images)) < 2:
        return float("nan")
    fitted = fit(rest)
    predicted = fitted.log_loss(data.images[is_most], data.epochs[is_most])
    return float(np.sqrt(np.mean((predicted - data.y[is_most]) ** 2)))


def lack_of_fit(fitted: RepetitionFit, images, epochs, losses) -> float:
    """Return the p value of the F-test that the law fits: residuals of means against seed noise.

    Runs are taken as independent. A small value states that the law is wrong, and its intervals
    with it.

    Parameters
    ----------
    fitted : RepetitionFit
    images, epochs, losses : array_like, shape (N,)
        Unique images, epochs and loss of each run.

    Returns
    -------
    float
        NaN if no pair of numbers has several runs.
    """
    table = pd.DataFrame({"images": images, "epochs": epochs, "y": np.log(losses)}).astype(float)
    groups = table.groupby(["images", "epochs"])["y"]
    means = groups.agg(["mean", "size"]).reset_index()
    noise = float(((table["y"] - groups.transform("mean")) ** 2).sum())
    residuals = means["mean"] - fitted.log_loss(means["images"], means["epochs"])
    misfit = float((means["size"] * residuals**2).sum())
    spare, repeats = len(means) - len(fitted.theta), len(table) - len(means)
    if repeats == 0 or noise == 0:
        return float("nan")
    return float(fdtrc(spare, repeats, misfit / spare / (noise / repeats)))
