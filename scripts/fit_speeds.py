"""Speeds of this machine, from the benchmark files of a finished run: rows for `rates` of a file under profiles/hardware. Before any run: scripts.calibrate.

python -m scripts.fit_speeds --study digits [--run folder of the run] [--check laptop]

Seconds of a job = sum over its units of count x seconds a unit, all at least zero: least squares over the jobs of a rule (and kind of
generator), of the error relative to what was measured. With --check it fits nothing, but sets the plan beside the run.
Wall time is what is fitted, for the benchmark files sample CPU time only every half minute: run on a machine that does nothing else.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml

from scripts.lib import study_file, tabulating
from scripts.lib.plans import dag, hardware, totals
from scripts.lib.plans.fit import fit
from scripts.lib.plans.work import Work, work

# `tflop` says what `pass` and `step` of one model say as well: a fit takes those that tell models and sizes apart. Of a single job its work, not
# its start, takes the time.
FITTED = {
    "train_generator": ("tflop", "job"),
    "generate": ("tflop", "job"),
    "train_classifiers": ("step", "tflop", "job"),
    "train_clips": ("step", "run", "job"),
    "score": ("image", "job"),  # pairs of some hundred images take milliseconds, and what they would be fitted to is noise
}


def measured(study: str, run: Path) -> list[tuple[totals.Job, Work, float]]:
    """Jobs of the whole study with their work and the wall seconds that their benchmark files tell."""
    settings = study_file.load(f"studies/{study}.yaml")
    found = []
    for job in dag.ask(dag.targets(study, settings, "all")):
        if job.benchmark and (run / job.benchmark).is_file():
            found.append((job, work(settings, job.rule, job.wildcards), pd.read_csv(run / job.benchmark, sep="\t")["s"].mean()))
    return found


def rates(found: list[tuple[totals.Job, Work, float]], origin: str) -> list[dict]:
    groups: dict[tuple[str, str], list] = {}
    for job, own, seconds in found:
        groups.setdefault((job.rule, own.kind), []).append((own, seconds))
    rows = []
    for (rule, kind), own in sorted(groups.items()):
        units = FITTED.get(rule, tuple(own[0][0].units))
        named = {"rule": rule} | ({"kind": kind} if kind else {})
        rows += [named | {"unit": unit, "seconds": float(f"{s:.3g}"), "origin": f"measured ({origin}, {len(own)} jobs)"} for unit, s in fit(own, units).items()]
    return rows


def compare(found: list[tuple[totals.Job, Work, float]], machine: hardware.Hardware) -> pd.DataFrame:
    """Planned and measured seconds of each rule, and of all."""
    rows = pd.DataFrame([{"rule": job.rule, "jobs": 1, "planned_s": machine.seconds(job.rule, own), "measured_s": s} for job, own, s in found])
    rows = rows.groupby("rule", sort=False).sum().reset_index()
    rows.loc[len(rows)] = {"rule": "total"} | rows[["jobs", "planned_s", "measured_s"]].sum().to_dict()
    return rows.assign(ratio=rows["planned_s"] / rows["measured_s"]).round({"planned_s": 1, "measured_s": 1, "ratio": 2}).astype({"jobs": int})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--run", type=Path, default=Path(), help="folder that holds logs/ of the run; this one by default")
    parser.add_argument("--check", help="name of a hardware file to set beside the run")
    args = parser.parse_args(arguments)
    found = measured(args.study, args.run)
    if not found:
        raise SystemExit(f"{args.run / 'logs' / args.study}: no benchmark file of a job of this study: run it first")
    if args.check:
        print(tabulating.markdown(compare(found, hardware.load(args.check))))
    else:
        for rate in rates(found, f"scripts.fit_speeds --study {args.study}, {datetime.now(UTC):%Y-%m-%d}"):
            print("  -", yaml.safe_dump(rate, sort_keys=False, width=1000, default_flow_style=True).strip())


if __name__ == "__main__":
    main()
