"""The paper's scaling law, L(D) = (C / D)^k, fitted as it fits it: a straight line of log loss on log size."""

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm

OBJECTIVE = "ordinary least squares on log cross-entropy against log number of images, one point a size: the mean over seeds of log cross-entropy"


@dataclass(frozen=True)
class PowerLaw:
    k: float  # scaling ability: minus the slope, dimensionless
    k_interval: tuple[float, float]  # 95 %, t with sizes - 2 degrees of freedom
    log_scale: float  # log C: the size at which the line meets a loss of 1 nat
    r_squared: float
    points: int

    def loss(self, sizes: np.ndarray) -> np.ndarray:
        return np.exp(self.k * (self.log_scale - np.log(sizes)))


def fit_power_law(sizes: np.ndarray, losses: np.ndarray) -> PowerLaw:
    """Fit L(D) = (C / D)^k to losses (N,), in nats, at sizes (N,), in images; several losses at a size are its seeds.

    Seeds share their images (sizes are prefixes), so they are no independent points: the log losses of a size are averaged first, and
    the interval tells how well a line fits the sizes. Raises ValueError where there is no line to fit.
    """
    sizes, losses = np.asarray(sizes, float), np.asarray(losses, float)
    if not (np.isfinite(sizes).all() and np.isfinite(losses).all()):
        raise ValueError("sizes and losses must be finite numbers")
    if (sizes <= 0).any() or (losses <= 0).any():
        raise ValueError("sizes and losses must be positive: the law is fitted to their logarithms")
    distinct = np.unique(sizes)
    if len(distinct) < 3:
        raise ValueError(f"{len(distinct)} sizes: a slope with an interval needs 3 at least")
    means = np.array([np.log(losses[sizes == size]).mean() for size in distinct])
    fit = sm.OLS(means, sm.add_constant(np.log(distinct))).fit()
    intercept, slope = fit.params
    low, high = fit.conf_int(0.05)[1]
    flat = np.ptp(means) == 0
    return PowerLaw(
        k=-slope, k_interval=(-high, -low), log_scale=np.nan if flat else -intercept / slope, r_squared=np.nan if flat else fit.rsquared, points=len(distinct)
    )
