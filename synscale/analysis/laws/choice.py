"""Which law a curve follows, what the data cannot distinguish, and whether two curves differ."""

from dataclasses import dataclass

import numpy as np

from synscale.analysis.laws.diagnostics import warnings
from synscale.analysis.laws.fit import LAWS, ROUNDING, Fit, LawError, bounds, fit, points

GAIN = 2  # in AICc that a richer law needs
NO_SUPPORT = 10  # difference in AICc above which a law has no support (Burnham and Anderson 2002)
SAME = 1e-6  # relative difference of held-out errors that is rounding of the fits


@dataclass(frozen=True)
class Choice:
    """The law of a curve.

    Attributes
    ----------
    fit : Fit
        Of the chosen law: k is the point estimate.
    reason : str
        Why this law, and what the data cannot distinguish.
    fits : dict of str to Fit
        Every law that can be fitted.
    held_out : dict of str to float
        Root mean square error of log loss at the largest sizes, fitted without them.
    not_ruled_out : tuple of str
        Laws that describe the data about as well: the chosen one first.
    k_interval : tuple of float
        The smallest interval that contains the 95 % intervals of k under each of `not_ruled_out`.
        Infinite if the data set no bound.
    warnings : tuple of str
        What speaks against the chosen law.
    """

    fit: Fit
    reason: str
    fits: dict[str, Fit]
    held_out: dict[str, float]
    not_ruled_out: tuple[str, ...]
    k_interval: tuple[float, float]
    warnings: tuple[str, ...]

    def by_law(self) -> dict:
        """Return k with its interval under each law and over those not ruled out, for JSON."""
        return {
            "k_by_law": {
                law: {"k": fitted.k, "k_interval": bounds(fitted.k_interval)}
                for law, fitted in self.fits.items()
            },
            "not_ruled_out": list(self.not_ruled_out),
            "k_interval_any_law": bounds(self.k_interval),
            "warnings": list(self.warnings),
        }

    def as_json(self) -> dict:
        """Return the chosen fit; its `k_interval` is over all laws that are not ruled out."""
        answer = {"k_interval": bounds(self.k_interval), "reason": self.reason}
        return self.fit.as_json() | answer | self.by_law()


def held_out_error(law: str, x: np.ndarray, y: np.ndarray, hold: int) -> float:
    """Return the root mean square error of log loss at the largest sizes, fitted without them.

    Infinite if too few sizes are left, or if their losses are all the same.

    Parameters
    ----------
    law : str
    x, y : ndarray, shape (N,)
        Log sizes and log losses.
    hold : int
        Number of sizes that are held out.
    """
    module, near = LAWS[law], slice(len(x) - hold)
    if len(x) - hold < module.FEWEST or np.ptp(y[near]) < 1e-12:
        return np.inf
    predicted = module.log_loss(x[-hold:], **module.curve(x[near], y[near]))
    return float(np.sqrt(np.mean((predicted - y[-hold:]) ** 2)))


def _admissible(fits: dict[str, Fit], taken: str) -> tuple[str, ...]:
    """Return the laws that describe the data about as well as the one that is taken.

    The law with a floor contains the pure law, so it is never ruled out in favour of it; the pure
    law is ruled out in favour of a floor if the interval of the floor excludes zero.
    """
    laws = [taken]
    floor = fits.get("floor")
    if floor and taken == "power":
        laws.append("floor")
    if floor and taken == "broken" and not floor.aicc - fits["broken"].aicc > NO_SUPPORT:
        laws.append("floor")
    if taken == "floor" and floor.more["floor_interval"][0] == 0:
        laws.append("power")
    return tuple(laws)


def _sum_of_squares_ratio(count: int) -> float:
    """Return how much smaller the sum of squares with a floor must be for AICc to select it.

    count: number of sizes.
    """
    spare = np.array([count - 4, count - 5])  # the pure law, then with a floor
    if spare[1] <= 0:
        return np.inf
    free = np.array([3, 4])
    penalty = 2 * free + 2 * free * (free + 1) / spare
    return float(np.exp((GAIN + penalty[1] - penalty[0]) / count))


