"""What a job asks a scheduler for: minutes, GPU-hours, disk. From the same table as the plan, never from the size of a file."""

import math
from collections.abc import Callable

from scripts.lib.plans import hardware, totals
from scripts.lib.plans.work import PlanError
from scripts.lib.study import Study

MARGIN = 2  # a job may take this many times what is planned
LEAST = 10  # minutes
GB = 1_000_000_000


class Limits:
    """Resource functions for rules. Where the machine has no speed for a job, its time is the rule's own guess and the others are 0."""

    def __init__(self, studies: dict[str, Study], machine: str):
        self.studies, self.machine, self.known = studies, hardware.load(machine), {}

    def cost(self, rule: str, wildcards: dict[str, str]) -> totals.Cost | None:
        """Of a job; of one among the blocks of a series that of the first, which is the largest: there are tens of thousands to plan."""
        own = dict(wildcards)
        if "block" in own:
            own["block"] = own["block"][:-5] + "00000"
        key = rule, *own.values()
        if key not in self.known:
            try:
                self.known[key] = totals.cost(self.studies[own["study"]], rule, own, self.machine)
            except PlanError:
                self.known[key] = None
        return self.known[key]

    def runtime(self, rule: str, guess: int) -> Callable:
        """Minutes: twice the planned ones, 10 at least, and as many more with each attempt."""

        def minutes(wildcards, attempt: int = 1) -> int:
            found = self.cost(rule, dict(wildcards))
            return attempt * (guess if found is None else max(LEAST, math.ceil(MARGIN * found.seconds / 60)))

        return minutes

    def gpu_hours(self, rule: str) -> Callable:
        def hours(wildcards) -> int:
            found = self.cost(rule, dict(wildcards))
            return 0 if found is None else math.ceil(found.seconds * found.work.gpus / totals.HOUR)

        return hours

    def disk_gb(self, rule: str) -> Callable:
        """Outputs, and what lies beside them while the job runs."""

        def gigabytes(wildcards) -> int:
            found = self.cost(rule, dict(wildcards))
            return 1 if found is None else max(1, math.ceil((found.work.kept + found.work.state) / GB))

        return gigabytes
