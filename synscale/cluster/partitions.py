"""Which partition of a cluster takes a job, and how many allocations a long job needs there.

Limits are those of `partitions` in site.yaml. Only the partitions named there count: without any,
SLURM's default partition takes every job, and its limits are unknown.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synscale.cluster.allocation import Allocation
from synscale.cluster.site import Partition, Site

if TYPE_CHECKING:
    from synscale.planning.summary import Cost, Job

# Rules whose scripts save their work by checkpoints or partial shards, and so continue in another
# allocation.
RESUMABLE = frozenset(
    {
        "train_generator",
        "finetune_generator",
        "generate",
        "train_classifiers",
        "train_clip",
        "write_sentences",
        "caption_images",
    }
)


@dataclass(frozen=True)
class Request:
    """What a job requests of SLURM. runtime in minutes; None: not known before the job's inputs."""

    gpu: int = 0
    threads: int = 1
    mem_mb: float | None = None
    runtime: float | None = None
    nodes: int = 1
    partition: str = ""  # where it must go, if it names one


@dataclass(frozen=True)
class Stage:
    """Jobs of a rule that need several allocations. runtime: minutes of one of the longest job."""

    rule: str
    jobs: int
    longest_hours: float
    runtime: float
    allocations: int


def _excess(partition: Partition, request: Request) -> dict[str, tuple[float, float]]:
    """Return what a partition does not take: resource -> (requested, limit)."""
    limits = {
        "gpu": partition.max_gpu,
        "threads": partition.max_threads,
        "mem_mb": partition.max_mem_mb,
        "runtime": partition.max_runtime,
        "nodes": partition.max_nodes,
    }
    pairs = {name: (getattr(request, name), limit) for name, limit in limits.items()}
    return {
        name: (value, limit)
        for name, (value, limit) in pairs.items()
        if value is not None and limit is not None and value > limit
    }


def _distance(partition: Partition, request: Request) -> tuple[int, float]:
    """How far a partition is from taking a request: number of limits exceeded, largest ratio."""
    excess = _excess(partition, request)
    ratios = (value / limit if limit else math.inf for value, limit in excess.values())
    return len(excess), max(ratios, default=0)


def _candidates(site: Site, request: Request) -> list[Partition]:
    """Partitions that a job may go to: all, or the one that it names, whose limits may be unknown.

    The executor plugin sends no job to a partition of another cluster, and no GPU job to a
    partition without GPUs of the site's type.
    """
    if request.partition:
        unknown = Partition(request.partition, max_gpu=request.gpu)
        return [p for p in site.partitions if p.name == request.partition] or [unknown]
    model = site.gpu_model
    reachable = [p for p in site.partitions if not p.cluster]
    others = {p for p in reachable if model and p.gpu_models and model not in p.gpu_models}
    return [replace(p, max_gpu=0) if p in others else p for p in reachable]


def taking(site: Site, request: Request) -> list[Partition]:
    """Return the partitions that take a request.

    A job without GPUs goes to partitions without GPUs if any takes it, as the executor plugin
    prefers them.

    Parameters
    ----------
    site : Site
        Limits of the partitions.
    request : Request
        What the job requests.
    """
    fitting = [p for p in _candidates(site, request) if not _excess(p, request)]
    if not request.gpu:
        return [partition for partition in fitting if not partition.max_gpu] or fitting
    return fitting


def largest(values: Iterable[float | None]) -> float:
    """Return the largest limit; infinity if one is unknown."""
    return max((math.inf if value is None else value for value in values), default=math.inf)


def runtime(site: Site, request: Request, planned: float, resumable: bool) -> float:
    """Limit the minutes of a request to what a partition takes.

    Parameters
    ----------
    site : Site
    request : Request
        With the requested minutes, which may be a multiple of the planned ones.
    planned : float
        Minutes that the job is planned to take.
    resumable : bool
        Whether the job continues in another allocation.

    Returns
    -------
    float
        Minutes. More than every partition takes if the job fits nowhere.
    """
    fitting = taking(site, replace(request, runtime=None))
    longest = largest(partition.max_runtime for partition in fitting)
    if not resumable and planned > longest:
        return planned
    assert request.runtime is not None
    return min(request.runtime, longest)


