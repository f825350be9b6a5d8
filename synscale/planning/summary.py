"""Costs of a list of jobs: per stage, longest chain, allocations, disk, money, energy."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

from synscale.cluster import partitions
from synscale.planning.cost_model import Work, work
from synscale.planning.hardware import Hardware
from synscale.planning.image_sizes import ImageSizes
from synscale.planning.readers import Readers, limit_of, readers_per_gpu
from synscale.study.models import Study

HOUR = 3600


@dataclass(frozen=True)
class Job:
    """A job of Snakemake's graph.

    Parameters
    ----------
    key, rule : str
    wildcards : dict of str to str
    needs : tuple of str
        Keys of the jobs whose outputs it reads.
    to_run : bool
        Whether it is left to do.
    runtime : float or None
        Requested minutes.
    benchmark : str or None
        File that records its time.
    gpu : int or None
        Requested GPUs; None if the rule requests what the study says.
    threads, mem_mb, nodes, partition
        What it requests of SLURM.
    local : bool
        Whether it runs where Snakemake runs.
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
    """Time and work of a job; each allocation repeats `start` seconds, which no GPU shortens."""

    seconds: float
    work: Work
    start: float = 0.0
    readers: Readers | None = None


@cache
def with_gpus(study: Study, gpu: int | None) -> Study:
    """Return the study with the number of GPUs that a job requests, as its `gpus`.

    Parameters
    ----------
    study : Study
    gpu : int or None
        GPUs that the job requests; None if its rule does not declare them.
    """
    if gpu is None or gpu == study.gpus:
        return study
    return study.model_copy(update={"gpus": gpu})


def work_of(study: Study, job: Job) -> Work:
    """Return the work of a job with the GPUs and threads that it requests.

    Parameters
    ----------
    study : Study
    job : Job
        Job of a plan.
    """
    study = with_gpus(study, job.gpu)
    readers = readers_per_gpu(job.threads, study.gpus, job.nodes)
    return replace(work(study, job.rule, job.wildcards), readers=readers)


def cost_of_work(rule: str, job_work: Work, hardware: Hardware) -> Cost:
    """Return the cost of a job, given its work.

    Parameters
    ----------
    rule : str
    job_work : Work
        Units, GPUs and threads of the job.
    hardware : Hardware
        Speeds of the machine.
    """
    time = hardware.time_of(rule, job_work)
    return Cost(time.seconds, job_work, time.start, time.readers)


def cost(
    study: Study, rule: str, wildcards: dict[str, str], hardware: Hardware, readers: int = 1
) -> Cost:
    """Return the cost of a job with the study's number of GPUs.

    Parameters
    ----------
    study : Study
    rule : str
    wildcards : dict of str to str
    hardware : Hardware
    readers : int
        Cores for each GPU that read images.
    """
    return cost_of_work(rule, replace(work(study, rule, wildcards), readers=readers), hardware)


def costs(
    jobs: Iterable[Job],
    studies: dict[str, Study],
    hardware: Hardware,
    sizes: ImageSizes | None = None,
) -> dict[str, Cost]:
    """Return the cost of each job, by its key.

    Parameters
    ----------
    jobs : iterable of Job
        A target such as `all` that belongs to no study takes nothing.
    studies : dict of str to Study
    hardware : Hardware
    sizes : ImageSizes or None
        Sizes of existing images, for disk; None estimates all of them.
    """
    by_key = {}
    for job in jobs:
        if "study" not in job.wildcards:
            by_key[job.key] = Cost(0.0, Work({}))
            continue
        study = studies[job.wildcards["study"]]
        job_cost = cost_of_work(job.rule, work_of(study, job), hardware)
        if sizes:
            scaled = sizes.scale(job_cost.work, study, job.rule, job.wildcards)
            job_cost = replace(job_cost, work=scaled)
        by_key[job.key] = job_cost
    return by_key


def chains(
    jobs: list[Job], seconds: dict[str, float]
) -> tuple[dict[str, float], dict[str, str | None]]:
    """Return when each job ends with enough workers, and the job that it waits for until then.

    Parameters
    ----------
    jobs : list of Job
        A graph without cycles.
    seconds : dict of str to float
    """
    by_key = {job.key: job for job in jobs}
    ends: dict[str, float] = {}
    previous: dict[str, str | None] = {}
    stack = list(by_key)
    while stack:  # no recursion: a chain may be longer than Python's stack
        key = stack[-1]
        needs = [need for need in by_key[key].needs if need in by_key]
        unknown = [need for need in needs if need not in ends]
        if unknown:
            stack += unknown
            continue
        stack.pop()
        last = max(needs, key=ends.__getitem__, default=None)
        previous[key] = last
        ends[key] = seconds[key] + (ends[last] if last is not None else 0.0)
    return ends, previous


