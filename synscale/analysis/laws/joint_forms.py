"""Forms of a law of two kinds of images: the loss with n real and m synthetic ones.

Constant weight
    L = E + A (n + w m)^-alpha: a synthetic image is worth w real ones, whatever the mixture.
Weight by share, weight by total
    The same with w = w_1 (m / (n + m))^g, or w = w_1 (n + m)^g: an effective number of images.
Weighted risk
    L = E + B a^2 + (A_s a^2 / m + A_r (1 - a)^2 / n)^beta with a = m / (n + m), the share of
    synthetic images in the training loss. Synthetic images add a bias B, which remains with any
    number of them, and both kinds add an error that falls with their number. The idea of a weighted
    risk with a bias and a power law of both numbers is that of Jain, Montanari and Sasoglu
    (arXiv 2402.04376); this formula is this project's.

Numbers of images are in units of a reference number, and parameters are logarithms (except g), so
that all are of order one. Loss scales (E, A, B) are losses; A, A_r and A_s are losses above the
floor and the bias at the reference number of images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_NONE = np.log(1e-6)  # floor or bias over the smallest loss; less is none
_EXPONENTS = np.log([0.02, 8.0])


@dataclass(frozen=True)
class Form:
    """A form of the law.

    Attributes
    ----------
    name, formula : str
    parameters : tuple of str
        Names of the parameters, in the order of theta.
    values : callable
        Maps theta (S, P), n (N,) and m (N,) to log losses (S, N) and their derivatives (S, N, P).
    falls : callable
        Maps them to how fast the loss falls with n and with m, (S, N) each, up to a common factor.
    may_vanish : tuple of str
        Parameters that may be zero.
    linear : tuple of str
        Parameters that are no logarithms.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    values: Callable
    falls: Callable
    may_vanish: tuple[str, ...] = ("E",)
    linear: tuple[str, ...] = ()

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest theta, shape (P,) each.

        Parameters
        ----------
        y : ndarray, shape (N,)
            Log losses.
        """
        limits = {
            "E": (y.min() + _NONE, y.min() + 0.7),
            "B": (y.min() + _NONE, y.max() + 3),
            "alpha": _EXPONENTS,
            "beta": _EXPONENTS,
            "w": np.log([1e-5, 1e3]),
            "g": (-4.0, 4.0),
        }
        rows = [limits.get(name, (y.min() - 12, y.max() + 8)) for name in self.parameters]
        low, high = np.array(rows).T
        return low, high

    def starts(self, y: np.ndarray) -> np.ndarray:
        """Return starts, shape (S, P): floors, exponents and worths of synthetic images, crossed.

        Parameters
        ----------
        y : ndarray, shape (N,)
            Log losses.
        """
        middle = np.median(y)
        options = {
            "E": y.min() + np.log([1e-3, 0.5, 0.9]),
            "B": y.min() + np.log([1e-2, 0.5]),
            "alpha": np.log([0.2, 0.6, 1.5]),
            "beta": np.log([0.2, 0.6, 1.5]),
            "w": np.log([0.02, 0.2, 1.0]),
            "g": np.array([-0.5, 0.0, 0.5]),
            "A": np.array([middle]),
            "A_real": np.array([middle - 0.5]),
            "A_synthetic": middle + np.array([-0.5, 0.5]),
        }
        axes = np.meshgrid(*(options[name] for name in self.parameters), indexing="ij")
        return np.stack([axis.ravel() for axis in axes], axis=1)

    def natural(self, theta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return parameters in their units, from theta (..., P); a floor or bias may be zero.

        Parameters
        ----------
        theta : ndarray, shape (..., P)
        y : ndarray, shape (N,)
            Log losses that the bounds follow from.
        """
        low, _ = self.bounds(y)
        place = [self.parameters.index(name) for name in self.linear]
        values = np.exp(theta)
        values[..., place] = theta[..., place]
        for name in self.may_vanish:
            column = self.parameters.index(name)
            is_none = theta[..., column] <= low[column] + 1e-3
            values[..., column] = np.where(is_none, 0.0, values[..., column])
        return values


# -- effective number ----------------------------------------------------------------------------


def _constant(n, m) -> np.ndarray:
    return np.zeros_like(m)


def _share(n, m) -> np.ndarray:
    return np.log(np.where(m > 0, m / np.maximum(n + m, 1e-300), 1.0))


def _total(n, m) -> np.ndarray:
    return np.log(n + m)


