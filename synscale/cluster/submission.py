"""What is reported about a cluster's partitions before the first job is submitted.

A run in which a job fits in no named partition of site.yaml stops before its first job: SLURM would
accept the job and leave it pending, or the executor would send it to the default partition. A dry
run prints the same as a warning, and how many allocations long jobs need.
"""

import logging
from collections.abc import Mapping

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from synscale.cluster import partitions
from synscale.planning import dag
from synscale.planning.cost_model import Work
from synscale.planning.resources import Limits
from synscale.planning.summary import Cost


def check(graph, limits: Limits) -> None:
    """Stop a run that has jobs for no partition.

    Parameters
    ----------
    graph : snakemake.dag.DAG
    limits : Limits

    Raises
    ------
    WorkflowError
        With one line for each kind of job that fits nowhere.
    """
    if limits.site is None:
        return
    problems = partitions.misfits(dag.from_snakemake(graph), limits.site)
    if problems:
        raise WorkflowError("\n".join([*problems, "No job was started."]))


def warnings(graph, limits: Limits) -> list[str]:
    """Jobs that fit nowhere, and jobs that need several allocations. Parameters as of `check`."""
    if limits.site is None:
        return []
    jobs = dag.from_snakemake(graph)
    nothing = Cost(0.0, Work({}))
    found = {job.key: limits.cost_on(job.rule, job.wildcards, job.gpu) or nothing for job in jobs}
    return [*partitions.misfits(jobs, limits.site), *partitions.report(jobs, found)]


class _Warnings(logging.Handler):
    """Prints the warnings with each job table of a dry run: before the jobs, and at its end."""

    def __init__(self, workflow, limits: Limits):
        super().__init__()
        self.workflow, self.limits = workflow, limits
        self.lines: list[str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.RUN_INFO:
            if self.lines is None:
                self.lines = warnings(self.workflow.dag, self.limits)
            print(*self.lines, sep="\n", end="\n" * bool(self.lines))


def show(workflow, limits: Limits) -> None:
    """Let dry runs print the warnings.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    limits : Limits
    """
    if workflow.output_settings.dryrun and limits.site is not None:
        logger.addHandler(_Warnings(workflow, limits))


def options(overwritten: Mapping, separator: str = "=") -> list[str]:
    """Values of ``--set-resources`` (separator ``:``) or ``--set-threads`` of this run.

    Parameters
    ----------
    overwritten : mapping
        Rule -> threads, or rule -> resource -> value, as Snakemake holds them.
    separator : str
        Between the rule and the rest.
    """
    if separator == "=":
        return [f"{rule}={value.raw}" for rule, value in overwritten.items()]
    found = []
    for rule, values in overwritten.items():
        found += [f"{rule}{separator}{name}={value.raw}" for name, value in values.items()]
    return found
