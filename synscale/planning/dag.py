"""The jobs of a target, as Snakemake itself sees them: which are needed, which of them are done,
which wait for which.
"""

import logging
from pathlib import Path

import yaml
from snakemake.api import SnakemakeApi
from snakemake.cli import parse_set_resources, parse_set_threads
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import Quietness, RerunTrigger
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    ExecutionSettings,
    OutputSettings,
    ResourceSettings,
)
from snakemake_interface_logger_plugins.common import LogEvent

from synscale.planning import hardware, summary
from synscale.planning.cost_model import PlanError
from synscale.planning.image_sizes import ImageSizes
from synscale.planning.summary import Job
from synscale.study import overrides
from synscale.study.models import Study
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.targets import suggestion

PROFILE = Path("profiles/default/config.yaml")
APART = {"plan", "calibrate"}  # rules that are no part of what is planned
QUIET = {
    Quietness.RULES,
    Quietness.PROGRESS,
}  # exactly these: Snakemake then plans, and goes through no job for show


def targets(study_name: str, study: Study, name: str) -> list[str]:
    """Files of a figure or table by its name, or of `all` of them. Raises NotInStudy."""
    found = {
        figure: f"figures/{study_name}/{figure}.pdf"
        for figure in figure_settings.names_of(study.figures)
    }
    found |= {
        table: f"tables/{study_name}/{table}.csv"
        for table in figure_settings.names_of(study.tables)
    }
    if name == "all":
        return [*found.values(), f"provenance/{study_name}.html"]
    if name not in found:
        known = suggestion(name, ["all", *found])
        raise figure_settings.NotInStudy(
            f"{study.title}: no figure or table {name!r} to plan; {known}"
        )
    return [found[name]]


def _number(value) -> float | None:
    """Return a resource as a number; None if it follows from inputs that do not exist yet."""
    return value if isinstance(value, int | float) else None


def from_snakemake(dag) -> list[Job]:
    """Every job of a Snakemake DAG but those of rules apart; those that are done are not `to_run`."""
    waiting = set(dag.needrun_jobs(exclude_finished=False))
    found = [job for job in dag.jobs if job.rule.name not in APART]
    keys = {job: " ".join([job.rule.name, *job.wildcards_dict.values()]) for job in found}
    return [
        Job(
            key=keys[job],
            rule=job.rule.name,
            wildcards=dict(job.wildcards_dict),
            needs=tuple(keys[need] for need in dag.dependencies[job] if need in keys),
            to_run=job in waiting,
            runtime=job.resources.get("runtime"),
            gpu=job.resources.get("gpu"),
            threads=job.threads,
            mem_mb=_number(job.resources.get("mem_mb")),
            nodes=job.resources.get("nodes") or 1,
            partition=str(job.resources.get("slurm_partition") or ""),
            local=job.rule.norun or job.rule.name in dag.workflow._localrules,
            benchmark=str(job.benchmark) if job.benchmark else None,
        )
        for job in found
    ]


def ask(
    files: list[str],
    config: dict | None = None,
    resources: list[str] | None = None,
    threads: list[str] | None = None,
) -> list[Job]:
    """Return the jobs of files in the workflow of the working directory.

    A dry run that prints nothing and takes no lock, so it works while jobs run. What makes a job
    run again is set in profiles/default. With the site of a SLURM profile (synscale/cluster/site.py),
    jobs request what they would there.

    Parameters
    ----------
    files : list of str
        Targets.
    config : dict, optional
        Replaces keys of config.yaml.
    resources, threads : list of str, optional
        Values of ``--set-resources`` and ``--set-threads``.

    Raises
    ------
    SystemExit
        If Snakemake cannot plan the files; it has printed the reason.
    """
    triggers = yaml.safe_load(PROFILE.read_text(encoding="utf-8")).get("rerun-triggers", [])
    output = OutputSettings(
        dryrun=True, quiet=QUIET, log_level_override=40, enable_file_logging=False
    )
    with SnakemakeApi(output) as api:
        try:
            settings = ConfigSettings(
                config=(config or {}) | {"budget": {}}
            )  # the caller checks it
            requested = ResourceSettings(
                cores=1,
                overwrite_resources=parse_set_resources(resources),
                overwrite_threads=parse_set_threads(threads),
            )
            workflow = api.workflow(requested, settings, snakefile=Path("Snakefile"))
            chosen = (
                {"rerun_triggers": frozenset(RerunTrigger[name.upper()] for name in triggers)}
                if triggers
                else {}
            )
            dag = workflow.dag(
                DAGSettings(targets=frozenset(files), force_incomplete=True, **chosen)
            )
            dag.execute_workflow(
                pseudo_executor="dryrun", execution_settings=ExecutionSettings(lock=False)
            )
        except Exception as error:
            api.print_exception(error)
            raise SystemExit(1) from None
        return from_snakemake(
            workflow._workflow.dag
        )  # the one thing here that Snakemake does not promise to keep


