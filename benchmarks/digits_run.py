"""A run of the digits study, from the benchmark files that it left: wall time against what its
processors could do, what a job pays before it works, and the plan beside it.

python -m benchmarks.digits_run [--run folder of the run] [--hardware laptop]

Before it works, a job starts Python and imports: measured here, the processor's seconds of `import
scripts.{rule}` in a process of its own. Wall time of a job is what its file says; seconds of the
processor are sampled there, and what came after the last sample is added
(synscale/timing/records.py).
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.measuring import Result, begin, finish, parser
from scripts import fit_speeds
from synscale.planning import hardware
from synscale.study.load import load_study
from synscale.timing import records

PREDICTION = (
    "Wall time 1.3 times CPU seconds / cores or more, for the run shared its machine. Starting and importing is most of a job but of training and generating: "
    "2 to 4 s where torch is imported, under 1 s for tables. The plan: within 20 % of the whole run on a quiet machine; single plots, of 2 to 5 s, not."
)
ROOT = Path(__file__).parents[1]


def jobs_of(run: Path, study: str) -> pd.DataFrame:
    """A row for each job: rule, begin and end (seconds of the clock), s (wall), cpu_time. Raises
    SystemExit where there is none.
    """
    files = sorted((run / "logs" / study).rglob("*.tsv"))
    if not files:
        raise SystemExit(f"{run / 'logs' / study}: no benchmark files: run the study first")
    rows = []
    for path in files:
        own = records.read(path)
        rows.append(
            {
                "file": str(path.relative_to(run)),
                "begin": own.ended - own.wall,
                "end": own.ended,
                "s": own.wall,
                "cpu_time": own.processor,
            }
        )
    return pd.DataFrame(rows)


def import_seconds(rule: str) -> float:
    """Seconds of the processor that Python takes to start and import a rule's script: the least of
    two, the first reads from disk.
    """
    found = []
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", f"import scripts.{rule}"], cwd=ROOT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"scripts.{rule}: cannot be imported")
        found.append(used.ru_utime + used.ru_stime)
    return min(found)


def whole_run(jobs: pd.DataFrame, cores: int) -> dict:
    wall, busy, taken = (
        float(jobs["end"].max() - jobs["begin"].min()),
        float(jobs["cpu_time"].sum()),
        float(jobs["s"].sum()),
    )
    ideal = busy / cores
    own = {
        "jobs": len(jobs),
        "cores": cores,
        "wall s": wall,
        "CPU s": busy,
        "CPU s / cores": ideal,
        "wall / (CPU s / cores)": wall / ideal,
    }
    return own | {
        "seconds of jobs / (wall x cores)": taken / (wall * cores),
        "CPU s / seconds of jobs": busy / taken,
    }


def overheads(found: pd.DataFrame) -> list[dict]:
    """Of each rule; found: rule, s, cpu_time of its jobs."""
    rows = []
    for rule, own in found.groupby("rule", sort=False):
        start, count = import_seconds(rule), len(own)
        rows.append(
            {
                "rule": rule,
                "jobs": count,
                "s a job": float(own["s"].mean()),
                "CPU s a job": float(own["cpu_time"].mean()),
                "start and import, CPU s": start,
                "share of the job": f"{min(1.0, start / float(own['s'].mean())):.0%}",
                "all imports, s": start * count,
            }
        )
    return sorted(rows, key=lambda row: -row["all imports, s"])


def measure(run: Path, study: str, name: str, cores: int) -> Result:
    jobs, machine = jobs_of(run, study), hardware.load(name)
    done, kind = (
        fit_speeds.measured(study, run),
        fit_speeds.kind_of_seconds(load_study(f"studies/{study}.yaml").gpus),
    )
    of_rules = pd.DataFrame(
        {"rule": own.job.rule, "file": str(own.job.benchmark)} for own in done
    ).merge(jobs, on="file")
    own = overheads(of_rules)
    imports = sum(row["all imports, s"] for row in own)
    notes = [
        f"Starting and importing takes {imports:.0f} s of the {jobs['cpu_time'].sum():.0f} s of the processor that the run took."
    ]
    tables = {
        "Wall time": [whole_run(jobs, cores)],
        "What a job pays before it works": own,
        f"The plan ({name}) beside the run": fit_speeds.headed(
            fit_speeds.compare(done, machine, kind), kind
        ).to_dict("records"),
    }
    return Result(
        "digits_run",
        "The digits study",
        f"a run of {len(jobs)} jobs",
        PREDICTION,
        tables,
        notes=notes,
    )


def main(arguments: list[str] | None = None) -> None:
    own = parser(__doc__)
    own.add_argument(
        "--run",
        type=Path,
        default=Path(),
        help="folder that holds logs/ of the run; this one by default",
    )
    own.add_argument("--study", default="digits")
    own.add_argument("--hardware", default="laptop", help="speeds of the plan")
    own.add_argument(
        "--cores",
        type=int,
        default=os.cpu_count(),
        help="that the run had; this machine's by default",
    )
    args, _ = begin(own, arguments)
    finish(measure(args.run, args.study, args.hardware, args.cores), args)


if __name__ == "__main__":
    main()
