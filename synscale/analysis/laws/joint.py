"""The joint law of real and synthetic images, fitted to the runs on both kinds and on mixtures.

One point for each pair of numbers: the mean over its runs of log loss. Every form of `joint_forms`
is fitted by least squares on log loss, from many starts. The forms are compared by AICc and by
predicting each mixture curve from all other points. Parameters have profile intervals; quantities
that follow from them (the marginal value of an image, the cheapest mixture) are computed for laws
that are fitted again to draws with Student's scatter about the law.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from synscale.analysis.laws import batched, profile
from synscale.analysis.laws.choice import GAIN, NO_SUPPORT, SAME
from synscale.analysis.laws.fit import ROUNDING
from synscale.analysis.laws.joint_forms import FORMS, Form
from synscale.analysis.laws.joint_points import Points

OBJECTIVE = (
    "least squares on log loss, one point for each pair of numbers: the mean over its runs of log "
    "loss; the best of many starts"
)
DRAWS = 400
_GRID = 121  # values of a profile


@dataclass(frozen=True)
class JointFit:
    """A fitted form.

    Attributes
    ----------
    form : Form
    theta : ndarray, shape (P,)
    residual_sum : float
        Of squared residuals of log loss.
    points : Points
    held_out : float
        Root mean square error of log loss of the mixture curves, each predicted from all other
        points; infinite if too few points are left.
    """

    form: Form
    theta: np.ndarray
    residual_sum: float
    points: Points
    held_out: float

    @property
    def residual_sd(self) -> float:
        """Standard deviation of residuals of log loss, with N - P degrees of freedom."""
        spare = max(1, len(self.points.y) - len(self.theta))
        return float(np.sqrt(self.residual_sum / spare))

    @property
    def aicc(self) -> float:
        """Akaike's criterion, corrected for few points; infinite if there are too few."""
        count, free = len(self.points.y), len(self.theta) + 1
        if count - free - 1 <= 0:
            return np.inf
        variance = max(self.residual_sum / count, ROUNDING**2)
        return count * np.log(variance) + 2 * free + 2 * free * (free + 1) / (count - free - 1)

    def log_loss(self, real, synthetic, theta: np.ndarray | None = None) -> np.ndarray:
        """Return log losses (S, M) of numbers of images (M,), for theta (S, P) or the best one.

        Parameters
        ----------
        real, synthetic : array_like, shape (M,)
            Numbers of images.
        theta : ndarray, shape (S, P), optional
        """
        theta = self.theta[None] if theta is None else theta
        return self.form.values(theta, *self._scaled(real, synthetic))[0]

    def marginal_value(self, real, synthetic, theta: np.ndarray | None = None) -> np.ndarray:
        """Return how many real images the next synthetic image is worth, shape (S, M).

        (dL / dm) / (dL / dn); negative if another synthetic image does harm, NaN if another real
        image does.

        Parameters
        ----------
        real, synthetic, theta
            As of `log_loss`.
        """
        theta = self.theta[None] if theta is None else theta
        by_real, by_synthetic = np.broadcast_arrays(
            *self.form.falls(theta, *self._scaled(real, synthetic))
        )
        return by_synthetic / np.where(by_real > 0, by_real, np.nan)

    def _scaled(self, real, synthetic) -> tuple[np.ndarray, np.ndarray]:
        reference = self.points.reference
        return np.asarray(real, float) / reference, np.asarray(synthetic, float) / reference


def _evaluate(form: Form, data: Points) -> batched.Evaluate:
    return lambda theta: form.values(theta, data.real, data.synthetic)


def _optimum(form: Form, data: Points) -> tuple[np.ndarray, float]:
    """Return the best theta (P,) of all starts, and its sum of squares."""
    limits = form.bounds(data.y)
    theta, costs = batched.solve(_evaluate(form, data), data.y, form.starts(data.y), *limits)
    best = int(costs.argmin())
    return theta[best], float(costs[best])


def predict(form: Form, data: Points, held_out: np.ndarray) -> np.ndarray:
    """Return predicted log losses of the points in `held_out` (N,), fitted to the others.

    NaN if too few points are left.

    Parameters
    ----------
    form : Form
    data : Points
    held_out : ndarray, shape (N,), bool
    """
    rest, target = data.where(~held_out), data.where(held_out)
    if len(rest.y) <= len(form.parameters):
        return np.full(len(target.y), np.nan)
    theta, _ = _optimum(form, rest)
    return form.values(theta[None], target.real, target.synthetic)[0][0]


def held_out(form: Form, data: Points) -> pd.DataFrame:
    """Return predictions of mixtures that the fit has not seen.

    Parameters
    ----------
    form : Form
    data : Points

    Returns
    -------
    DataFrame
        A row for each mixture: curve, real_images, synthetic_images, loss, and predicted losses:
        without_curve, fitted without its curve; largest, fitted without the largest mixture of
        every curve (NaN for other mixtures).
    """
    mixtures = np.flatnonzero(data.is_mixture)
    without, largest = np.full((2, len(data.y)), np.nan)
    is_largest: np.ndarray = np.zeros(len(data.y), bool)
    for name in np.unique(data.curve[mixtures]):
        of_curve = data.is_mixture & (data.curve == name)
        without[of_curve] = predict(form, data, of_curve)
        is_largest[np.flatnonzero(of_curve)[np.argmax(data.synthetic[of_curve])]] = True
    largest[is_largest] = predict(form, data, is_largest)
    rows = {
        "curve": data.curve,
        "real_images": data.real * data.reference,
        "synthetic_images": data.synthetic * data.reference,
        "loss": np.exp(data.y),
        "without_curve": np.exp(without),
        "largest": np.exp(largest),
    }
    return pd.DataFrame(rows).iloc[mixtures].reset_index(drop=True)


