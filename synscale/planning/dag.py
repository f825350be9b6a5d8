"""The jobs of a target, from Snakemake's own graph: needed, done, and waiting for each other."""

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

from synscale.planning import budget, hardware, summary
from synscale.planning.cost_model import PlanError
from synscale.planning.image_sizes import ImageSizes
from synscale.planning.summary import Job
from synscale.study import overrides
from synscale.study.models import Study
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.targets import NotInStudy, suggestion

PROFILE = Path("profiles/default/config.yaml")
UNPLANNED = {"plan", "calibrate"}  # rules that no plan counts
ALL_CORES = 1 << 16  # plans have the threads that jobs request, whatever this machine has
# Exactly these: Snakemake then plans, and does not walk through the jobs to print them.
QUIET = {Quietness.RULES, Quietness.PROGRESS}
# Callers of `ask` compare the budget and print the plan.
QUIET_CONFIG = {"budget": {}, "show_plan": False}


def targets(study: Study, name: str) -> list[str]:
    """Return the files of a figure or table by its name, or of `all` of them.

    Parameters
    ----------
    study : Study
    name : str
        Name of a figure or table, or `all`.

    Raises
    ------
    NotInStudy
        If the study has no such figure or table.
    """
    figures = figure_settings.names_of(study.figures)
    tables = figure_settings.names_of(study.tables)
    files = {figure: f"figures/{study.name}/{figure}.pdf" for figure in figures}
    files |= {table: f"tables/{study.name}/{table}.csv" for table in tables}
    if name == "all":
        return [*files.values(), f"provenance/{study.name}.html"]
    if name not in files:
        known = suggestion(name, ["all", *files])
        raise NotInStudy(f"{study.title}: no figure or table {name!r} to plan; {known}")
    return [files[name]]


def _number(value) -> float | None:
    """Return a resource as a number; None if it follows from inputs that do not exist yet."""
    return value if isinstance(value, int | float) else None


def key_of(job) -> str:
    """Return the key of a job of Snakemake: its rule and wildcards."""
    return " ".join([job.rule.name, *job.wildcards_dict.values()])


def _parallelism(job) -> dict:
    """Return the requests that the time of a job depends on."""
    if "gpu" not in job.rule.resources:
        return {}
    resources = job.resources
    return {
        "gpu": resources.get("gpu"),
        "threads": job.threads,
        "nodes": resources.get("nodes") or 1,
    }


def _requests(job) -> dict:
    """Return what a job requests of a scheduler."""
    resources = job.resources
    return {
        "gpu": resources.get("gpu"),
        "threads": job.threads,
        "nodes": resources.get("nodes") or 1,
        "runtime": resources.get("runtime"),
        "mem_mb": _number(resources.get("mem_mb")),
        "partition": str(resources.get("slurm_partition") or ""),
        "local": job.rule.norun or job.rule.name in job.dag.workflow._localrules,
    }


def from_snakemake(dag, scheduled: bool = True) -> list[Job]:
    """Return the jobs of a Snakemake graph that a plan counts.

    Snakemake takes milliseconds to evaluate the resources of a job. Shards of a source request the
    same, so one of them is evaluated.

    Parameters
    ----------
    dag : snakemake.dag.DAG
    scheduled : bool
        Include what jobs request of a scheduler, and their benchmark files. Otherwise only GPUs,
        nodes and threads of jobs on GPUs, evaluated for one job of each rule and study.
    """
    waiting = set(dag.needrun_jobs(exclude_finished=False))
    jobs = [job for job in dag.jobs if job.rule.name not in UNPLANNED]
    keys = {job: key_of(job) for job in jobs}
    evaluate = _requests if scheduled else _parallelism
    evaluated: dict[tuple, dict] = {}
    result = []
    for job in jobs:
        wildcards = dict(job.wildcards_dict)
        names = wildcards.keys() - {"shard"} if scheduled else wildcards.keys() & {"study"}
        settings = (job.rule.name, *sorted((name, wildcards[name]) for name in names))
        if settings not in evaluated:
            evaluated[settings] = evaluate(job)
        planned = Job(
            key=keys[job],
            rule=job.rule.name,
            wildcards=wildcards,
            needs=tuple(keys[need] for need in dag.dependencies[job] if need in keys),
            to_run=job in waiting,
            benchmark=str(job.benchmark) if scheduled and job.benchmark else None,
            **evaluated[settings],
        )
        result.append(planned)
    return result


