"""A finished run next to its plan, and speeds fitted to the run.

A plan counts the seconds of a job with a core for itself. Jobs of a study without GPUs run on one
thread, so CPU time is compared, which other jobs and users do not lengthen. With GPUs or several
threads it is wall time, on a machine that does nothing else.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from synscale.planning import dag, records
from synscale.planning.cost_model import Work
from synscale.planning.hardware import Hardware
from synscale.planning.least_squares import fit
from synscale.planning.readers import UNITS
from synscale.planning.summary import Job, work_of
from synscale.report import html, tables
from synscale.study.models import Study

TOLERANCE = 0.2  # relative error of a plan that counts as right
# `tflop` says the same as `pass` and `step` of one model: units that tell models and sizes apart
# are fitted. With one job its work, not its start, takes the time.
FITTED = {
    "evaluate": ("job", "run", "tflop"),  # all jobs of a study read the same images
    "evaluate_clip": ("job", "run"),
    "train_generator": ("tflop", "job"),
    "finetune_generator": ("tflop", "job"),
    "generate": ("tflop", "job"),
    "train_classifiers": ("step", "tflop", "job"),
    "train_clip": ("step", "run", "job"),
    "score": ("image", "job"),  # pairs of some hundred images take milliseconds: noise
}
FORECAST, FITTED_TO_RUN = "forecast", "fitted to this run"
FORECAST_TOTAL = "total of the forecast"
TimeKind = Literal["cpu", "wall"]
TIME_NAMES = {"cpu": "CPU time", "wall": "wall time"}
COLUMNS = {
    "rule": "rule",
    "jobs": "jobs",
    "planned_s": "planned, s",
    "recorded_s": "recorded, s",
    "ratio": "ratio",
    "within": f"within {TOLERANCE:.0%}",
    "speeds": "speeds of the plan",
}


class Done(NamedTuple):
    """A job of a finished run."""

    job: Job
    work: Work
    record: records.Record


def read_run(study: Study, run: Path) -> list[Done]:
    """Return the jobs of a study that have a benchmark file.

    Parameters
    ----------
    study : Study
    run : Path
        Folder that holds logs/ of the run.

    Raises
    ------
    SystemExit
        If no job has one.
    """
    done = []
    for job in dag.ask(dag.targets(study, "all")):
        if job.benchmark and (run / job.benchmark).is_file():
            record = records.read(run / job.benchmark)
            done.append(Done(job, work_of(study, job), record))
    if not done:
        raise SystemExit(f"{run / 'logs' / study.name}: no benchmark files; run the study first")
    return done


def run_id(done: list[Done]) -> str:
    """Return 8 hex digits for a run: another run does not take the same hundredths of seconds."""
    lines = sorted(f"{row.job.key} {row.record.wall}" for row in done)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def time_kind(study: Study) -> TimeKind:
    """Return the kind of seconds that jobs of a study are compared by."""
    return "wall" if study.gpus else "cpu"


def fit_rates(done: list[Done], kind: TimeKind, origin: str) -> list[dict]:
    """Fit seconds per unit of each rule and kind of generator to a run.

    Parameters
    ----------
    done : list of Done
    kind : {"cpu", "wall"}
        Kind of seconds to fit.
    origin : str
        Origin of the rows.

    Returns
    -------
    list of dict
        Rows for `rates` of a hardware file. The time of readers is within that of other units.
    """
    groups: dict[tuple[str, str], list] = {}
    for job, job_work, record in done:
        group = groups.setdefault((job.rule, job_work.kind), [])
        group.append((job_work, getattr(record, kind)))
    rates = []
    for (rule, work_kind), rows in sorted(groups.items()):
        name = {"rule": rule, "kind": work_kind} if work_kind else {"rule": rule}
        source = {"origin": f"measured ({origin}, {len(rows)} jobs)"}
        units = FITTED.get(rule, tuple(rows[0][0].units))
        reading = {unit: 0.0 for unit in UNITS for job_work, _ in rows if unit in job_work.units}
        for unit, seconds in (fit(rows, units) | reading).items():
            rates.append(name | {"unit": unit, "seconds": float(f"{seconds:.3g}")} | source)
    return rates


def compare(done: list[Done], machine: Hardware, kind: TimeKind) -> pd.DataFrame:
    """Compare planned and recorded seconds of each rule.

    A rule is a forecast if none of its speeds was fitted to this run.

    Parameters
    ----------
    done : list of Done
    machine : Hardware
    kind : {"cpu", "wall"}

    Returns
    -------
    DataFrame
        A row for each rule, for the sum of all forecasts, and for the sum of all rules.
    """
    this_run, rows = f"run {run_id(done)}", []
    for job, job_work, record in done:
        rates = machine.rates_of(job.rule, job_work)
        row = {"rule": job.rule, "jobs": 1, "planned_s": machine.seconds(job.rule, job_work)}
        is_fitted = any(this_run in rate.origin for rate in rates)
        rows.append(row | {"recorded_s": getattr(record, kind), "is_fitted": is_fitted})
    jobs = pd.DataFrame(rows)
    speeds = jobs.groupby("rule", sort=False)["is_fitted"].any()
    rules = jobs.groupby("rule", sort=False)[["jobs", "planned_s", "recorded_s"]].sum()
    table = rules.copy()
    table.loc[FORECAST_TOTAL] = rules[~speeds].sum()
    table.loc["total"] = rules.sum()
    table["ratio"] = (table["planned_s"] / table["recorded_s"]).round(2)
    table["within"] = ["yes" if abs(ratio - 1) <= TOLERANCE else "no" for ratio in table["ratio"]]
    table["speeds"] = speeds.map({True: FITTED_TO_RUN, False: FORECAST}).reindex(table.index)
    table = table.fillna({"speeds": ""}).round({"planned_s": 1, "recorded_s": 1})
    return table.rename_axis("rule").reset_index().astype({"jobs": int})


def report(done: list[Done], machine: Hardware, kind: TimeKind) -> str:
    """Return the comparison as Markdown. Parameters as of `compare`."""
    ended = datetime.fromtimestamp(max(row.record.ended for row in done), UTC)
    wall, cpu = (sum(getattr(row.record, name) for row in done) for name in ("wall", "cpu"))
    table = compare(done, machine, kind)
    return "\n\n".join(
        [
            f"Plan for: {html.literal(machine.title)}. Run {run_id(done)}: {len(done)} jobs, the "
            f"last of which ended on {ended:%Y-%m-%d %H:%M} UTC.",
            f"The table compares {TIME_NAMES[kind]}. The jobs took {wall:.0f} s of wall time and "
            f"{cpu:.0f} s of CPU time ({cpu / wall:.0%}); in the rest they waited for a core, a "
            "disk or a GPU.",
            tables.markdown(table.rename(columns=COLUMNS)),
        ]
    )
