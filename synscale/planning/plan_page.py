"""The page of a plan: costs per stage, a smaller study, the longest chain, speeds and factors."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from synscale.cluster import partitions
from synscale.cluster.site import Site
from synscale.planning import hardware, plan_table, readers, summary, what_if
from synscale.planning.image_sizes import ImageSizes
from synscale.planning.plan_table import format_amount, format_hours
from synscale.planning.readers import Readers
from synscale.planning.summary import HOUR, Cost, Job
from synscale.report import html, tables
from synscale.study import overrides
from synscale.study.load import StudyError
from synscale.study.models import Study

FORMAT_KEYS = {"image_size", "channels", "storage"}  # keys of a study: how its images are stored
EXPLANATION = (
    "Disk at most: if all jobs ran at once. Hours are wall time with one core per job; money, "
    "energy and CO2 follow from the factors of the hardware file."
)


def format_rows(rows: list[dict], currency: str) -> str:
    """Return rows of a plan as Markdown, without columns that say nothing.

    Parameters
    ----------
    rows : list of dict
        Rows of the plan.
    currency : str
        Sign of the currency.
    """
    return tables.markdown(pd.DataFrame(plan_table.cells(rows, currency)))


@dataclass(frozen=True)
class Plan:
    """Jobs of a target with their costs, on a type of machine.

    Parameters
    ----------
    files : list of str
        Targets.
    jobs : list of Job
    costs : dict of str to Cost
    machine : Hardware
    smaller : list of dict
        Rows of smaller studies (what_if.table).
    override : str
        Changes of the study, empty for none.
    disk : str
        Origin of the disk estimates.
    cluster : Site or None
    """

    files: list[str]
    jobs: list[Job]
    costs: dict[str, Cost]
    machine: hardware.Hardware
    smaller: list[dict]
    override: str = ""
    disk: str = ""
    cluster: Site | None = None

    @property
    def title(self) -> str:
        """Heading of the page."""
        if len(self.files) < 4:
            return f"Plan of {', '.join(self.files)}"
        return f"Plan of {len(self.files)} files of {Path(self.files[0]).parts[1]}"

    @cached_property
    def rows(self) -> list[dict]:
        """Rows of the cost table; `total` is the last but one."""
        return summary.table(self.jobs, self.costs, self.machine)

    def short(self, over_budget: str = "") -> list[str]:
        """Return the summary for a terminal. Parameters as of `paragraphs`."""
        override = f"The study is not the one in its file: override = {self.override}"
        parts = [
            plan_table.text(self.title, self.rows, self.machine),
            override if self.override else "",
            over_budget,
            *partitions.misfits(self.jobs, self.cluster),
            *partitions.report(self.jobs, self.costs),
            *readers.advice(self._trainings()),
            self.disk,
        ]
        return [part for part in parts if part]

    def paragraphs(self, over_budget: str = "") -> list[str]:
        """Return the summary: heading, cost table, warnings.

        Parameters
        ----------
        over_budget : str
            What exceeds the budget, empty if nothing does.
        """
        rows = self.rows
        total, done = rows[-2:]
        override = html.literal(self.override)
        parts = [
            f"# {self.title}",
            f"**The study is not the one in its file:** override = {override}" if override else "",
            f"{total['jobs']} jobs to run on: {html.literal(self.machine.title)}. "
            f"{done['jobs']} jobs that they build on are done and not counted.",
            f"**{html.literal(over_budget)}**" if over_budget else "",
            format_rows(rows, self.machine.currency),
            *partitions.misfits(self.jobs, self.cluster),
            *partitions.report(self.jobs, self.costs),
            *readers.advice(self._trainings()),
            EXPLANATION,
            html.literal(self.disk) if total["jobs"] else "",
        ]
        return [part for part in parts if part]

    def _trainings(self) -> dict[str, list[Readers]]:
        """Return the readers of the jobs to run, by rule."""
        trainings: dict[str, list[Readers]] = {}
        for job in self.jobs:
            if job.to_run and (readers := self.costs[job.key].readers):
                trainings.setdefault(job.rule, []).append(readers)
        return trainings

    def _reader_table(self) -> str:
        """Return readers of trainings as Markdown: a row for each rule and number of cores."""
        counts = Counter(
            (rule, training) for rule, jobs in self._trainings().items() for training in jobs
        )
        rows = [
            {
                "stage": rule,
                "jobs": jobs,
                "limit": training.limit,
                "reader cores per GPU": training.requested,
                "needed to keep the GPU busy": training.needed,
            }
            for (rule, training), jobs in counts.items()
        ]
        return tables.markdown(pd.DataFrame(rows)) if rows else "No training on a GPU reads images."

    def details(self) -> list[str]:
        """Return the rest of the page: smaller studies, chain, readers, speeds and factors."""
        to_run = [job for job in self.jobs if job.to_run]
        times = {key: cost.seconds for key, cost in self.costs.items()}
        seconds, chain = summary.longest_chain(to_run, times)
        steps = [{"job": key, "seconds": format_amount(times[key])} for key in chain if times[key]]
        used = set()
        for job in to_run:
            used.update(self.machine.rates_of(job.rule, self.costs[job.key].work))
        rates = [rate.model_dump() for rate in self.machine.rates if rate in used]
        factors = [
            {"factor": key} | value
            for key, value in self.machine.model_dump().items()
            if isinstance(value, dict)
        ]
        return [
            "## A smaller study",
            format_rows([self.rows[-2], *self.smaller], self.machine.currency),
            f"## Longest chain: {format_hours(seconds / HOUR)} on any number of machines",
            tables.markdown(pd.DataFrame(steps)) if steps else "Nothing is left to do.",
            "## Readers of training images",
            self._reader_table(),
            "## Speeds used",
            tables.markdown(pd.DataFrame(rates)) if rates else "None.",
            "## Factors",
            tables.markdown(pd.DataFrame(factors)),
        ]


def create(
    files: list[str],
    studies: dict[str, Study],
    machine: hardware.Hardware,
    changes: dict[str, dict],
    jobs: list[Job],
    cluster: Site | None = None,
) -> Plan:
    """Compute the costs of jobs, and of the same jobs in smaller studies.

    Parameters
    ----------
    files : list of str
        Targets.
    studies : dict of str to Study
        With the changes.
    machine : Hardware
    changes : dict of str to dict
        Changes of keys, by study.
    jobs : list of Job
    cluster : Site or None

    Raises
    ------
    PlanError
        If a job has no speed.
    StudyError
        If a changed study has no job.
    """
    if unused := changes.keys() - {job.wildcards.get("study") for job in jobs}:
        raise StudyError(
            f"override = {overrides.text(changes)}: the plan has no job of study "
            f"{', '.join(unused)}; name the study that is planned"
        )
    skipped = {name for name, keys in changes.items() if keys.keys() & FORMAT_KEYS}
    sizes = ImageSizes(skipped=skipped)
    costs = summary.costs(jobs, studies, machine, sizes)
    smaller = what_if.table(jobs, studies, machine, sizes)
    override = overrides.text(changes) if changes else ""
    return Plan(files, jobs, costs, machine, smaller, override, sizes.describe(), cluster)
