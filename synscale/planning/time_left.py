"""The time that a run still takes, in the terminal, each time that jobs have finished.

Snakemake counts finished jobs, but jobs take from a second to weeks. Here a job counts as its
planned seconds, and the time since the start of the run says how fast they pass on this machine.
"""

import logging
import sys
from collections.abc import Callable

from snakemake.logging import logger
from snakemake.settings.types import ExecMode
from snakemake_interface_logger_plugins.common import LogEvent

from synscale.planning import hardware, summary
from synscale.planning.cost_model import PlanError
from synscale.planning.dag import from_snakemake, key_of
from synscale.runtime.time_left import Stopwatch
from synscale.study.models import Study


def seconds_of_jobs(dag, studies: dict[str, Study], machine: str) -> dict[int, float]:
    """Return the planned seconds of each job to run, by its number in Snakemake.

    Parameters
    ----------
    dag : snakemake.dag.DAG
    studies : dict of str to Study
    machine : str
        Name of a hardware file.

    Returns
    -------
    dict of int to float
        Empty if the machine has no speed for one of the jobs.
    """
    numbers = {key_of(job): job.jobid for job in dag.needrun_jobs(exclude_finished=False)}
    jobs = [job for job in from_snakemake(dag, scheduled=False) if job.key in numbers]
    try:
        costs = summary.costs(jobs, studies, hardware.load(machine))
    except PlanError:
        return {}
    return {numbers[key]: cost.seconds for key, cost in costs.items()}


class TimeLeft(logging.Handler):
    """Prints the time left with each message of progress.

    Parameters
    ----------
    plan : callable
        Returns the planned seconds of each job by its number; called once, at the first progress.
    """

    def __init__(self, plan: Callable[[], dict[int, float]]):
        super().__init__()
        self.plan = plan
        self.finished: list[int] = []
        self.seconds: dict[int, float] | None = None
        self.stopwatch = Stopwatch(0.0)

    def emit(self, record: logging.LogRecord) -> None:
        """Note the start of the run and the end of jobs, and print at each progress."""
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.stopwatch = Stopwatch(0.0)
        elif event == LogEvent.JOB_FINISHED:
            self.finished.append(getattr(record, "job_id", -1))
        elif event == LogEvent.PROGRESS:
            self._print()

    def _print(self) -> None:
        if self.seconds is None:
            self.seconds = self.plan()
            self.stopwatch.total = sum(self.seconds.values())
        done = sum(self.seconds.get(number, 0.0) for number in self.finished)
        if 0 < done < self.stopwatch.total:
            share, left = done / self.stopwatch.total, self.stopwatch.left(done)
            print(f"{share:.0%} of the planned work, {left}", file=sys.stderr, flush=True)


def show(workflow, studies: dict[str, Study], machine: str) -> None:
    """Let runs print the time left. Parameters as of `seconds_of_jobs`."""
    if workflow.exec_mode == ExecMode.DEFAULT and not workflow.output_settings.dryrun:
        logger.addHandler(TimeLeft(lambda: seconds_of_jobs(workflow.dag, studies, machine)))
