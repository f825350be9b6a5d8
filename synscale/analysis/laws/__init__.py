"""Scaling laws of loss against size, fitted to log loss: the exponents of every figure and table.

power : L(D) = (C / D)^k
    The paper's law: ordinary least squares on logs, t-interval and HC3.
floor : L(D) = E + (C / D)^k
    Nonlinear least squares on log loss, many starts, profile intervals.
broken : log L bends once, k before and k_after
    Least squares on logs at every break; the best one.
two_variable : L(N, D) = E + A / N^a + B / D^b
    Huber loss on log loss, many starts.

`choose` takes the law that extrapolates, `compare` tests whether two exponents differ.
"""

from synscale.analysis.laws.choice import Choice, choose, compare
from synscale.analysis.laws.fit import LAWS, Fit, LawError, fit

__all__ = ["LAWS", "Choice", "Fit", "LawError", "choose", "compare", "fit"]
