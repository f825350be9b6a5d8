"""What a finished run recorded: Snakemake's benchmark files, a row for each time that a job ran.

`s` is wall time, to the hundredth. `cpu_time` is what the processes of the job had used of the
processor, user and system, when they were last looked at: every half second for a quarter of a
minute, then every half minute (snakemake.benchmark). So it lacks what came after; that is added
here, as if the job had gone on using the processor as before. A job that ended before the first
look has none.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

OFTEN, SELDOM, TIMES = 0.5, 30.0, 30  # seconds between two looks, at first and after so many


@dataclass(frozen=True)
class Record:
    """Means over the times that the job ran. wall, processor: seconds. ended: when its file was
    written.
    """

    wall: float
    processor: float
    ended: float


def last_look(wall: float) -> float:
    """Seconds from the start of a job to the last time that its processes were looked at."""
    soon = OFTEN * TIMES
    return soon + (wall - soon) // SELDOM * SELDOM if wall >= soon else wall // OFTEN * OFTEN


def processor_seconds(wall: float, seen: float) -> float:
    """Of the whole job, from what its processes had used at the last look. No more than the wall
    time, which one thread cannot use more of; a look takes a few milliseconds itself, so that the
    last one is somewhat later than it is taken for.
    """
    looked = last_look(wall)
    return (
        min(seen * wall / looked, max(wall, seen)) if looked and seen == seen else wall
    )  # not a number: never looked at


def read(path: Path) -> Record:
    """Raises ValueError where it is no benchmark file."""
    rows = pd.read_csv(path, sep="\t")
    if missing := {"s", "cpu_time"} - set(rows):
        raise ValueError(
            f"{path}: no column {', '.join(sorted(missing))}: not a benchmark file of Snakemake; remove it, and its job's outputs, and run again"
        )
    used = [processor_seconds(*row) for row in rows[["s", "cpu_time"]].itertuples(index=False)]
    return Record(float(rows["s"].mean()), float(pd.Series(used).mean()), path.stat().st_mtime)
