"""Tests of hypotheses on effects, their adjustment for several claims, and verdicts.

Each claim has two tests: one whose rejection supports the hypothesis, one whose rejection supports
its opposite. Holm's method adjusts the p values of all claims together, so that with a probability
of 95 % no verdict of a table is wrong, whatever the tests share. The tests are our choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from synscale.analysis.effects import Effect

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Test:
    """Evidence for a hypothesis and for its opposite: p values, NaN if there is no test.

    Attributes
    ----------
    p : float
        Probability of data that favour the hypothesis at least as much, if its opposite is true.
    p_opposite : float
        The same with the two exchanged.
    """

    __test__ = False  # not a test of pytest

    p: float
    p_opposite: float


@dataclass(frozen=True)
class Decision(Test):
    """Adjusted p values and the verdict that follows from them."""

    verdict: str


def bound_test(effect: Effect, above: float = -np.inf, below: float = np.inf) -> Test:
    """Test whether an effect is between two bounds, one of which may be missing.

    Two one-sided t tests: the hypothesis has the larger of their p values (intersection-union), its
    opposite twice the smaller one (Bonferroni), or that of the only bound.

    Parameters
    ----------
    effect : Effect
        Estimate with standard error and degrees of freedom.
    above, below : float, optional
        Bounds.
    """
    limits = [(above, 1), (below, -1)]
    towards = [sign * (effect.value - limit) for limit, sign in limits if np.isfinite(limit)]
    if np.isnan(effect.error) or not towards:
        return Test(np.nan, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.divide(towards, effect.error)
    inside = np.where(np.isnan(t), 0.5, stats.t.sf(t, effect.freedom))
    return Test(float(inside.max()), float(min(1, len(t) * (1 - inside.max()))))


def decide(tests: Sequence[Test]) -> list[Decision]:
    """Adjust the p values of several claims by Holm's method and decide each claim.

    Parameters
    ----------
    tests : sequence of Test
        Those without p values stay undecided and are not counted.

    Returns
    -------
    list of Decision
        "holds" if the adjusted p of the hypothesis is below 0.05, else "does not hold" if that of
        the opposite is, else "undecided". For a single claim this agrees with its 95 % interval.
    """
    p = np.array([[test.p, test.p_opposite] for test in tests], float)
    known = ~np.isnan(p)
    if known.any():
        p[known] = multipletests(p[known], SIGNIFICANT, method="holm")[1]
    return [Decision(one, other, verdict_of(one, other)) for one, other in p.tolist()]


def verdict_of(p: float, p_opposite: float) -> str:
    """Return the verdict that adjusted p values give.

    Parameters
    ----------
    p, p_opposite : float
        Adjusted p values of the hypothesis and of its opposite, 0 to 1.
    """
    if p < SIGNIFICANT:
        return "holds"
    return "does not hold" if p_opposite < SIGNIFICANT else "undecided"
