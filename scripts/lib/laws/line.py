"""A straight line by ordinary least squares: what statsmodels' OLS finds, without the second that importing it takes."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Line:
    """y = level + slope (x - centre), fitted to N points."""

    x: np.ndarray  # (N,) from their mean, the centre
    residuals: np.ndarray  # (N,)
    centre: float
    level: float
    slope: float

    @property
    def spare(self) -> int:
        """Degrees of freedom that are left."""
        return len(self.x) - 2

    @property
    def intercept(self) -> float:
        return self.level - self.slope * self.centre

    @property
    def width(self) -> float:
        """Sum of squares of x about the centre."""
        return float(self.x @ self.x)

    @property
    def residual_sum(self) -> float:
        return float(self.residuals @ self.residuals)

    @property
    def slope_error(self) -> float:
        """Standard error of the slope, with equal spread about the line."""
        return float(np.sqrt(self.residual_sum / self.spare / self.width))

    @property
    def slope_error_hc3(self) -> float:
        """The same of MacKinnon and White (1985), with any spread: each residual is divided by one minus its leverage."""
        leverage = 1 / len(self.x) + self.x**2 / self.width
        return float(np.sqrt(((self.x * self.residuals / (1 - leverage)) ** 2).sum()) / self.width)

    @property
    def covariance(self) -> np.ndarray:
        """Of intercept and slope, (2, 2)."""
        own = np.array([[self.width / len(self.x) + self.centre**2, -self.centre], [-self.centre, 1.0]])
        return own * self.slope_error**2


def line(x: np.ndarray, y: np.ndarray) -> Line:
    """x, y (N,), N of 3 at least."""
    centre, level = float(x.mean()), float(y.mean())
    x = x - centre
    slope = float(x @ y / (x @ x))
    return Line(x, y - level - slope * x, centre, level, slope)


def interval(value: float, error: float, spare: float) -> tuple[float, float]:
    """95 %, of Student's t with `spare` degrees of freedom."""
    half = float(stdtrit(spare, 0.975)) * error
    return value - half, value + half
