"""Fitting one law to one curve."""

from dataclasses import dataclass, field

import numpy as np

from synscale.analysis.laws import broken, floor, power

LAWS = {"power": power, "floor": floor, "broken": broken}
ROUNDING = 1e-12  # smaller differences of log losses or log sizes are no evidence


class LawError(ValueError):
    """Data that no law, or not this one, can be fitted to; the message is the reason."""


@dataclass(frozen=True)
class Fit:
    """A fitted law. Sizes are in images (or whatever x counts), losses in nats (or y's unit)."""

    law: str
    objective: str
    n: int  # rows of data
    sizes: int  # distinct sizes: the points that the fit sees
    k: float  # scaling ability, dimensionless; before the break for `broken`
    k_interval: tuple[float, float]  # 95 % under this law; infinite where the data set no bound
    log_scale: float  # log C
    residual_sum: float  # sum of squared residuals of log loss
    parameters: dict[str, float]  # arguments of the law's `log_loss`
    more: dict = field(default_factory=dict)  # floor, break, both minima, HC3

    def loss(self, sizes) -> np.ndarray:
        """Return the law's loss at sizes (N,)."""
        return np.exp(LAWS[self.law].log_loss(np.log(np.asarray(sizes, float)), **self.parameters))

    @property
    def aicc(self) -> float:
        """Akaike's criterion, corrected for few points; infinite if there are too few.

        Residuals of log loss are taken as Gaussian.
        """
        free = len(self.parameters) + 1  # and the variance
        spare = self.sizes - free - 1
        if spare <= 0:
            return np.inf
        variance = max(self.residual_sum / self.sizes, ROUNDING**2)
        return self.sizes * np.log(variance) + 2 * free + 2 * free * (free + 1) / spare

    def as_json(self) -> dict:
        """Return the fit for JSON, which has no infinity."""
        scale = np.exp(self.log_scale) if abs(self.log_scale) < 700 else None
        entry = {"law": self.law, "objective": self.objective, "n": self.n, "points": self.sizes}
        exponent = {"k": self.k, "k_interval": bounds(self.k_interval), "scale": scale}
        more = self.more | {
            key: bounds(value)
            for key, value in self.more.items()
            if key.endswith("_interval") and value
        }
        aicc = float(self.aicc) if np.isfinite(self.aicc) else None
        return {**entry, **exponent, "log_scale": self.log_scale, **more, "aicc": aicc}


def bounds(interval) -> list[float | None]:
    """Return both ends of an interval for JSON, which has no infinity: None if it is unbounded."""
    return [float(end) if np.isfinite(end) else None for end in interval]


def points(sizes, losses) -> tuple[np.ndarray, np.ndarray]:
    """Return log sizes and log losses, one point a size: the mean over its rows of log loss.

    Rows of one size are seeds: they share their images (sizes are prefixes), so they are no
    independent points of a curve, and the interval must come from how well a law fits the sizes.

    Parameters
    ----------
    sizes, losses : array_like, shape (N,)

    Raises
    ------
    LawError
        If there is nothing to fit.
    """
    sizes, losses = np.asarray(sizes, float), np.asarray(losses, float)
    if sizes.shape != losses.shape or sizes.ndim != 1:
        raise LawError(
            f"{sizes.shape} sizes and {losses.shape} losses (expected one loss for each size)"
        )
    if not (np.isfinite(sizes).all() and np.isfinite(losses).all()):
        raise LawError("sizes and losses must be finite numbers; remove the rows with missing ones")
    if (sizes <= 0).any() or (losses <= 0).any():
        raise LawError("sizes and losses must be positive: the law is fitted to their logarithms")
    distinct, place, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    if len(distinct) < 3:
        raise LawError(f"{len(distinct)} different sizes (expected 3 or more); add sizes")
    means = np.bincount(place, np.log(losses)) / counts
    if np.ptp(means) < ROUNDING:
        raise LawError("the loss is the same at every size; there is no law to fit")
    return np.log(distinct), means


def fit(law: str, sizes, losses) -> Fit:
    """Fit a law.

    Parameters
    ----------
    law : str
        A key of `LAWS`.
    sizes, losses : array_like, shape (N,)
        Several losses at a size are seeds.

    Raises
    ------
    LawError
        If the data do not allow it.
    """
    x, y = points(sizes, losses)
    module = LAWS[law]
    if len(x) < module.FEWEST:
        needed = f"expected {module.FEWEST} or more for law {law!r}"
        raise LawError(f"{len(x)} different sizes ({needed}); add sizes or name another law")
    fitted = module.fit(x, y)
    if law == "floor" and fitted["residual_sum"] >= ((y - y.mean()) ** 2).sum() * (1 - 1e-9):
        raise LawError("the loss does not fall with size; law 'floor' has no exponent here")
    return Fit(
        law=law, objective=module.OBJECTIVE, n=len(np.asarray(sizes)), sizes=len(x), **fitted
    )
