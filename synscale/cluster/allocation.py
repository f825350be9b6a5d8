"""The allocation of a SLURM job: when it ends, and how the job continues in another one.

A job that saves its work (checkpoint.py and partial_shards.py of synscale/training) may take longer
than any partition allows. Shortly before its allocation ends it saves and requeues itself. SLURM
starts it again under the same id, as it does with a preempted job, so Snakemake counts no failure.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from synscale.runtime.atomic import write_json

PERMISSION = "REQUEUE_JOB"  # environment variable: id of the job that may be requeued
MARGIN_SETTING = "REQUEUE_MARGIN"  # environment variable that replaces the margin, in seconds
MARGIN = 300.0  # seconds before the end at which a job saves; a tenth of a short allocation
QUERIES = 3
PAUSE = 5.0  # seconds between two queries
KILL_WAIT = 300.0  # seconds in which SLURM must have ended a requeued job


def permit() -> None:
    """Let this job requeue itself.

    Only a job that Snakemake submitted may do so. A `snakemake` that itself runs inside an
    allocation shares it with all its local jobs, and must not be requeued by one of them.
    """
    if job := os.environ.get("SLURM_JOB_ID"):
        os.environ[PERMISSION] = job


def seconds(text: str) -> float | None:
    """Seconds of a duration that squeue prints as ``[days-][[hours:]minutes:]seconds``.

    Returns None for a word such as ``UNLIMITED``.
    """
    days, _, clock = text.strip().rpartition("-")
    parts = [days or "0", *["0"] * (2 - clock.count(":")), *clock.split(":")]
    if not all(part.isdigit() for part in parts):
        return None
    total = 0
    for part, units in zip(parts, (1, 24, 60, 60), strict=True):
        total = total * units + int(part)
    return float(total)


@dataclass(frozen=True)
class Allocation:
    """What SLURM has allocated to this job.

    Attributes
    ----------
    job : str
        SLURM's id.
    end : float
        When the allocation ends, by ``time.monotonic()``, in seconds.
    length : float
        Its time limit in seconds.
    """

    job: str
    end: float
    length: float

    def margin(self, save: float = 0.0, step: float = 0.0) -> float:
        """Seconds before the end at which the job must begin to save.

        Parameters
        ----------
        save : float
            Seconds that the last save took, until its file was complete.
        step : float
            Longest time between two occasions to save, in seconds.

        Returns
        -------
        float
            ``REQUEUE_MARGIN``, or 5 minutes and at most a tenth of the allocation; plus three
            saves, since a file system may slow down, and two steps, since the end may come right
            after an occasion. These two together are at most half of the allocation, so that one
            slow step does not end it.

        Raises
        ------
        SystemExit
            If ``REQUEUE_MARGIN`` is no number of seconds below the time limit.
        """
        setting = os.environ.get(MARGIN_SETTING)
        try:
            least = float(setting) if setting else min(MARGIN, self.length / 10)
        except ValueError:
            least = self.length
        if not 0 <= least < self.length:
            raise SystemExit(
                f"SLURM job {self.job}: {MARGIN_SETTING} must be shorter than the time limit "
                f"({setting}, expected 0 to {self.length:.0f} s); change it, or request a longer "
                "runtime"
            )
        return least + min(3 * save + 2 * step, self.length / 2)

    def ends(self, save: float = 0.0, step: float = 0.0) -> bool:
        """Whether the margin has begun. Parameters as of `margin`."""
        return time.monotonic() >= self.end - self.margin(save, step)

    def continue_later(
        self, record: Path, done: int, save: Callable[[], None], margin: float, wait: float = 0.0
    ) -> NoReturn:
        """Save, requeue this job, and wait until SLURM ends it.

        Parameters
        ----------
        record : Path
            File next to the saved state that keeps how far the job was when it last did this.
        done : int
            Measure of progress, such as the number of steps.
        save : callable
            Saves the state and returns when it is complete.
        margin : float
            Seconds that were left for it.
        wait : float
            Seconds after the save in which other processes of the job may save their work.

        Raises
        ------
        SystemExit
            If the job is no further than at the end of its last allocation, if it could not save
            in the same margin before, or if SLURM does not requeue it.
        """
        problem = _problem(record, done, margin)
        if problem:
            record.unlink()  # the next attempt begins without it
            raise SystemExit(f"SLURM job {self.job}: {problem}")
        write_json(record, {"done": done, "margin": margin, "saved": False})
        save()
        write_json(record, {"done": done, "margin": margin, "saved": True})
        time.sleep(wait)
        print(f"SLURM job {self.job}: saved; it returns to the queue before its limit", flush=True)
        command = ["scontrol", "requeue", self.job]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            time.sleep(KILL_WAIT)
        raise SystemExit(
            f"SLURM job {self.job}: scontrol did not requeue it "
            f"({answer.stderr.strip() or 'it still runs'}, expected a restart); allow it with "
            "`slurm-requeue: true` in the profile, or run the same command again to resume"
        )


def _problem(record: Path, done: int, margin: float) -> str:
    """Reason not to requeue the job again, or an empty text. Parameters as of `continue_later`."""
    if not record.exists():
        return ""
    last = json.loads(record.read_text(encoding="utf-8"))
    if not last["saved"] and margin <= last["margin"]:
        return (
            "the last allocation ended while the state was being saved "
            f"(margin {last['margin']:.0f} s, expected time for a complete save); "
            f"set {MARGIN_SETTING} to more seconds before you start snakemake"
        )
    if last["saved"] and done <= last["done"]:
        return (
            "no progress since the last allocation "
            f"(at {done}, expected more than {last['done']}); check that {record.parent} is on a "
            "shared file system, and request a longer runtime"
        )
    return ""


@cache
def current() -> Allocation | None:
    """Return the allocation of this job; None without a limit or the permission to requeue it."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job or os.environ.get(PERMISSION) != job:
        return None
    now, clock = time.monotonic(), time.time()
    start = os.environ.get("SLURM_JOB_START_TIME")  # both since SLURM 23.02
    end = os.environ.get("SLURM_JOB_END_TIME")
    if start and end:
        return Allocation(job, now + int(end) - clock, float(int(end) - int(start)))
    command = ["squeue", "-h", "-j", job, "-o", "%L|%l"]
    for query in range(QUERIES):
        time.sleep(PAUSE if query else 0)
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
            left, length = map(seconds, answer.stdout.strip().split("|"))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            problem = error
            continue
        return None if left is None or length is None else Allocation(job, now + left, length)
    print(
        f"SLURM job {job}: squeue does not report its time limit ({problem}, expected it); "
        "the job may end without a last save",
        flush=True,
    )
    return None
