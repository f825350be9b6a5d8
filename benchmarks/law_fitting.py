"""Law fitting: `scripts/lib/laws/floor.py` from all its starts, against scipy with numeric gradients from the same starts.

python -m benchmarks.law_fitting [--curves 20] [--points 10]

Peers: MINPACK's Levenberg-Marquardt and the trust region of `scipy.optimize.least_squares`, and L-BFGS-B of `scipy.optimize.minimize`, with which
scaling laws are mostly fitted. Ours fits one curve at a time (as a table of laws does), and all of them at once (as a bootstrap does).
"""

from functools import partial

import numpy as np
from scipy.optimize import least_squares, minimize

from benchmarks.measuring import Result, begin, close, finish, in_turn, parser, ratios
from scripts.lib.laws import floor

PREDICTION = (
    "Seen while this was written, on one curve: 7 times (MINPACK), 16 (trust region), 24 (L-BFGS-B), as ours pays numpy's calls for 54 iterations of few "
    "rows; with 200 curves at once 35 times MINPACK. So 20 is reached against all in bulk, and against L-BFGS-B alone with a single curve."
)
TIGHT = 1e-15
ALL = "ours, all curves at once"
LM, TRUST, LBFGS = "least_squares, lm", "least_squares, trf", "minimize, L-BFGS-B"


def curves(count: int, points: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Centred log sizes (points,) and log losses (count, points) of laws with a floor, and noise of 1 %."""
    random = np.random.default_rng(seed)
    x = np.log(np.geomspace(1e3, 1e6, points))
    k, level = random.uniform(0.15, 0.6, (count, 1)), random.uniform(0.2, 0.8, (count, 1))
    y = np.log(level + np.exp(k * (np.log(1e4) - x))) + 0.01 * random.standard_normal((count, points))
    return x - x.mean(), y


def ours(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least sum of squares and its theta of each curve, (count, 4)."""
    best = []
    for curve in y:
        theta, costs = floor.solve(x, curve, floor.starts(x, curve))
        best.append([costs.min(), *theta[costs.argmin()]])
    return np.array(best)


def at_once(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    starts = np.stack([floor.starts(x, curve) for curve in y])
    theta, costs = floor.solve(x, np.repeat(y, starts.shape[1], 0), starts.reshape(-1, 3))
    theta, costs = theta.reshape(starts.shape), costs.reshape(starts.shape[:2])
    first = costs.argmin(1)
    return np.stack([np.array([cost[i], *own[i]]) for cost, own, i in zip(costs, theta, first, strict=True)])


def scipy_fit(x: np.ndarray, y: np.ndarray, method: str) -> np.ndarray:
    def residuals(theta, curve):
        return np.logaddexp(theta[0], theta[2] - np.exp(theta[1]) * x) - curve

    def fitted(theta, curve):
        if method == LBFGS:
            found = minimize(lambda t: (residuals(t, curve) ** 2).sum(), theta, method="L-BFGS-B", options={"ftol": TIGHT, "gtol": 1e-12})
            return [found.fun, *found.x]
        kind = method.rpartition(" ")[2]
        found = least_squares(residuals, theta, args=(curve,), method=kind, xtol=TIGHT, ftol=TIGHT, gtol=TIGHT)
        return [2 * found.cost, *found.x]

    best = []
    with np.errstate(over="ignore", invalid="ignore"):
        for curve in y:
            best.append(min((fitted(theta, curve) for theta in floor.starts(x, curve)), key=lambda row: row[0]))
    return np.array(best)


def agree(made: dict[str, np.ndarray]) -> str:
    """All reach the optimum of ours to 1e-6, except that L-BFGS-B may stop short of it: of numeric gradients, it sees no further."""
    reference = made["ours"][:, 0]
    told = [f"{name}: {close(own[:, 0], reference, 1e-3 if name == LBFGS else 1e-6, f'sums of squares of {name}'):.1g}" for name, own in made.items()]
    return "largest relative difference of the least sum of squares from ours: " + ", ".join(told)


def measure(count: int, points: int, rounds: int, device) -> Result:
    x, y = curves(count, points)
    ways = {"ours": partial(ours, x, y), ALL: partial(at_once, x, y)} | {name: partial(scipy_fit, x, y, name) for name in (LM, TRUST, LBFGS)}
    seconds, told = in_turn(ways, rounds, device, agree)
    starts = count * len(floor.starts(x, y[0]))
    reach = dict.fromkeys((LM, TRUST, LBFGS), 20.0)
    bulk = seconds.drop(columns="ours")
    tables = {
        "One curve at a time": ratios(seconds.drop(columns=ALL), starts, "start", reach),
        "Ours: all curves at once": ratios(bulk, starts, "start", reach, ALL),
    }
    return Result("law_fitting", "Law fitting", f"{count} curves of {points} sizes, {starts} starts in all", PREDICTION, tables, told)


def main(arguments: list[str] | None = None) -> None:
    own = parser(__doc__)
    own.add_argument("--curves", type=int, default=20)
    own.add_argument("--points", type=int, default=10)
    args, device = begin(own, arguments)
    finish(measure(args.curves, args.points, args.rounds, device), args)


if __name__ == "__main__":
    main()
