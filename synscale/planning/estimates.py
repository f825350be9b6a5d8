"""Estimates of the minutes, memory, GPU-hours and disk of a job, within the limits of a cluster.

Minutes, GPU-hours and disk come from the table that plans are made with, never from the size of a
file. With partitions in site.yaml, no attempt requests more than a partition takes if the first
attempt fits; a job that resumes requests the longest limit that it needs and gets.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from snakemake.exceptions import WorkflowError

from synscale.cluster import partitions
from synscale.cluster.site import Site
from synscale.planning import hardware, summary
from synscale.planning.cost_model import PlanError
from synscale.planning.readers import readers_per_gpu
from synscale.study.models import Study

MARGIN = 2  # a job may take this many times what is planned
LEAST = 10  # minutes
GB = 1_000_000_000

# Minutes of the jobs of a rule if the machine has no speed for them.
HOUR_LONG = ["calibrate", "train_generator", "index_shards", "score", "fetch_safety_checker"]
HOUR_LONG += ["score_features", "fetch_feature_model"]
HOUR_LONG += ["finetune_generator"]
HOUR_LONG += ["evaluate", "evaluate_clip", "evaluate_author_checkpoint", "fetch_reference"]
HOUR_LONG += ["fetch_start"]
LONGEST = ["index_data", "fetch_model", "fetch_generator", "write_sentences", "caption_images"]
MINUTES = {
    **dict.fromkeys([*HOUR_LONG, "flag_images", "select_images"], 60),
    **dict.fromkeys(["prepare_data", "generate", "train_classifiers"], 120),
    **dict.fromkeys([*LONGEST, "train_clip"], 240),
    "write_provenance": 5,
}
OTHER_MINUTES = 10


class ResourceEstimates:
    """Estimates of what jobs need on a machine, within the limits of a cluster.

    If the machine has no speed for a job, its time is that of `MINUTES` and the others are 0.

    Parameters
    ----------
    studies : dict of str to Study
    machine : str
        Name of a hardware file.
    site : Site, optional
        The cluster, if there is one.
    requested : callable, optional
        Rule name -> resources of the rule as Snakemake holds them, with those of profiles and the
        command line (`set-resources`). Without it, jobs request the GPUs of their study.
    """

    def __init__(
        self,
        studies: dict[str, Study],
        machine: str,
        site: Site | None = None,
        requested: Callable[[str], Mapping[str, Any]] | None = None,
    ):
        self.studies = studies
        self.machine = hardware.load(machine)
        self.machine_name = machine
        self.site = site if site and site.partitions else None
        self.requested = requested
        self.known: dict[tuple, summary.Cost | None] = {}

    def resource(self, rule: str, name: str, wildcards, attempt: int = 1, threads: int = 1) -> Any:
        """Return what a job requests of a resource; None if its rule does not declare it.

        Parameters
        ----------
        rule : str
        name : str
            Name of the resource.
        wildcards
        attempt : int, optional
            Number of the attempt, from 1.
        threads : int, optional
        """
        resource = self.requested(rule).get(name) if self.requested else None
        if resource is None:
            return None
        context = {"attempt": attempt, "threads": threads, "rulename": rule}
        return resource.evaluate(wildcards, input=None, async_run=None, **context).value

    def cost(self, rule: str, wildcards, threads: int = 1) -> summary.Cost | None:
        """Return the cost of a job, with the GPUs that it requests; None if it has no speed.

        Parameters
        ----------
        rule : str
        wildcards
        threads : int, optional
        """
        gpu = self.resource(rule, "gpu", wildcards)
        nodes = self.resource(rule, "nodes", wildcards) if threads > 1 else None
        return self.cost_on(rule, dict(wildcards), gpu, threads, nodes or 1)

    def cost_on(
        self,
        rule: str,
        wildcards: dict[str, str],
        gpu: int | None,
        threads: int = 1,
        nodes: int = 1,
    ) -> summary.Cost | None:
        """Return the cost of a job on a number of GPUs; None if it has no speed.

        A source has tens of thousands of shards: each costs what the first does, which is the
        largest.

        Parameters
        ----------
        rule : str
        wildcards : dict of str to str
        gpu : int or None
            GPUs over all nodes; None for those of the study.
        threads, nodes : int
            Threads on each node, and nodes.
        """
        values = dict(wildcards)
        if "study" not in values:
            return None
        if "shard" in values:
            values["shard"] = values["shard"][:-5] + "00000"
        key = rule, gpu, threads, nodes, *values.values()
        if key not in self.known:
            try:
                study = summary.with_gpus(self.studies[values["study"]], gpu)
                readers = readers_per_gpu(threads, study.gpus, nodes)
                self.known[key] = summary.cost(study, rule, values, self.machine, readers)
            except PlanError:
                self.known[key] = None
        return self.known[key]

    def minutes(self, rule: str, wildcards, threads: int = 1) -> tuple[float, int]:
        """Return the planned minutes of a job, and those of its first attempt without a site.

        Parameters
        ----------
        rule : str
        wildcards
        threads : int, optional
        """
        cost = self.cost(rule, wildcards, threads)
        if cost is None:
            guess = MINUTES.get(rule, OTHER_MINUTES)
            return guess, guess
        planned = cost.seconds / 60
        return planned, max(LEAST, math.ceil(MARGIN * planned))

    def _request(self, rule: str, wildcards, **limits) -> partitions.Request:
        return partitions.Request(
            gpu=self.resource(rule, "gpu", wildcards) or 0,
            **limits,
            nodes=self.resource(rule, "nodes", wildcards) or 1,
            partition=self.resource(rule, "slurm_partition", wildcards) or "",
        )

    def runtime(self, rule: str, wildcards, attempt: int = 1, threads: int = 1) -> int:
        """Return minutes: twice the planned ones, at least 10, times the attempt.

        Parameters
        ----------
        rule : str
        wildcards : mapping of str to str
        attempt : int
            1 for the first attempt.
        threads : int
            Threads of the job on each node.
        """
        planned, first = self.minutes(rule, wildcards, threads)
        if self.site is None:
            return attempt * first
        memory = self.resource(rule, "mem_mb", wildcards, attempt, threads)
        limits = {"threads": threads, "mem_mb": memory, "runtime": attempt * first}
        request = self._request(rule, wildcards, **limits)
        resumable = rule in partitions.RESUMABLE
        return math.ceil(partitions.runtime(self.site, request, planned, resumable))

    def mem_mb(self, rule: str, wildcards, first: int, attempt: int = 1, threads: int = 1) -> int:
        """Return MB: the first amount times the attempt, with the parameters of `runtime`."""
        if self.site is None or attempt == 1:
            return attempt * first
        planned, _ = self.minutes(rule, wildcards, threads)
        request = self._request(rule, wildcards, threads=threads, mem_mb=attempt * first)
        resumable = rule in partitions.RESUMABLE
        return math.floor(partitions.memory(self.site, request, first, planned, resumable))

    def processes(self, rule: str, wildcards) -> int:
        """Return how many processes share a job: one for each GPU (synscale/runtime/launch.py).

        Parameters
        ----------
        rule : str
        wildcards
        """
        return max(1, self.resource(rule, "gpu", wildcards) or 0)

    def saving_mb(self, rule: str, wildcards) -> int:
        """Return MB of host memory for the copy of a training's state while it is saved.

        0 without GPUs. Twice the state on disk, as PyTorch rounds pinned tensors up to powers of
        two; in steps of 100 MB.

        Parameters
        ----------
        rule : str
        wildcards
        """
        cost = self.cost(rule, wildcards)
        if cost is None or not cost.work.gpus:
            return 0
        return 100 * round(2 * cost.work.state / 1e8)

    def gpu_hours(self, rule: str, wildcards, threads: int = 1) -> int:
        """Return the planned GPU-hours of a job, rounded up.

        Parameters
        ----------
        rule : str
        wildcards
        threads : int, optional
        """
        cost = self.cost(rule, wildcards, threads)
        return 0 if cost is None else math.ceil(cost.seconds * cost.work.gpus / summary.HOUR)

    def disk_gb(self, rule: str, wildcards) -> int:
        """Return GB of a job's outputs, and of the state that is saved while it runs.

        Parameters
        ----------
        rule : str
        wildcards
        """
        cost = self.cost(rule, wildcards)
        return 1 if cost is None else max(1, math.ceil((cost.work.outputs + cost.work.state) / GB))

    def check_hardware(self, study: Study) -> None:
        """Raise WorkflowError if a study requests GPUs but the machine has none."""
        if study.gpus and not self.machine.has_gpus:
            try:
                hardware.require_gpus(self.machine_name, study.name)
            except PlanError as error:
                raise WorkflowError(f"config.yaml: {error}") from None