def memory(site: Site, request: Request, first: float, planned: float, resumable: bool) -> float:
    """Limit the memory of a later attempt to what a partition takes.

    Parameters
    ----------
    site : Site
    request : Request
        With the requested MB.
    first : float
        MB of the first attempt.
    planned : float
        Minutes that the job is planned to take.
    resumable : bool
        Whether the job continues in another allocation.

    Returns
    -------
    float
        MB, at least `first`.
    """
    runtime = None if resumable else planned
    fitting = taking(site, replace(request, mem_mb=first, runtime=runtime))
    if not fitting:
        return first
    assert request.mem_mb is not None
    return max(first, min(request.mem_mb, largest(p.max_mem_mb for p in fitting)))


def count(seconds: float, start: float, minutes: float | None) -> int:
    """Return the number of allocations that a resumable job needs.

    Parameters
    ----------
    seconds : float
        Planned time of the job, in seconds.
    start : float
        The part of it that each allocation repeats, such as imports.
    minutes : float or None
        Time limit of an allocation.
    """
    if not minutes:
        return 1
    length = 60 * minutes
    usable = length - Allocation("", 0.0, length).margin() - start
    return max(1, math.ceil((seconds - start) / usable)) if usable > 0 else 1


def stages(jobs: Iterable["Job"], costs: dict[str, "Cost"]) -> list[Stage]:
    """Rules with jobs that need several allocations, in the order of the jobs.

    Parameters
    ----------
    jobs : iterable of 'Job'
        Jobs of a plan.
    costs : dict of str to 'Cost'
        Cost of each job, by its key.
    """
    rules: dict[str, list[tuple[float, float, int]]] = {}
    for job in jobs:
        if not job.to_run or job.rule not in RESUMABLE:
            continue
        cost = costs[job.key]
        number = count(cost.seconds, cost.start, job.runtime)
        if number > 1:
            rules.setdefault(job.rule, []).append((cost.seconds, job.runtime or 0.0, number))
    found_stages = []
    for rule, rows in rules.items():
        seconds, minutes, _ = max(rows)
        most = max(number for *_, number in rows)
        found_stages.append(Stage(rule, len(rows), seconds / 3600, minutes, most))
    return found_stages


def report(jobs: Iterable["Job"], costs: dict[str, "Cost"]) -> list[str]:
    """Return a sentence for each rule whose jobs need several allocations.

    Parameters
    ----------
    jobs, costs : iterable of 'Job'
        As of `stages`.
    """
    return [
        f"{stage.rule}: {stage.jobs} jobs continue in several allocations; the longest takes "
        f"{stage.longest_hours:,.0f} h in {stage.allocations} allocations "
        f"of {stage.runtime / 60:,.3g} h."
        for stage in stages(jobs, costs)
    ]


def misfits(jobs: Iterable["Job"], site: Site | None) -> list[str]:
    """Return a sentence for each kind of job that no partition takes; none without partitions.

    The limits shown are those of the partition that comes closest.

    Parameters
    ----------
    jobs : iterable of 'Job'
        Jobs of a plan.
    site : Site or None
        Limits of the partitions.
    """
    if site is None or not site.partitions:
        return []
    groups: dict[tuple, list[dict[str, tuple[float, float]]]] = {}
    for job in jobs:
        if not job.to_run or job.local:
            continue
        request = Request(
            job.gpu or 0, job.threads, job.mem_mb, job.runtime, job.nodes, job.partition
        )
        if taking(site, request):
            continue
        if job.rule in RESUMABLE and not taking(site, replace(request, runtime=None)):
            request = replace(request, runtime=None)  # it is limited once the rest fits
        candidates = _candidates(site, request) or list(site.partitions)
        nearest = min(candidates, key=lambda p: _distance(p, request))
        excess = _excess(nearest, request)
        groups.setdefault((job.rule, nearest.name, *excess), []).append(excess)
    return [_misfit(*key, values) for key, values in groups.items()]


def _misfit(rule: str, partition: str, *resources_and_values) -> str:
    """Return a sentence about the jobs of a rule that exceed the same limits of a partition."""
    *resources, values = resources_and_values
    units = {"runtime": " min", "mem_mb": " MB"}
    parts = []
    for name in resources:
        value, limit = max(excess[name] for excess in values)
        asked = f"{name} {value:,.10g}{units.get(name, '')}"
        parts.append(f"{asked}, expected at most {limit:,.10g} in {partition!r}")
    return (
        f"site.yaml: no partition takes {len(values)} job{'s' * (len(values) > 1)} of {rule} "
        f"({'; '.join(parts)}); add a partition that does, or request less under set-resources"
    )