def error(table: pd.DataFrame, column: str) -> float:
    """Return the root mean square error of log loss of a column of `held_out`.

    Infinite if there is no prediction.

    Parameters
    ----------
    table : DataFrame
        As `held_out` returns it.
    column : {"without_curve", "largest"}
    """
    rows = table.dropna(subset=[column])
    if rows.empty:
        return np.inf
    return float(np.sqrt(np.mean((np.log(rows[column]) - np.log(rows["loss"])) ** 2)))


def fit(form: Form, data: Points) -> JointFit:
    """Fit one form, and predict each mixture curve from the other points.

    Parameters
    ----------
    form : Form
    data : Points
    """
    theta, cost = _optimum(form, data)
    return JointFit(form, theta, cost, data, error(held_out(form, data), "without_curve"))


def choose(data: Points) -> tuple[JointFit, dict[str, JointFit], list[str]]:
    """Choose the simplest form that a richer one does not beat.

    A form replaces the one before it if its AICc is lower by `GAIN` or more and its held-out error
    is not larger.

    Returns
    -------
    JointFit
        Of the chosen form.
    dict of str to JointFit
        Of every form.
    list of str
        Forms that AICc does not rule out: at most `NO_SUPPORT` above the lowest.
    """
    fits = {name: fit(form, data) for name, form in FORMS.items()}
    taken, *richer = fits.values()
    for other in richer:
        limit = taken.held_out * (1 + SAME) + ROUNDING
        if taken.aicc - other.aicc >= GAIN and other.held_out <= limit < np.inf:
            taken = other
    lowest = min(fitted.aicc for fitted in fits.values())
    possible = [name for name, f in fits.items() if not f.aicc - lowest > NO_SUPPORT]
    return taken, fits, possible


def parameters(fitted: JointFit) -> pd.DataFrame:
    """Return the parameters of a fit with profile intervals.

    Ends are the values at which the best fit is not worse by Student's t, 95 %, with N - P degrees
    of freedom. A parameter is not identified if the data do not bound it: a floor or bias from
    above, any other one from both sides.

    Returns
    -------
    DataFrame
        parameter, value, low, high, identified. An unbounded end is infinite, or 0.
    """
    form, data = fitted.form, fitted.points
    low, high = form.bounds(data.y)
    spare = len(data.y) - len(fitted.theta)
    factor = 1 + stdtrit(spare, 0.975) ** 2 / spare if spare > 0 else np.inf
    limit = fitted.residual_sum * factor + 1e-24
    rows = []
    for place, name in enumerate(form.parameters):
        grid = np.union1d(np.linspace(low[place], high[place], _GRID), fitted.theta[place])
        under = _profile(fitted, place, limit)
        ends = np.array(profile.ends(under, grid, float(fitted.theta[place])))
        best, *bounds = (_value(fitted, place, end) for end in (fitted.theta[place], *ends))
        is_bounded = np.isfinite(ends) | np.array([name in form.may_vanish, False])
        rows.append((name, best, *bounds, bool(is_bounded.all())))
    return pd.DataFrame(rows, columns=["parameter", "value", "low", "high", "identified"])


def _profile(fitted: JointFit, place: int, limit: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the test whether values of a parameter are below the limit of the profile."""
    form, data = fitted.form, fitted.points

    def under(values: np.ndarray) -> np.ndarray:
        start = np.repeat(fitted.theta[None], len(values), 0)
        start[:, place] = values
        evaluate = _evaluate(form, data)
        costs = batched.solve(evaluate, data.y, start, *form.bounds(data.y), place, 1e-8)[1]
        return costs <= limit

    return under


def _value(fitted: JointFit, place: int, end: float) -> float:
    """Return a parameter in its units; `end` may be infinite."""
    if np.isinf(end):
        is_linear = fitted.form.parameters[place] in fitted.form.linear
        return end if end > 0 or is_linear else 0.0
    theta = fitted.theta.copy()
    theta[place] = end
    return float(fitted.form.natural(theta, fitted.points.y)[place])


def draws(fitted: JointFit, count: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Return theta (count, P) of the law fitted again to its losses with Student's scatter.

    Each is the better of two fits: from the optimum, and from half the smallest loss as the floor.

    Parameters
    ----------
    fitted : JointFit
    count, seed : int
        Number of fits, and the seed of their scatter.
    """
    data, form = fitted.points, fitted.form
    random = np.random.default_rng(seed)
    spare = max(1, len(data.y) - len(fitted.theta))
    scatter = np.sqrt(fitted.residual_sum / random.chisquare(spare, (count, 1)))
    law = form.values(fitted.theta[None], data.real, data.synthetic)[0]
    y = law + scatter * random.normal(size=(count, len(data.y)))
    start = np.repeat(fitted.theta[None], 2 * count, 0)
    start[count:, form.parameters.index("E")] = data.y.min() + np.log(0.5)
    limits = form.bounds(data.y)
    theta, costs = batched.solve(
        _evaluate(form, data), np.tile(y, (2, 1)), start, *limits, None, 1e-8
    )
    is_second = costs[count:] < costs[:count]
    return np.where(is_second[:, None], theta[count:], theta[:count])