def ask(
    files: list[str],
    config: dict | None = None,
    resources: list[str] | None = None,
    threads: list[str] | None = None,
) -> list[Job]:
    """Return the jobs of files in the workflow of the working directory.

    A dry run that prints nothing and takes no lock, so it works while jobs run. What makes a job
    run again is set in profiles/default. With the site of a SLURM profile
    (synscale/cluster/site.py), jobs request what they would there.

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
    graph = {"targets": frozenset(files), "force_incomplete": True}
    if triggers:
        graph["rerun_triggers"] = frozenset(RerunTrigger[name.upper()] for name in triggers)
    output = OutputSettings(
        dryrun=True, quiet=QUIET, log_level_override=40, enable_file_logging=False
    )
    with SnakemakeApi(output) as api:
        try:
            requested = ResourceSettings(
                cores=ALL_CORES,
                overwrite_resources=parse_set_resources(resources),
                overwrite_threads=parse_set_threads(threads),
            )
            settings = ConfigSettings(config=(config or {}) | QUIET_CONFIG)
            workflow = api.workflow(requested, settings, snakefile=Path("Snakefile"))
            dag = workflow.dag(DAGSettings(**graph))
            dag.execute_workflow(
                pseudo_executor="dryrun", execution_settings=ExecutionSettings(lock=False)
            )
        except Exception as error:
            api.print_exception(error)
            raise SystemExit(1) from None
        return from_snakemake(workflow._workflow.dag)  # the only private attribute that is used


def check_budget(dag, studies: dict[str, Study], config: dict, dry_run: bool = False) -> None:
    """Compare the jobs of a run with the budget, if there is one.

    Parameters
    ----------
    dag : snakemake.dag.DAG
        Graph of the jobs.
    studies : dict of str to Study
    config : dict
        Content of config.yaml.
    dry_run : bool
        Print the result instead of stopping the run.

    Raises
    ------
    WorkflowError
        If the jobs exceed the budget.
    """
    if not config.get("budget"):
        return
    try:
        limits = budget.read_budget(config["budget"])
        is_within, text = budget.compare(limits, _total(dag, studies, config))
    except PlanError as error:
        is_within, text = False, str(error)
    if dry_run:
        print(f"Budget: {text}")
    elif not is_within:
        raise WorkflowError(f"config.yaml: budget: {text}. No job was started")


def _total(dag, studies: dict[str, Study], config: dict) -> dict:
    """Return the row `total` of the plan of a graph."""
    machine = hardware.load(config.get("hardware", "laptop"))
    jobs = from_snakemake(dag, scheduled=False)
    return summary.table(jobs, summary.costs(jobs, studies, machine, ImageSizes()), machine)[-2]


def check_override(dag, override: dict | None) -> None:
    """Refuse jobs of a changed study: their results would mix with those of the study file.

    Parameters
    ----------
    dag : snakemake.dag.DAG
        Graph of the jobs.
    override : dict or None
        `override` of config.yaml.

    Raises
    ------
    WorkflowError
        If a job would run.
    """
    jobs = dag.needrun_jobs(exclude_finished=False) if override else ()
    rules = sorted({job.rule.name for job in jobs} - UNPLANNED - {"all"})
    if rules:
        files = " and ".join(f"studies/{name}.yaml" for name in overrides.read(override))
        raise WorkflowError(
            f"override = {overrides.text(override)}: a changed study is for plans and dry runs "
            f"only, but jobs would run ({', '.join(rules)}). No job was started. "
            f"Edit {files}, or remove override; only jobs whose settings change run again"
        )


class _JobTable(logging.Handler):
    def emit(self, record):
        if getattr(record, "event", None) == LogEvent.RUN_INFO:
            print(record.getMessage())


def show_jobs(settings: OutputSettings) -> None:
    """Let `snakemake -n --quiet` print how many jobs each rule has.

    It takes half the time of other dry runs, but Snakemake does not print that table (issue 2973 of
    its repository).
    """
    if settings.dryrun and settings.quiet == QUIET:
        logger.addHandler(_JobTable())
