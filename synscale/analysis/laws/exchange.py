"""What one more real image is worth in synthetic ones, from the law that each curve follows.

With L_r(D) = L_s(S), D real images are matched by S synthetic ones, and one more real image by

    dS / dD = (S / D) s_r(D) / s_s(S),    s = -d log L / d log D of each law.

The laws are those that `choose` takes for each curve over all its sizes, as in the table of laws.
For two pure laws this is dS / dD = (k_r / k_s) S / D. The definition is this project's.
"""

import numpy as np
import pandas as pd

from synscale.analysis.laws import broken, floor
from synscale.analysis.laws.choice import choose
from synscale.analysis.laws.fit import LAWS, Fit, points

FEWEST_DRAWS, MOST_DRAWS = 4096, 131_072
STABLE = 0.025  # relative half-width of an end's Monte Carlo band: two runs differ by < 5 %
LEVELS = np.array([0.025, 0.975])

Parameters = dict[str, np.ndarray]


def _slope(law: str, x: np.ndarray, y: np.ndarray, p: Parameters) -> np.ndarray:
    """Return -d log L / d log D at log sizes x, where the law's log loss is y."""
    if law == "floor":
        return p["k"] * np.exp(p["k"] * (p["log_scale"] - x) - y)
    return np.where(x < p["log_break"], p["k"], p["k_after"]) if law == "broken" else p["k"] + 0 * x


def _inverse(law: str, y: np.ndarray, p: Parameters) -> np.ndarray:
    """Return the log size at which a law has the log loss y; infinite if it never falls as far."""
    if law == "floor":
        power = np.log(np.exp(y - p["log_floor"]) - 1) + p["log_floor"]
        return np.where(y > p["log_floor"], p["log_scale"] - power / p["k"], np.inf)
    if law == "power":
        return np.where(p["k"] > 0, p["log_scale"] - y / p["k"], np.inf)
    below = p["level"] - y  # how far past the break the loss must fall
    k = np.where(below < 0, p["k"], p["k_after"])
    return np.where(k > 0, p["log_break"] + below / k, np.inf)


def _refit(fit: Fit, x: np.ndarray, y: np.ndarray) -> Parameters:
    """Fit a law again, of the same kind as `fit`, to many curves.

    x, shape (N,); y, shape (N, S). Returns arrays, shape (S,).
    """
    if fit.law == "floor":
        v = np.log1p(np.exp(fit.parameters["log_floor"] - fit.k * (fit.log_scale - x.max())))
        u = np.log(fit.k)
        tries = np.array([[v, v / 3, v + 0.3], [u, u - 0.3, u + 0.5]])
        starts = np.repeat(tries, y.shape[1], 1)
        theta, costs = floor.solve(x, np.tile(y, 3), starts, tolerance=1e-9)
        best = costs.reshape(3, -1).argmin(0)
        v, u = theta.reshape(2, 3, -1)[:, best, np.arange(y.shape[1])]
        z = np.exp(u) * (x.max() - x)[:, None]
        log_power = (y - z - np.log1p(np.exp(v - z) - np.exp(-z))).mean(0)
        with np.errstate(divide="ignore"):  # no floor has a log of minus infinity
            log_floor = log_power + np.log(np.expm1(v))
        log_scale = x.max() + log_power / np.exp(u)
        return {"k": np.exp(u), "log_scale": log_scale, "log_floor": log_floor}
    if fit.law == "power":
        intercept, slope = np.polynomial.polynomial.polyfit(x, y, 1)
        return {"k": -slope, "log_scale": -intercept / slope}
    return _refit_broken(fit, x, y)


def _refit_broken(fit: Fit, x: np.ndarray, y: np.ndarray) -> Parameters:
    """Fit the broken law again, at breaks near that of `fit` and across the sizes."""
    best, least = np.empty((4, y.shape[1])), np.full(y.shape[1], np.inf)
    log_break = fit.parameters["log_break"]
    near = log_break + (x[-2] - x[1]) * np.outer([-1, 1], 0.5 ** np.arange(1, 14)).ravel()
    breaks = np.concatenate([np.linspace(x[1], x[-2], 41), near, [log_break]])
    for at in breaks[(breaks >= x[1]) & (breaks <= x[-2])]:
        design = broken.design(x, at)
        coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
        costs = ((design @ coefficients - y) ** 2).sum(0)
        rows = np.vstack([coefficients, np.full(y.shape[1], at)])
        best = np.where(costs < least, rows, best)
        least = np.minimum(costs, least)
    return dict(zip(("level", "k", "k_after", "log_break"), best, strict=True))


