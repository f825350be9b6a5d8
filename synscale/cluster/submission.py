"""What is reported about a cluster's partitions before the first job is submitted.

A run in which a job fits in no named partition of site.yaml stops before its first job: SLURM would
accept the job and leave it pending, or the executor would send it to the default partition. A dry
run prints the same as a warning, and how many allocations long jobs need.
"""

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ResourceSettings

from synscale.cluster import partitions, site, site_resources
from synscale.planning import dag
from synscale.planning.cost_model import Work
from synscale.planning.estimates import ResourceEstimates
from synscale.planning.summary import Cost


def check(graph, estimates: ResourceEstimates) -> None:
    """Stop a run that has jobs for no partition.

    Parameters
    ----------
    graph : snakemake.dag.DAG
    estimates : ResourceEstimates

    Raises
    ------
    WorkflowError
        With one line for each kind of job that fits nowhere.
    """
    if estimates.site is None:
        return
    problems = partitions.misfits(dag.from_snakemake(graph), estimates.site)
    if problems:
        raise WorkflowError("\n".join([*problems, "No job was started."]))


def warnings(graph, estimates: ResourceEstimates) -> list[str]:
    """Return warnings about jobs that fit nowhere or need several allocations.

    Parameters as of `check`.
    """
    if estimates.site is None:
        return []
    jobs = dag.from_snakemake(graph)
    nothing = Cost(0.0, Work({}))
    costs = {
        job.key: estimates.cost_on(job.rule, job.wildcards, job.gpu, job.threads, job.nodes)
        or nothing
        for job in jobs
    }
    return [*partitions.misfits(jobs, estimates.site), *partitions.report(jobs, costs)]


def check_gpus(workflow, estimates: ResourceEstimates, default: str) -> None:
    """Stop a run if the cluster or its hardware file has no GPUs for jobs that are about to start.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    estimates : ResourceEstimates
    default : str
        Study of jobs that have no wildcard `study`.

    Raises
    ------
    WorkflowError
        If the hardware has no GPU, or SLURM does not support requests for GPUs.
    """
    if workflow.local_exec:
        return
    jobs = [job for job in workflow.dag.needrun_jobs() if "gpu" in job.rule.resources]
    names = {job.wildcards.get("study", default) for job in jobs}
    on_gpus = [study for name in names if (study := estimates.studies[name]).gpus]
    for study in on_gpus:
        estimates.check_hardware(study)
    if on_gpus and site.current() is not None:
        try:
            site_resources.require_gpu_option()
        except site.SiteError as error:
            raise WorkflowError(str(error)) from None


def set_resources(settings: ResourceSettings) -> list[str]:
    """Return the values of ``--set-resources`` of this run."""
    return [
        f"{rule}:{name}={value.raw}"
        for rule, values in settings._parsed_overwrite_resources.items()
        for name, value in values.items()
    ]


def set_threads(settings: ResourceSettings) -> list[str]:
    """Return the values of ``--set-threads`` of this run."""
    return [f"{rule}={value.raw}" for rule, value in settings._parsed_overwrite_threads.items()]
