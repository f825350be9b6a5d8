"""Times that a finished run recorded: Snakemake's benchmark files, a row for each run of a job.

`s` is wall time. `cpu_time` is the CPU time of the job's processes at the last sample: Snakemake
samples every half second for a quarter of a minute, then every half minute (snakemake.benchmark).
The time after the last sample is added here in proportion. A job that ended before the first sample
has no `cpu_time`.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SHORT_INTERVAL, LONG_INTERVAL = 0.5, 30.0  # seconds between two samples
SHORT_SAMPLES = 30  # samples before the long interval


@dataclass(frozen=True)
class Record:
    """Mean wall and CPU time of a job in seconds, and the time when its file was written."""

    wall: float
    cpu: float
    ended: float


def last_sample(wall: float) -> float:
    """Return the seconds from the start of a job to its last sample."""
    early = SHORT_INTERVAL * SHORT_SAMPLES
    if wall < early:
        return wall // SHORT_INTERVAL * SHORT_INTERVAL
    return early + (wall - early) // LONG_INTERVAL * LONG_INTERVAL


def cpu_seconds(wall: float, sampled: float) -> float:
    """Return the CPU time of a job.

    Parameters
    ----------
    wall : float
        Wall time in seconds.
    sampled : float
        CPU time at the last sample; NaN if there was none.

    Returns
    -------
    float
        At most the wall time for one thread: a sample takes time, so it may be late.
    """
    at = last_sample(wall)
    is_sampled = at > 0 and sampled == sampled
    return min(sampled * wall / at, max(wall, sampled)) if is_sampled else wall


def read(path: Path) -> Record:
    """Read a benchmark file. Raises ValueError if it is not one."""
    rows = pd.read_csv(path, sep="\t")
    if missing := {"s", "cpu_time"} - set(rows):
        raise ValueError(
            f"{path}: not a benchmark file of Snakemake (no column {', '.join(sorted(missing))}); "
            "remove it and the outputs of its job, and run again"
        )
    times = [cpu_seconds(*row) for row in rows[["s", "cpu_time"]].itertuples(index=False)]
    return Record(float(rows["s"].mean()), sum(times) / len(times), path.stat().st_mtime)