def guard(dag, studies: dict[str, Study], config: dict) -> None:
    """Check the jobs that are about to start.

    Parameters
    ----------
    dag : snakemake.dag.DAG
        Graph of the jobs.
    studies : dict of str to Study
        The studies by name.
    config : dict
        Content of config.yaml.

    Raises
    ------
    WorkflowError
        If the study of a job is changed for plans only, or the jobs exceed the budget.
    """
    if config.get("override"):
        _refuse_changed(dag, config["override"])
    if not config.get("budget"):
        return
    try:
        summary.within(config["budget"], _total(dag, studies, config))
    except PlanError as error:
        raise WorkflowError(str(error)) from None


def _total(dag, studies: dict[str, Study], config: dict) -> dict:
    """Return the row `total` of the plan of a graph."""
    machine = hardware.load(config.get("hardware", "laptop"))
    jobs = from_snakemake(dag)
    found = summary.costs(jobs, studies, machine, ImageSizes())
    return summary.table(jobs, found, machine)[-2]


def check_budget(budget) -> None:
    """Raise OverBudget if `budget` of config.yaml is not a mapping of known limits to numbers.

    Values may be text, as a command line gives them.
    """
    where, fix = "config.yaml: budget", "write it as {core_hours: 2}"
    if not isinstance(budget or {}, dict):
        raise summary.OverBudget(f"{where}: not a mapping ({budget!r}); {fix}")
    for key, value in (budget or {}).items():
        if key not in summary.LIMITS:
            hint = suggestion(str(key), summary.LIMITS)
            raise summary.OverBudget(f"{where}.{key}: unknown limit; {hint}")
        try:
            valid = not isinstance(value, bool) and 0 <= float(value) < float("inf")
        except (TypeError, ValueError):
            valid = False
        if not valid:
            expected = f"{value!r}, expected a number from 0"
            raise summary.OverBudget(f"{where}.{key}: not a limit ({expected}); {fix}")


def print_budget(dag, studies: dict[str, Study], config: dict) -> None:
    """Print at the end of a dry run whether the jobs fit into the budget, if there is one.

    Parameters
    ----------
    dag : snakemake.dag.DAG
        Graph of the jobs.
    studies : dict of str to Study
        The studies by name.
    config : dict
        Content of config.yaml.
    """
    budget = config.get("budget")
    if not budget:
        return
    try:
        total = _total(dag, studies, config)
        summary.within(budget, total)
    except PlanError as error:
        print(f"Budget: {error}")
        return
    parts = [f"{key} {total[key]:.4g} of {float(limit):g}" for key, limit in budget.items()]
    print(f"Budget: the plan of {total['jobs']} jobs is within it ({', '.join(parts)})")


def _refuse_changed(dag, given: dict) -> None:
    """Refuse jobs of a changed study: their results would mix with those of the study file."""
    rules = sorted(
        {job.rule.name for job in dag.needrun_jobs(exclude_finished=False)} - APART - {"all"}
    )
    if rules:
        files = " and ".join(f"studies/{name}.yaml" for name in overrides.read(given))
        raise WorkflowError(
            f"override = {overrides.text(given)}: a changed study is for plans and dry runs only, "
            f"but jobs would run ({', '.join(rules)}). No job was started. "
            f"Edit {files}, or remove override; only jobs whose settings change run again"
        )


class _JobTable(logging.Handler):
    def emit(self, record):
        if getattr(record, "event", None) == LogEvent.RUN_INFO:
            print(record.getMessage())


def show_jobs(settings: OutputSettings) -> None:
    """Let `snakemake -n --quiet`, which takes half the time of other dry runs, show how many jobs
    each rule has. Snakemake itself keeps that table back (issue 2973 of its repository).
    """
    if settings.dryrun and settings.quiet == QUIET:
        logger.addHandler(_JobTable())