def _effective(log_base: Callable, theta, n, m) -> tuple[np.ndarray, np.ndarray]:
    """Return log losses and their derivatives of a law of an effective number of images."""
    log_floor, log_scale, log_alpha, log_w, *more = (column[:, None] for column in theta.T)
    base = log_base(n, m)
    added = np.exp(log_w + (more[0] * base if more else 0.0)) * m
    number = n + added
    alpha = np.exp(log_alpha)
    u = np.log(number)
    log_power = log_scale - alpha * u
    value = np.logaddexp(log_floor, log_power)
    share = np.exp(log_power - value)
    by_weight = -share * alpha * added / number
    columns = [1 - share, share, -share * alpha * u, by_weight]
    return value, np.stack([*columns, by_weight * base][: theta.shape[1]], axis=-1)


def _effective_falls(log_base: Callable, power: Callable, theta, n, m):
    """Return how fast an effective number of images grows with n and with m.

    `power` maps n, m and g to the logarithmic derivatives of w by n and by m, times m.
    """
    log_w, *more = (column[:, None] for column in theta.T[3:])
    g = more[0] if more else 0.0
    weight = np.exp(log_w + g * log_base(n, m))
    by_real, by_synthetic = power(n, m, g)
    return 1 + weight * by_real, weight * (1 + by_synthetic)


def _no_power(n, m, g):
    return 0.0, 0.0


def _share_power(n, m, g):
    share = m / np.maximum(n + m, 1e-300)
    return -g * share, g * (1 - share)


def _total_power(n, m, g):
    share = m / np.maximum(n + m, 1e-300)
    return g * share, g * share


def _effective_form(name: str, formula: str, base: Callable, power: Callable, *more: str) -> Form:
    return Form(
        name,
        formula,
        ("E", "A", "alpha", "w", *more),
        lambda theta, n, m: _effective(base, theta, n, m),
        lambda theta, n, m: _effective_falls(base, power, theta, n, m),
        linear=more,
    )


# -- weighted risk -------------------------------------------------------------------------------


def _risk(theta, n, m) -> tuple[np.ndarray, np.ndarray]:
    """Return log losses and their derivatives of the law of a weighted risk."""
    log_floor, log_bias, log_beta, real, synthetic = (column[:, None] for column in theta.T)
    beta = np.exp(log_beta)
    total = np.log(n + m)
    with np.errstate(divide="ignore"):
        log_n, log_m = np.log(n), np.log(m)
    parts = real / beta + log_n, synthetic / beta + log_m
    both = np.logaddexp(*parts)
    of_real = np.exp(parts[0] - both)
    of_synthetic = np.exp(parts[1] - both)
    log_error = beta * (both - 2 * total)
    terms = np.stack(np.broadcast_arrays(log_floor, log_bias + 2 * (log_m - total), log_error))
    value = np.logaddexp.reduce(terms, axis=0)
    shares = np.exp(terms - value)
    by_beta = log_error - of_real * real - of_synthetic * synthetic
    columns = [shares[0], shares[1], shares[2] * by_beta]
    return value, np.stack([*columns, shares[2] * of_real, shares[2] * of_synthetic], axis=-1)


def _risk_falls(theta, n, m):
    """Return how fast the loss of the law of a weighted risk falls with n and with m."""
    _, log_bias, log_beta, real, synthetic = (column[:, None] for column in theta.T)
    beta, bias = np.exp(log_beta), np.exp(log_bias)
    scales = np.exp(real / beta), np.exp(synthetic / beta)
    total = n + m
    error = (scales[0] * n + scales[1] * m) / total**2
    power = beta * error ** (beta - 1)
    by_each = [power * (2 * error / total - scale / total**2) for scale in scales]
    by_real = by_each[0] + 2 * bias * m**2 / total**3
    return by_real, by_each[1] - 2 * bias * m * n / total**3


FORMS = {
    form.name: form
    for form in (
        _effective_form("constant weight", "E + A (n + w m)^-alpha", _constant, _no_power),
        _effective_form(
            "weight by share",
            "E + A (n + w m)^-alpha, w = w_1 (m / (n + m))^g",
            _share,
            _share_power,
            "g",
        ),
        _effective_form(
            "weight by total",
            "E + A (n + w m)^-alpha, w = w_1 (n + m)^g",
            _total,
            _total_power,
            "g",
        ),
        Form(
            "weighted risk",
            "E + B a^2 + (A_s^(1/beta) a^2 / m + A_r^(1/beta) (1 - a)^2 / n)^beta, a = m / (n + m)",
            ("E", "B", "beta", "A_real", "A_synthetic"),
            _risk,
            _risk_falls,
            may_vanish=("E", "B"),
        ),
    )
}
