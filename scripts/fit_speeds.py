"""A finished run beside its plan: what the jobs of each rule took and what a hardware file says of
them; or a hardware file's speeds, fitted to the run.

python -m scripts.fit_speeds --study digits --check measured_digits [--run folder of the run] [--seconds wall]
python -m scripts.fit_speeds --study digits [--run folder of the run] [--seconds wall]

With --check: planned and recorded seconds of each rule, their ratio, whether it is within 20 %, and
where the speeds come from. Speeds that were fitted to this very run say nothing about the plan:
their rules are told apart, and the total `forecast` is without them. Else: rows for `rates` of a
file under profiles/hardware. Seconds of a job = sum over its units of count x seconds a unit, all
at least zero: least squares over the jobs of a rule (and kind of generator), of the error relative
to what was recorded. Before any run: scripts.calibrate.

A plan counts the seconds that a job takes with a core of its own. Jobs of a study without GPUs run
on one thread, so that these are seconds of the processor, which neither other jobs nor other users
make longer by taking the core away (--seconds processor). Where GPUs work, or jobs have several
threads, they are those of the clock (--seconds wall), on a machine that does nothing else.
"""

import argparse
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

from synscale.planning import dag, hardware, summary
from synscale.planning.cost_model import Work, work
from synscale.planning.least_squares import fit
from synscale.report import html, tables
from synscale.study.load import StudyError, load_study
from synscale.timing import records

WITHIN = 0.2  # share by which a plan may miss
# `tflop` says what `pass` and `step` of one model say as well: a fit takes those that tell models
# and sizes apart. Of a single job its work, not its start, takes the time.
FITTED = {
    "evaluate": ("job", "run", "tflop"),  # all jobs of a study read the same images
    "evaluate_clip": ("job", "run"),
    "train_generator": ("tflop", "job"),
    "generate": ("tflop", "job"),
    "train_classifiers": ("step", "tflop", "job"),
    "train_clip": ("step", "run", "job"),
    "score": (
        "image",
        "job",
    ),  # pairs of some hundred images take milliseconds, and what they would be fitted to is noise
}
FORECAST, PERHAPS, FITTED_TO_IT = STANDINGS = [
    "forecast",
    "perhaps fitted to this run",
    "fitted to this run",
]
FORECAST_TOTAL = "total of the forecast"
SECONDS = ["planned_s", "recorded_s", "wall_s"]


class Done(NamedTuple):
    """A job of a finished run."""

    job: summary.Job
    work: Work
    record: records.Record


def measured(study: str, run: Path) -> list[Done]:
    """Jobs of the whole study that have a benchmark file. Raises SystemExit where none has."""
    settings = load_study(f"studies/{study}.yaml")
    found = []
    for job in dag.ask(dag.targets(study, settings, "all")):
        if job.benchmark and (run / job.benchmark).is_file():
            found.append(
                Done(
                    job, work(settings, job.rule, job.wildcards), records.read(run / job.benchmark)
                )
            )
    if not found:
        raise SystemExit(
            f"{run / 'logs' / study}: no benchmark file of a job of this study: run it first"
        )
    return found


def run_name(found: list[Done]) -> str:
    """Of a run, from what its jobs recorded: another one does not take the same hundredths of
    seconds.
    """
    told = sorted(f"{own.job.key} {own.record.wall}" for own in found)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]


def rates(found: list[Done], kind: str, origin: str) -> list[dict]:
    """kind: of seconds, a field of records.Record."""
    groups: dict[tuple[str, str], list] = {}
    for job, own, record in found:
        groups.setdefault((job.rule, own.kind), []).append((own, getattr(record, kind)))
    rows = []
    for (rule, of), own in sorted(groups.items()):
        units = FITTED.get(rule, tuple(own[0][0].units))
        named = {"rule": rule} | ({"kind": of} if of else {})
        rows += [
            named
            | {
                "unit": unit,
                "seconds": float(f"{s:.3g}"),
                "origin": f"measured ({origin}, {len(own)} jobs)",
            }
            for unit, s in fit(own, units).items()
        ]
    return rows


def standing(rate: hardware.Rate, run: str, began: str) -> tuple[str, str]:
    """Whether a speed makes a forecast of this run, and what it is made from. run: its name; began:
    the day of its first job.
    """
    day = (re.findall(r"\d{4}-\d\d-\d\d", rate.origin) or ["no date"])[-1]
    if "snakemake calibrate" in rate.origin:
        return FORECAST, f"calibrate, {day}"
    if "scripts.fit_speeds" not in rate.origin:
        return FORECAST, rate.origin.split()[0].rstrip(":")
    if f"run {run}" in rate.origin:
        return FITTED_TO_IT, f"fit, {day}"
    other = re.search(r"run [0-9a-f]{8}", rate.origin)
    return (
        FORECAST if other or day < began else PERHAPS
    ), f"fit to {other[0] if other else 'a run'}, {day}"