def _draw(fit: Fit, x: np.ndarray, count: int, random: np.random.Generator) -> Parameters:
    """Return parameters, shape (count, 1), of the law fitted to its values with Student's scatter.

    For the pure law this is the sampling law of its parameters, a multivariate t with N - 2 degrees
    of freedom. x, shape (N,): log sizes.
    """
    spare = len(x) - len(fit.parameters)
    scatter = np.sqrt(fit.residual_sum / random.chisquare(spare, count))
    y = np.log(fit.loss(np.exp(x)))[:, None] + scatter * random.normal(size=(len(x), count))
    return {name: values[:, None] for name, values in _refit(fit, x, y).items()}


def _rates(
    fits: list[Fit], at: np.ndarray, parameters: list[Parameters]
) -> tuple[np.ndarray, np.ndarray]:
    """Return S and dS / dD at `at` (M,) real images, for parameters of both laws, (S, 1) each."""
    real, synthetic = fits
    real_p, p = parameters
    x = np.log(at)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        y = LAWS[real.law].log_loss(x, **real_p)
        log_matched = _inverse(synthetic.law, y, p)
        fall = _slope(real.law, x, y, real_p)
        rate = fall / _slope(synthetic.law, log_matched, y, p) * np.exp(log_matched - x)
        matched = np.exp(log_matched)
    rate = np.where(np.isfinite(log_matched), rate, np.inf)
    return matched, np.where(fall > 0, rate, 0.0)


def _ends(rates: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return both ends (2, M) of the interval of drawn rates (S, M), and whether they are stable.

    They are if other draws would move none by more than `STABLE`. The order statistics two standard
    errors of their rank away are the band in which an end is.
    """
    ordered, count = np.sort(rates, axis=0), len(rates)
    ranks = LEVELS * (count - 1)
    error = 2 * np.sqrt(count * LEVELS * (1 - LEVELS))
    low, ends, high = (
        ordered[np.rint(rank).astype(int)] for rank in (ranks - error, ranks, ranks + error)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        width = (high - low) / 2 / ends
    return ends, bool((width[np.isfinite(ends) & (ends > 0)] < STABLE).all())


def exchange_rate(real: tuple, synthetic: tuple, at, seed: int = 0) -> pd.DataFrame:
    """Return the synthetic images that match `at` real images, and the next one.

    Parameters
    ----------
    real, synthetic : (sizes, losses)
        All runs of both curves; several losses at a size are seeds.
    at : array_like, shape (M,)
        Numbers of real images.
    seed : int
        Seed of the draws. As many are taken as make both ends of the interval stable to 5 %, but at
        most `MOST_DRAWS`.

    Returns
    -------
    DataFrame
        Columns real_images; matched (S); rate (dS / dD); rate_low and rate_high (95 %, given the
        laws); inside, whether S is within the synthetic sizes, so that nothing is extrapolated;
        real_law and synthetic_law; draws. A rate is infinite if no number of synthetic images has
        the loss, and zero if the real loss does not fall.
    """
    random, at = np.random.default_rng(seed), np.asarray(at, float)
    fits = [choose(*curve).fit for curve in (real, synthetic)]
    x = [points(*curve)[0] for curve in (real, synthetic)]
    best = [{name: np.array([[v]]) for name, v in fit.parameters.items()} for fit in fits]
    matched, rate = (values[0] for values in _rates(fits, at, best))
    drawn: list[np.ndarray] = []
    stable = False
    while not stable and len(drawn) * FEWEST_DRAWS < MOST_DRAWS:
        for _ in range(max(1, len(drawn))):
            parameters = [_draw(*pair, FEWEST_DRAWS, random) for pair in zip(fits, x, strict=True)]
            drawn.append(_rates(fits, at, parameters)[1])
        (low, high), stable = _ends(np.concatenate(drawn))
    sizes = np.asarray(synthetic[0], float)
    inside = (matched >= sizes.min()) & (matched <= sizes.max())
    table = pd.DataFrame({"real_images": at, "matched": matched, "rate": rate})
    table = table.assign(rate_low=low, rate_high=high, inside=inside)
    names = {"real_law": fits[0].law, "synthetic_law": fits[1].law}
    return table.assign(**names, draws=len(drawn) * FEWEST_DRAWS)
