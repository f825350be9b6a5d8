"""Seconds a unit, found from what jobs, or parts of them, took."""

import numpy as np
from scipy.optimize import nnls

from synscale.planning.cost_model import Work


def fit(rows: list[tuple[Work, float]], units: tuple[str, ...]) -> dict[str, float]:
    """Seconds a unit, from work and seconds of jobs; at most as many units as there are jobs."""
    seconds = np.array([s for _, s in rows])
    units = units[: len(rows)]
    counts = np.array([[w.units.get(unit, 0) for unit in units] for w, _ in rows], float)
    if len(units) == 1:
        return {units[0]: seconds.sum() / counts.sum()}  # the mean, so that sums come out
    scale = counts.max(0) + (counts.max(0) == 0)
    found, _ = nnls(counts / scale / seconds[:, None], np.ones(len(rows)))
    return dict(zip(units, (found / scale).tolist(), strict=True))
