"""Estimate the time left of work from what is done, for logs of jobs and for the terminal."""

import time

HOUR = 3600


def format_seconds(seconds: float) -> str:
    """Return a duration in seconds, minutes, hours or days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * HOUR:
        return f"{seconds / HOUR:.0f} h"
    return f"{seconds / HOUR / 24:.1f} days"


def time_left(done: float, total: float, seconds: float) -> str:
    """Return the time that the rest takes at the speed so far.

    Parameters
    ----------
    done, total : float
        Work that took `seconds`, and all of it, in any unit.
    seconds : float
    """
    if done <= 0:
        return "time left unknown"
    return f"about {format_seconds(seconds * max(0.0, total - done) / done)} left"


class Stopwatch:
    """Estimates the time left of work that begins now.

    Parameters
    ----------
    total : float
        Work that is left to do, in any unit.
    """

    def __init__(self, total: float):
        self.total = total
        self.began = time.monotonic()

    def left(self, done: float) -> str:
        """Return the time that is left when an amount of this work is done."""
        return time_left(done, self.total, time.monotonic() - self.began)
