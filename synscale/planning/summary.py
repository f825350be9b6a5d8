"""Sums of a list of jobs: per stage, longest chain, disk, money, energy, and whether a budget
holds. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from synscale.cluster import partitions
from synscale.planning.cost_model import PlanError, Work, work
from synscale.planning.hardware import Hardware
from synscale.planning.image_sizes import ImageSizes
from synscale.study.models import Study

HOUR = 3600
LIMITS = ["gpu_hours", "core_hours", "money", "kwh", "co2_kg", "disk_peak_gb"]


@dataclass(frozen=True)
class Job:
    """A job of Snakemake's graph.

    `needs`: keys of the jobs whose outputs it reads. `runtime` (minutes), `mem_mb`, `gpu`,
    `threads`, `nodes` and `partition` (if it names one): what it requests; gpu None: as many as its
    study says. `local`: it runs where Snakemake runs.
    """

    key: str
    rule: str
    wildcards: dict[str, str] = field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()
    to_run: bool = True
    runtime: float | None = None
    benchmark: str | None = None
    gpu: int | None = None
    threads: int = 1
    mem_mb: float | None = None
    nodes: int = 1
    partition: str = ""
    local: bool = False


@dataclass(frozen=True)
class Cost:
    """`start`: the part of `seconds` that each allocation repeats, and that no GPU shortens."""

    seconds: float
    work: Work
    start: float = 0.0


class OverBudget(PlanError):
    """A plan that takes more than the budget has."""


def with_gpus(study: Study, gpu: int | None) -> Study:
    """Return the study with the number of GPUs that a job requests, as its `gpus`."""
    if gpu is None or gpu == study.gpus:
        return study
    return study.model_copy(update={"gpus": gpu})


def cost(study: Study, rule: str, wildcards: dict[str, str], hardware: Hardware) -> Cost:
    """Cost of one job on one core and `gpus` of the study."""
    own = work(study, rule, wildcards)
    start, rest = hardware.seconds_of(rule, own)
    return Cost(start + rest, own, start)


def costs(
    jobs: Iterable[Job],
    studies: dict[str, Study],
    hardware: Hardware,
    sizes: ImageSizes | None = None,
) -> dict[str, Cost]:
    """Compute the cost of each job.

    Parameters
    ----------
    jobs : iterable of Job
        A target such as `all` that belongs to no study takes nothing.
    studies : dict of Study
    hardware : Hardware
    sizes : ImageSizes or None
        Sizes of existing images, for disk; None estimates all of them.

    Returns
    -------
    dict of Cost
        By key of the job.
    """
    found, variants = {}, {}
    for job in jobs:
        if "study" not in job.wildcards:
            found[job.key] = Cost(0.0, Work({}))
            continue
        name = job.wildcards["study"]
        if (name, job.gpu) not in variants:
            variants[name, job.gpu] = with_gpus(studies[name], job.gpu)
        study = variants[name, job.gpu]
        planned = cost(study, job.rule, job.wildcards, hardware)
        if sizes:
            work_on_disk = sizes.scaled(planned.work, study, job.rule, job.wildcards)
            planned = replace(planned, work=work_on_disk)
        found[job.key] = planned
    return found


def chains(
    jobs: list[Job], seconds: dict[str, float]
) -> tuple[dict[str, float], dict[str, str | None]]:
    """Of each job: when it ends at the earliest, with workers enough; and which job it waits for
    until then. jobs: a graph without circle.
    """
    own = {job.key: job for job in jobs}
    ends: dict[str, float] = {}
    before: dict[str, str | None] = {}
    ahead = list(own)
    while ahead:  # no recursion: a chain may be longer than Python's stack
        key = ahead[-1]
        needs = [need for need in own[key].needs if need in own]
        unknown = [need for need in needs if need not in ends]
        if unknown:
            ahead += unknown
            continue
        ahead.pop()
        before[key] = max(needs, key=ends.__getitem__, default=None)
        ends[key] = seconds[key] + (ends[before[key]] if before[key] is not None else 0.0)
    return ends, before


def longest_chain(jobs: list[Job], seconds: dict[str, float]) -> tuple[float, list[str]]:
    """Seconds and keys of the chain that takes longest: what a run lasts with workers enough."""
    ends, before = chains(jobs, seconds)
    key = max(ends, key=ends.__getitem__, default=None)
    total, chain = ends.get(key, 0.0), []
    while key is not None:
        chain.append(key)
        key = before[key]
    return total, chain[::-1]


def row(name: str, jobs: list[Job], found: dict[str, Cost], hardware: Hardware) -> dict:
    """One row of a plan: sums of these jobs.

    disk_kept: outputs. disk_peak: and what lies beside them while all these jobs run at once, the
    most that can be.
    """
    own = [found[job.key] for job in jobs]
    core_hours = sum(c.seconds for c in own) / HOUR
    gpu_hours = sum(c.seconds * c.work.gpus for c in own) / HOUR
    kwh = (
        core_hours * hardware.watts_per_core.value + gpu_hours * hardware.watts_per_gpu.value
    ) / 1000
    return {
        "stage": name,
        "jobs": len(jobs),
        "gpu_hours": gpu_hours,
        "core_hours": core_hours,
        "chain_hours": longest_chain(jobs, {key: c.seconds for key, c in found.items()})[0] / HOUR,
        "longest_job_hours": max((c.seconds for c in own), default=0.0) / HOUR,
        "allocations": max((s.allocations for s in partitions.stages(jobs, found)), default=1),
        "images": sum(c.work.images for c in own),
        "disk_kept_gb": sum(c.work.kept for c in own) / 1e9,
        "disk_peak_gb": sum(c.work.kept + c.work.state for c in own) / 1e9,
        "money": core_hours * hardware.price_per_core_hour.value
        + gpu_hours * hardware.price_per_gpu_hour.value,
        "kwh": kwh,
        "co2_kg": kwh * hardware.co2_kg_per_kwh.value,
        "partition": hardware.gpu_partition if gpu_hours else hardware.cpu_partition,
    }


def table(jobs: list[Job], found: dict[str, Cost], hardware: Hardware) -> list[dict]:
    """A row for each stage, in the order of the data, of the jobs that are left to do; then
    `total`; then `done already`.
    """
    jobs = [job for job in jobs if found[job.key].work.units]
    depth, _ = chains(jobs, dict.fromkeys(found, 1.0))
    ahead = [job for job in jobs if job.to_run]
    stages: dict[str, list[Job]] = {}
    for job in ahead:
        stages.setdefault(job.rule, []).append(job)
    order = sorted(stages, key=lambda stage: (max(depth[job.key] for job in stages[stage]), stage))
    rows = [row(stage, stages[stage], found, hardware) for stage in order]
    rest = {"total": ahead, "done already": [job for job in jobs if not job.to_run]}
    return rows + [
        row(name, own, found, hardware) | {"partition": ""} for name, own in rest.items()
    ]


def within(budget: dict[str, float | str], total: dict) -> None:
    """Raises OverBudget, with every total that is too high. budget: limits by column of the table,
    such as gpu_hours; text from a command line.
    """
    known = [key for key in LIMITS if key in total]
    try:
        limits = {key: float(value) for key, value in budget.items()}
    except (AttributeError, TypeError, ValueError):
        raise OverBudget(
            f"budget = {budget!r}: not numbers by name, such as {{core_hours: 2}}"
        ) from None
    unknown = ", ".join(key for key in limits if key not in known)
    if unknown:
        raise OverBudget(f"budget: unknown {unknown}; known: {', '.join(known)}")
    over = [
        f"{key} {total[key]:.4g}, but the budget has {limits[key]:g}"
        for key in known
        if key in limits and total[key] > limits[key]
    ]
    if over:
        raise OverBudget(
            f"The plan of {total['jobs']} jobs takes {'; '.join(over)}. No job was started. Ask for fewer figures, make the study smaller, or "
            "raise `budget` in config.yaml."
        )
