"""Compare a finished run with its plan, or fit the speeds of a hardware file to the run.

python -m scripts.fit_speeds --study digits --check measured_digits [--run FOLDER] [--seconds wall]
python -m scripts.fit_speeds --study digits [--run FOLDER] [--seconds wall]

With --check: planned and recorded seconds of each rule, their ratio, and whether it is within
20 %. Rules whose speeds were fitted to this run are no forecast and are left out of its total.
Without --check: rows for `rates` of a file under profiles/hardware. Seconds of a job = sum over its
units of count x seconds per unit, fitted by non-negative least squares of the relative error.
Before any run: scripts.calibrate.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import yaml

from synscale.planning import hardware, speed_fit
from synscale.study.load import StudyError, load_study


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("--study", required=True, help="name of the study")
    options.add_argument("--run", type=Path, default=Path(), help="folder with logs/ of the run")
    options.add_argument("--check", help="hardware file to compare the run with")
    times = list(speed_fit.TIME_NAMES)
    options.add_argument(
        "--seconds", choices=times, help="kind of time; cpu by default for a study without GPUs"
    )
    return options


def main(arguments: list[str] | None = None) -> None:
    """Print the comparison with a run, or the speeds that fit it."""
    args = parser().parse_args(arguments)
    try:
        study = load_study(f"studies/{args.study}.yaml")
        kind = args.seconds or speed_fit.time_kind(study)
        done = speed_fit.read_run(study, args.run)
        if args.check:
            print(speed_fit.report(done, hardware.load(args.check), kind))
            return
    except (StudyError, hardware.HardwareError, ValueError) as error:
        raise SystemExit(str(error)) from None
    run, day = f"run {speed_fit.run_id(done)}", f"{datetime.now(UTC):%Y-%m-%d}"
    command = f"scripts.fit_speeds --study {args.study}"
    origin = f"{command}, {run}, {speed_fit.TIME_NAMES[kind]}, {day}"
    for rate in speed_fit.fit_rates(done, kind, origin):
        row = yaml.safe_dump(rate, sort_keys=False, width=1000, default_flow_style=True)
        print("  -", row.strip())


if __name__ == "__main__":
    main()
