"""What a job requests of a scheduler: minutes, memory, GPU-hours, disk.

Minutes, GPU-hours and disk come from the table that plans are made with, never from the size of a
file. With partitions in site.yaml, no attempt requests more than a partition takes if the first
attempt fits; a job that resumes requests the longest limit that it needs and gets.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from synscale.cluster import partitions
from synscale.cluster.site import Site
from synscale.planning import hardware, summary
from synscale.planning.cost_model import PlanError
from synscale.study.models import Study

MARGIN = 2  # a job may take this many times what is planned
LEAST = 10  # minutes
GB = 1_000_000_000


class Limits:
    """Resource functions for rules.

    If the machine has no speed for a job, its time is the guess of the rule and the others are 0.

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
        self.studies, self.machine = studies, hardware.load(machine)
        self.site = site if site and site.partitions else None
        self.requested = requested
        self.guesses: dict[str, int] = {}  # minutes of each rule whose jobs may have no speed
        self.known: dict[tuple, summary.Cost | None] = {}
        self.variants: dict[tuple[str, int | None], Study] = {}

    def resource(self, rule: str, name: str, wildcards, attempt: int = 1, threads: int = 1):
        """Return what a job requests of a resource; None if its rule does not declare it."""
        resource = self.requested(rule).get(name) if self.requested else None
        if resource is None:
            return None
        context = {"attempt": attempt, "threads": threads, "rulename": rule}
        return resource.evaluate(wildcards, input=None, async_run=None, **context).value

    def cost(self, rule: str, wildcards) -> summary.Cost | None:
        """Return the cost of a job, with the GPUs that it requests; None if it has no speed."""
        return self.cost_on(rule, dict(wildcards), self.resource(rule, "gpu", wildcards))

    def cost_on(self, rule: str, wildcards: dict[str, str], gpu: int | None) -> summary.Cost | None:
        """Return the cost of a job on a number of GPUs; None if it has no speed.

        A source has tens of thousands of shards: each costs what the first does, which is the
        largest.
        """
        own = dict(wildcards)
        if "study" not in own:
            return None
        if "shard" in own:
            own["shard"] = own["shard"][:-5] + "00000"
        key = rule, gpu, *own.values()
        if key not in self.known:
            try:
                study = self._study(own["study"], gpu)
                self.known[key] = summary.cost(study, rule, own, self.machine)
            except PlanError:
                self.known[key] = None
        return self.known[key]

    def _study(self, name: str, gpu: int | None) -> Study:
        if (name, gpu) not in self.variants:
            self.variants[name, gpu] = summary.with_gpus(self.studies[name], gpu)
        return self.variants[name, gpu]

    def _minutes(self, rule: str, wildcards) -> tuple[float, int]:
        """Return the planned minutes of a job, and those of its first attempt without a site."""
        found = self.cost(rule, wildcards)
        if found is None:
            guess = self.guesses.get(rule, 0)
            return guess, guess
        planned = found.seconds / 60
        return planned, max(LEAST, math.ceil(MARGIN * planned))

    def _request(
        self,
        rule: str,
        wildcards,
        threads: int,
        mem_mb: float,
        runtime: float | None = None,
    ) -> partitions.Request:
        return partitions.Request(
            gpu=self.resource(rule, "gpu", wildcards) or 0,
            threads=threads,
            mem_mb=mem_mb,
            runtime=runtime,
            nodes=self.resource(rule, "nodes", wildcards) or 1,
            partition=self.resource(rule, "slurm_partition", wildcards) or "",
        )

    def runtime(self, rule: str, guess: int) -> Callable:
        """Minutes: twice the planned ones, 10 at least, and as many more with each attempt."""
        self.guesses[rule] = guess

        def minutes(wildcards, attempt: int = 1, threads: int = 1) -> int:
            planned, first = self._minutes(rule, wildcards)
            if self.site is None:
                return attempt * first
            mem_mb = self.resource(rule, "mem_mb", wildcards, attempt, threads)
            request = self._request(rule, wildcards, threads, mem_mb, attempt * first)
            resumable = rule in partitions.RESUMABLE
            return math.ceil(partitions.runtime(self.site, request, planned, resumable))

        return minutes

    def memory(self, amount: int | Callable) -> Callable:
        """MB: an amount, or a function of wildcards and threads; as much more with each attempt."""

        def megabytes(wildcards, attempt: int, threads: int, rulename: str) -> int:
            first = amount(wildcards, threads) if callable(amount) else amount
            if self.site is None or attempt == 1:
                return attempt * first
            planned, _ = self._minutes(rulename, wildcards)
            request = self._request(rulename, wildcards, threads, attempt * first)
            resumable = rulename in partitions.RESUMABLE
            return math.floor(partitions.memory(self.site, request, first, planned, resumable))

        return megabytes

    def processes(self, rule: str, wildcards) -> int:
        """Return how many processes share a job: one for each GPU (synscale/runtime/launch.py)."""
        return max(1, self.resource(rule, "gpu", wildcards) or 0)

    def saving_mb(self, rule: str, wildcards) -> int:
        """MB of host memory for the copy of a training's state that TrainingCheckpoint writes.

        0 without GPUs. Twice the state on disk, as PyTorch rounds pinned tensors up to powers of
        two; in steps of 100 MB.
        """
        found = self.cost(rule, wildcards)
        if found is None or not found.work.gpus:
            return 0
        return 100 * round(2 * found.work.state / 1e8)

    def gpu_hours(self, rule: str) -> Callable:
        def hours(wildcards) -> int:
            found = self.cost(rule, wildcards)
            return 0 if found is None else math.ceil(found.seconds * found.work.gpus / summary.HOUR)

        return hours

    def disk_gb(self, rule: str) -> Callable:
        """Outputs, and what is next to them while the job runs."""

        def gigabytes(wildcards) -> int:
            found = self.cost(rule, wildcards)
            return (
                1 if found is None else max(1, math.ceil((found.work.kept + found.work.state) / GB))
            )

        return gigabytes