def compare(found: list[Done], machine: hardware.Hardware, kind: str) -> pd.DataFrame:
    """Planned and recorded seconds of each rule; of all whose speeds are a forecast; of all. kind:
    of seconds, a field of records.Record.

    `speeds`: how they stand to this run, the worst of those of a rule, and what each is made from.
    """
    run = run_name(found)
    began = f"{datetime.fromtimestamp(min(own.record.ended - own.record.wall for own in found), UTC):%Y-%m-%d}"
    rows, told = [], {}
    for job, own, record in found:
        rows.append(
            {
                "rule": job.rule,
                "jobs": 1,
                "planned_s": machine.seconds(job.rule, own),
                "recorded_s": getattr(record, kind),
                "wall_s": record.wall,
            }
        )
        told.setdefault(job.rule, set()).update(
            standing(rate, run, began) for rate in machine.rates_of(job.rule, own) if rate.seconds
        )
    rules = pd.DataFrame(rows).groupby("rule", sort=False).sum()
    worst = {
        rule: max((stands for stands, _ in own), key=STANDINGS.index, default=FORECAST)
        for rule, own in told.items()
    }
    table = pd.concat(
        [
            rules,
            rules[[worst[rule] == FORECAST for rule in rules.index]]
            .sum()
            .to_frame(FORECAST_TOTAL)
            .T,
            rules.sum().to_frame("total").T,
        ]
    )
    table["ratio"] = (table["planned_s"] / table["recorded_s"]).round(2)
    table["within"] = ["yes" if abs(ratio - 1) <= WITHIN else "no" for ratio in table["ratio"]]
    table["speeds"] = [
        "; ".join([worst[rule], *sorted({made for _, made in told[rule]})]) if rule in told else ""
        for rule in table.index
    ]
    table[SECONDS] = table[SECONDS].round(1)
    return (
        table.rename_axis("rule")
        .reset_index()
        .astype({"jobs": int})[
            ["rule", "jobs", "planned_s", "recorded_s", "ratio", "within", "wall_s", "speeds"]
        ]
    )


HEAD = {
    "planned_s": "planned, s",
    "wall_s": "wall, s",
    "within": "within 20 %",
    "speeds": "speeds of the plan",
}
RECORDED = {"processor": "of the processor", "wall": "of the clock"}


def kind_of_seconds(gpus: int, asked: str | None = None) -> str:
    return asked or ("wall" if gpus else "processor")


def headed(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    return table.drop(columns=["wall_s"] if kind == "wall" else []).rename(
        columns=HEAD | {"recorded_s": f"recorded, s {RECORDED[kind]}"}
    )


def told(found: list[Done], machine: hardware.Hardware, kind: str) -> str:
    """What is compared with what, and the table."""
    table, ended = (
        compare(found, machine, kind),
        datetime.fromtimestamp(max(own.record.ended for own in found), UTC),
    )
    wall, processor = (
        sum(getattr(own.record, of) for own in found) for of in ("wall", "processor")
    )
    circular = table.loc[table["speeds"].str.startswith((PERHAPS, FITTED_TO_IT)), "rule"].tolist()
    paragraphs = [
        f"Planned for: {html.literal(machine.title)}. Recorded: run {run_name(found)}, {len(found)} jobs, "
        f"the last of which ended on {ended:%Y-%m-%d %H:%M} UTC.",
        f"Seconds {RECORDED[kind]} are compared. The jobs took {wall:.0f} s of the clock and {processor:.0f} s of the processor, {processor / wall:.0%} of it: "
        "the rest they waited, for a core that others had, a disk or a GPU.",
        f"No forecast, for speeds were or may have been fitted to this run: {', '.join(circular)}."
        if circular
        else "All of it is a forecast: no speed was fitted to this run.",
    ]
    return "\n\n".join([*paragraphs, tables.markdown(headed(table, kind))])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument(
        "--run",
        type=Path,
        default=Path(),
        help="folder that holds logs/ of the run; this one by default",
    )
    parser.add_argument("--check", help="name of a hardware file to set beside the run")
    parser.add_argument(
        "--seconds",
        choices=list(RECORDED),
        help="that are compared or fitted; by default of the processor where the study asks for no GPU",
    )
    args = parser.parse_args(arguments)
    try:
        kind = kind_of_seconds(load_study(f"studies/{args.study}.yaml").gpus, args.seconds)
        found = measured(args.study, args.run)
        if args.check:
            print(told(found, hardware.load(args.check), kind))
            return
    except (StudyError, hardware.HardwareError, ValueError) as error:
        raise SystemExit(str(error)) from None
    origin = (
        f"scripts.fit_speeds --study {args.study}, run {run_name(found)}, seconds {RECORDED[kind]}"
    )
    for rate in rates(found, kind, f"{origin}, {datetime.now(UTC):%Y-%m-%d}"):
        print(
            "  -",
            yaml.safe_dump(rate, sort_keys=False, width=1000, default_flow_style=True).strip(),
        )


if __name__ == "__main__":
    main()