def _reason_for_pure(fits: dict[str, Fit], count: int) -> str:
    if count < LAWS["floor"].FEWEST:
        return (
            f"pure law: {count} sizes are too few for any other, so the interval holds under the "
            "pure law only"
        )
    if "floor" not in fits:
        return (
            "pure law: the loss does not fall, so that a law with a floor fits with any exponent "
            f"or none; no bend can be detected with {count} sizes"
        )
    low, high = fits["floor"].more["floor_interval"]
    upper = f"{high:.3g}" if np.isfinite(high) else "any size"
    reason = f"pure law, not distinguished from a law with a floor of {low:.3g} to {upper}"
    ratio = _sum_of_squares_ratio(count)
    if ratio > 20:
        is_finite = np.isfinite(ratio)
        needed = f"a {ratio:,.0f}-fold smaller sum of squares" if is_finite else "more sizes"
        reason += f": with {count} sizes AICc needs {needed} to select a floor"
    return f"{reason}; no bend can be detected with {count} sizes"


def choose(sizes, losses) -> Choice:
    """Choose the simplest law that a richer one does not beat.

    Laws are compared by AICc and by predicting the largest sizes: a fourth of the sizes, at least
    one, are held out. A richer law is chosen if its AICc is lower by `GAIN` or more and its
    held-out error is not larger, but for rounding. Otherwise the pure law is the point estimate,
    which is no evidence for it: `not_ruled_out` lists the laws that the data do not distinguish
    from it, and the interval of k covers all of them.

    Parameters
    ----------
    sizes, losses : array_like, shape (N,)
        Several losses at a size are seeds.

    Returns
    -------
    Choice
    """
    x, y = points(sizes, losses)
    hold = max(1, len(x) // 4)
    fits = {}
    for law, module in LAWS.items():
        if len(x) >= module.FEWEST:
            try:
                fits[law] = fit(law, sizes, losses)
            except LawError:  # a floor under a loss that does not fall
                continue
    errors = {law: held_out_error(law, x, y, hold) for law in fits}
    taken, reason = "power", _reason_for_pure(fits, len(x))
    for law in fits:
        gain = fits[taken].aicc - fits[law].aicc
        limit = errors[taken] * (1 + SAME) + ROUNDING
        if np.isfinite(fits[law].aicc) and gain >= GAIN and errors[law] <= limit < np.inf:
            reason = (
                f"{law}: AICc lower by {gain:.1f} than {taken}; {hold} largest sizes held out: "
            )
            reason += f"log error {errors[law]:.3f} against {errors[taken]:.3f}"
            taken = law
    laws = _admissible(fits, taken)
    if len(laws) > 1 and taken != "power":
        reason += f"; not ruled out: {laws[1]}"
    ends = [fits[law].k_interval for law in laws]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if "floor" not in fits and len(x) >= LAWS["floor"].FEWEST and taken == "power" and high >= 0:
        high = np.inf  # a flat loss fits a law with a floor and any exponent
    notes = tuple(warnings(fits[taken], sizes, losses))
    return Choice(fits[taken], reason, fits, errors, laws, (low, high), notes)


def compare(first: tuple, second: tuple) -> dict:
    """Compare the exponents of two curves by one regression with an interaction.

    Equal spread about both lines is assumed.

    Parameters
    ----------
    first, second : (sizes, losses)

    Returns
    -------
    dict
        k of each, their difference with its 95 % interval (Student, N - 4 degrees of freedom) and
        p-value, and the number of points.
    """
    from statsmodels.regression.linear_model import OLS  # here, as figures only draw laws

    curves = [points(*first), points(*second)]
    x, y = (np.concatenate(parts) for parts in zip(*curves, strict=True))
    group: np.ndarray = np.repeat([0.0, 1.0], [len(log_sizes) for log_sizes, _ in curves])
    line = OLS(y, np.stack([np.ones_like(x), group, x, group * x], axis=1)).fit()
    low, high = line.conf_int(0.05)[3]
    return {
        "k": [float(-line.params[2]), float(-line.params[2] - line.params[3])],
        "difference": float(-line.params[3]),
        "difference_interval": [float(-high), float(-low)],
        "p": float(line.pvalues[3]),
        "n": len(x),
    }