def longest_chain(jobs: list[Job], seconds: dict[str, float]) -> tuple[float, list[str]]:
    """Return the seconds and keys of the longest chain: what a run lasts with enough workers.

    Parameters
    ----------
    jobs : list of Job
        Jobs of a plan.
    seconds : dict of str to float
        Duration of each job, by its key.
    """
    ends, previous = chains(jobs, seconds)
    key = max(ends, key=ends.__getitem__, default=None)
    total = 0.0 if key is None else ends[key]
    chain: list[str] = []
    while key is not None:
        chain.append(key)
        key = previous[key]
    return total, chain[::-1]


def row(name: str, jobs: list[Job], costs: dict[str, Cost], hardware: Hardware) -> dict:
    """Return the row of a plan that sums up some jobs.

    `limit` is what limits trainings, the reader or the GPU; `reader_cores_per_gpu` is what the GPU
    of each of them needs at most. `disk_kept_gb` is outputs; `disk_peak_gb` is also the state of
    all these jobs if they ran at once, the most that is possible.

    Parameters
    ----------
    name : str
        Name of the row.
    jobs : list of Job
        Jobs to sum up.
    costs : dict of str to Cost
        Cost of each job, by its key.
    hardware : Hardware
        Prices of the machine.
    """
    job_costs = [costs[job.key] for job in jobs]
    core_hours = sum(c.seconds for c in job_costs) / HOUR
    gpu_hours = sum(c.seconds * c.work.gpus for c in job_costs) / HOUR
    watt_hours = core_hours * hardware.watts_per_core.value
    watt_hours += gpu_hours * hardware.watts_per_gpu.value
    money = core_hours * hardware.price_per_core_hour.value
    money += gpu_hours * hardware.price_per_gpu_hour.value
    seconds = {job.key: costs[job.key].seconds for job in jobs}
    trainings = [c.readers for c in job_costs if c.readers]
    return {
        "stage": name,
        "jobs": len(jobs),
        "gpu_hours": gpu_hours,
        "core_hours": core_hours,
        "chain_hours": longest_chain(jobs, seconds)[0] / HOUR,
        "longest_job_hours": max(seconds.values(), default=0.0) / HOUR,
        "limit": limit_of(trainings),
        "reader_cores_per_gpu": max((each.needed for each in trainings), default=None),
        "allocations": max((s.allocations for s in partitions.stages(jobs, costs)), default=1),
        "images": sum(c.work.images for c in job_costs),
        "disk_kept_gb": sum(c.work.outputs for c in job_costs) / 1e9,
        "disk_peak_gb": sum(c.work.outputs + c.work.state for c in job_costs) / 1e9,
        "money": money,
        "kwh": watt_hours / 1000,
        "co2_kg": watt_hours / 1000 * hardware.co2_kg_per_kwh.value,
        "partition": hardware.gpu_partition if gpu_hours else hardware.cpu_partition,
    }


def table(jobs: list[Job], costs: dict[str, Cost], hardware: Hardware) -> list[dict]:
    """Return a row for each stage that is left to do, in the order of the data, and two sums.

    The last rows are `total`, of these stages, and `done already`.

    Parameters
    ----------
    jobs : list of Job
        Jobs of a plan.
    costs : dict of str to Cost
        Cost of each job, by its key.
    hardware : Hardware
        Prices of the machine.
    """
    jobs = [job for job in jobs if costs[job.key].work.units]
    depth, _ = chains(jobs, dict.fromkeys(costs, 1.0))
    stages: dict[str, list[Job]] = {}
    for job in jobs:
        if job.to_run:
            stages.setdefault(job.rule, []).append(job)
    order = sorted(stages, key=lambda stage: (max(depth[job.key] for job in stages[stage]), stage))
    rows = [row(stage, stages[stage], costs, hardware) for stage in order]
    total = row("total", [job for job in jobs if job.to_run], costs, hardware)
    done = row("done already", [job for job in jobs if not job.to_run], costs, hardware)
    return [*rows, total | {"partition": ""}, done | {"partition": ""}]
