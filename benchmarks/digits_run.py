"""Analyse a run of the digits study from its benchmark files.

python -m benchmarks.digits_run [--run FOLDER] [--hardware laptop]

Wall time against what the cores could do, what a job pays before it works, and the plan of the run.
Before it works, a job starts Python and imports: measured here as CPU time of `import
scripts.{rule}`. CPU time of jobs is sampled (synscale/planning/records.py).
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.measuring import Check, Result, begin, finish, parser
from synscale.planning import hardware, speed_fit
from synscale.planning.speed_fit import Done
from synscale.study.load import load_study

PREDICTION = (
    "Wall time 1.3 times CPU seconds / cores or more, for the run shared its machine. Starting and "
    "importing is most of a job but of training and generating: 2 to 4 s where torch is imported, "
    "under 1 s for tables. The plan: within 20 % of the whole run on a quiet machine; single "
    "plots, of 2 to 5 s, not."
)
MOST_WALL = 1.1  # wall time should be near the CPU time of each core
ROOT = Path(__file__).parents[1]


def import_seconds(rule: str) -> float:
    """Return the CPU time of starting Python and importing a rule's script.

    The smaller of two, as the first reads from disk.
    """
    seconds = []
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", f"import scripts.{rule}"], cwd=ROOT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"scripts.{rule}: cannot be imported")
        seconds.append(used.ru_utime + used.ru_stime)
    return min(seconds)


def complete_run(done: list[Done], cores: int) -> dict:
    """Return wall and CPU time of a run on a number of cores."""
    records = [job.record for job in done]
    begin_times = [record.ended - record.wall for record in records]
    wall = max(record.ended for record in records) - min(begin_times)
    cpu, jobs = sum(record.cpu for record in records), sum(record.wall for record in records)
    return {
        "jobs": len(records),
        "cores": cores,
        "wall s": wall,
        "CPU s": cpu,
        "CPU s / cores": cpu / cores,
        "wall / (CPU s / cores)": wall * cores / cpu,
        "seconds of jobs / (wall x cores)": jobs / (wall * cores),
        "CPU s / seconds of jobs": cpu / jobs,
    }


def overheads(done: list[Done]) -> list[dict]:
    """Return a row for each rule, the most expensive imports first."""
    times = pd.DataFrame(
        {"rule": job.rule, "s": record.wall, "cpu": record.cpu} for job, _, record in done
    )
    rows = []
    for rule, jobs in times.groupby("rule", sort=False):
        start, wall = import_seconds(rule), float(jobs["s"].mean())
        rows.append(
            {
                "rule": rule,
                "jobs": len(jobs),
                "s per job": wall,
                "CPU s per job": float(jobs["cpu"].mean()),
                "start and import, CPU s": start,
                "share of the job": f"{min(1.0, start / wall):.0%}",
                "all imports, s": start * len(jobs),
            }
        )
    return sorted(rows, key=lambda row: -row["all imports, s"])


def wall_check(row: dict) -> Check:
    """Return whether the wall time is near the CPU time divided by the number of cores."""
    ratio = row["wall / (CPU s / cores)"]
    reached = "yes" if ratio <= MOST_WALL else "no"
    return Check("wall time / (CPU time / cores)", f"{ratio:.2f}", f"at most {MOST_WALL}", reached)


def plan_check(ratio: float) -> Check:
    """Return whether the plan is right within the tolerance."""
    reached = "yes" if abs(ratio - 1) <= speed_fit.TOLERANCE else "no"
    goal = f"within {speed_fit.TOLERANCE:.0%} of 1"
    return Check("planned / recorded CPU time", f"{ratio:.2f}", goal, reached)


def measure(run: Path, study_name: str, machine: str, cores: int) -> Result:
    """Return the tables of a run. Parameters as of the command line."""
    study = load_study(f"studies/{study_name}.yaml")
    done = speed_fit.read_run(study, run)
    imports = overheads(done)
    row = complete_run(done, cores)
    seconds = sum(row["all imports, s"] for row in imports)
    kind = speed_fit.time_kind(study)
    comparison = speed_fit.compare(done, hardware.load(machine), kind)
    tables = {
        "Wall time": [row],
        "Start of the jobs": imports,
        f"The plan ({machine}) and the run": comparison.rename(columns=speed_fit.COLUMNS).to_dict(
            "records"
        ),
    }
    notes = [f"Start and imports take {seconds:.0f} s of the {row['CPU s']:.0f} s of CPU time."]
    work = f"a run of {len(done)} jobs"
    checks = [wall_check(row), plan_check(float(comparison["ratio"].iloc[-1]))]
    return Result("digits_run", "The digits study", work, PREDICTION, tables, "", notes, checks)


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--run", type=Path, default=Path(), help="folder with logs/ of the run")
    options.add_argument("--study", default="digits")
    options.add_argument("--hardware", default="laptop", help="speeds of the plan")
    options.add_argument("--cores", type=int, default=os.cpu_count(), help="cores of the run")
    args, _ = begin(options, arguments)
    finish(measure(args.run, args.study, args.hardware, args.cores), args)


if __name__ == "__main__":
    main()
