"""Which law a curve follows, and whether two curves differ."""

from dataclasses import dataclass

import numpy as np
from statsmodels.regression.linear_model import OLS

from scripts.lib.laws.fit import LAWS, Fit, fit, points


@dataclass(frozen=True)
class Choice:
    fit: Fit
    reason: str
    fits: dict[str, Fit]
    held_out: dict[str, float]  # root mean square error of log loss at the largest sizes, fitted without them


def held_out_error(law: str, x: np.ndarray, y: np.ndarray, hold: int) -> float:
    """Fit to all but the `hold` largest of log sizes and log losses (N,) and predict those: root mean square error of log loss. Infinite where
    too few are left, or all of these are the same."""
    module, near = LAWS[law], slice(len(x) - hold)
    if len(x) - hold < module.FEWEST or np.ptp(y[near]) < 1e-12:
        return np.inf
    return float(np.sqrt(np.mean((module.log_loss(x[-hold:], **module.curve(x[near], y[near])) - y[-hold:]) ** 2)))


def choose(sizes, losses) -> Choice:
    """The simplest law that a richer one does not beat, both at predicting the largest sizes from the smaller ones and by AICc.

    A fourth of the sizes, one at least, are held out. A richer law is taken when its AICc is lower by 2 at least and its held-out error
    is not larger; where there are too few sizes to hold any out or to compute AICc, the pure law stands.
    """
    x, y = points(sizes, losses)
    hold = max(1, len(x) // 4)
    fits = {law: fit(law, sizes, losses) for law, module in LAWS.items() if len(x) >= module.FEWEST}
    errors = {law: held_out_error(law, x, y, hold) for law in fits}
    taken, reason = "power", f"the pure law: with {len(x)} sizes there are too few to tell it from a richer one"
    richer = [law for law in fits if law != "power" and np.isfinite(fits[law].aicc) and np.isfinite(errors[law])]
    if richer:
        reason = "the pure law: no richer one has a lower AICc (by 2) and predicts the largest sizes at least as well"
    for law in richer:
        gain = fits[taken].aicc - fits[law].aicc
        if gain >= 2 and errors[law] <= errors[taken]:
            told = f"the {hold} largest sizes are predicted with a log error of {errors[law]:.3f} against {errors[taken]:.3f}"
            reason = f"{law}: AICc lower by {gain:.1f} than {taken}, and {told}"
            taken = law
    return Choice(fits[taken], reason, fits, errors)


def compare(first: tuple, second: tuple) -> dict:
    """Difference of the exponents of two curves, each (sizes, losses), as one regression with an interaction.

    Returns k of each, their difference with its 95 % interval (Student, N - 4 degrees of freedom) and p-value. Equal spread about both
    lines is assumed.
    """
    x, y, group = [], [], []
    for place, curve in enumerate((first, second)):
        own_x, own_y = points(*curve)
        x, y, group = np.append(x, own_x), np.append(y, own_y), np.append(group, np.full(len(own_x), float(place)))
    line = OLS(y, np.stack([np.ones_like(x), group, x, group * x], axis=1)).fit()
    low, high = line.conf_int(0.05)[3]
    return {
        "k": [float(-line.params[2]), float(-line.params[2] - line.params[3])],
        "difference": float(-line.params[3]),
        "difference_interval": [float(-high), float(-low)],
        "p": float(line.pvalues[3]),
        "n": len(x),
    }
