"""Scaling laws of loss against size, fitted to log loss: what every figure and table reads its
exponents from.

`power`  L(D) = (C / D)^k                       the paper's law: ordinary least squares on logs, t-interval and HC3
`floor`  L(D) = E + (C / D)^k                   nonlinear least squares on log loss, many starts, profile intervals
`broken` log L bends once: k before, k_after    least squares on logs at every break, the best one kept
`two_variable`  L(N, D) = E + A / N^a + B / D^b Huber loss on log loss, many starts

`choose` takes the law that extrapolates, `compare` sets two exponents side by side.
"""

from synscale.analysis.laws.choice import Choice, choose, compare
from synscale.analysis.laws.fit import LAWS, Fit, LawError, fit

__all__ = ["LAWS", "Choice", "Fit", "LawError", "choose", "compare", "fit"]
