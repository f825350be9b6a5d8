"""Seconds per unit of work, fitted to measured times."""

import numpy as np
from scipy.optimize import nnls

from synscale.planning.cost_model import Work


def fit(rows: list[tuple[Work, float]], units: tuple[str, ...]) -> dict[str, float]:
    """Fit seconds per unit, all at least zero, to the seconds of jobs.

    Minimizes the squared error relative to the measured seconds.

    Parameters
    ----------
    rows : list of (Work, float)
        Work and seconds of each job.
    units : tuple of str
        Units to fit; of these at most as many as there are jobs.
    """
    seconds = np.array([value for _, value in rows])
    units = units[: len(rows)]
    counts = np.array([[work.units.get(unit, 0) for unit in units] for work, _ in rows], float)
    if len(units) == 1:
        return {units[0]: seconds.sum() / counts.sum()}  # the mean, so that sums are right
    scale = counts.max(0) + (counts.max(0) == 0)
    solution, _ = nnls(counts / scale / seconds[:, None], np.ones(len(rows)))
    return dict(zip(units, (solution / scale).tolist(), strict=True))
