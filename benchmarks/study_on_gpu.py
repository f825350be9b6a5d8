"""A figure of a study with its jobs on a GPU, and the seconds of its jobs.

python -m benchmarks.study_on_gpu [--study studies/digits.yaml] [--figure supervised_scaling]
    [--gpus 1] [--seconds 100] [--results FOLDER]

The study runs in a temporary folder with `gpus` changed. After --seconds Snakemake is stopped; jobs
that have ended by then are the result.
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks.measuring import Result, begin, finish, parser
from synscale.planning import records

ROOT = Path(__file__).parents[1]
LINKS = ("Snakefile", "rules", "scripts", "synscale", "envs", "data", "report")
GRACE = 10  # seconds in which Snakemake ends after it was interrupted
PREDICTION = (
    "Not measured yet on a GPU. Models of 60,000 weights wait for the launch of kernels, "
    "and one GPU runs one job at a time: the figure takes as long as on two cores, or longer. The "
    "run shows that every job works on a GPU, not that it should run there."
)


def write_workflow(folder: Path, study: Path, gpus: int) -> None:
    """Write the workflow with one study, whose jobs ask for a number of GPUs."""
    for name in LINKS:
        (folder / name).symlink_to(ROOT / name)
    (folder / "profiles").symlink_to(ROOT / "profiles")
    (folder / "studies").mkdir()
    text, changes = re.subn(r"^gpus: \d+", f"gpus: {gpus}", study.read_text(), flags=re.MULTILINE)
    if changes != 1:
        raise SystemExit(f"{study}: {changes} lines start with 'gpus:' (expected 1); add it")
    (folder / "studies" / study.name).write_text(text)
    (folder / "config.yaml").write_text(f"study: {study.stem}\nhardware: laptop\n")


def run(folder: Path, target: str, gpus: int, seconds: float) -> tuple[str, float]:
    """Run Snakemake. Return `done`, `failed` or `cut off`, and its seconds."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--quiet"]
    command += ["--resources", f"gpu={gpus}", "--", target]
    start = time.monotonic()
    child = subprocess.Popen(command, cwd=folder)
    try:
        state = "failed" if child.wait(seconds) else "done"
    except subprocess.TimeoutExpired:
        state = "cut off"
        child.send_signal(signal.SIGINT)  # Snakemake ends its jobs; at SIGTERM it waits for them
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return state, time.monotonic() - start


def job_rows(logs: Path) -> list[dict]:
    """Return a row for each rule from the benchmark files of a study."""
    times = [
        {"rule": path.relative_to(logs).parts[0].removesuffix(".tsv"), "s": records.read(path).wall}
        for path in sorted(logs.rglob("*.tsv"))
    ]
    table = pd.DataFrame(times, columns=["rule", "s"])
    rows = []
    for rule, seconds in table.groupby("rule")["s"]:
        row = {"rule": rule, "jobs": len(seconds), "s a job": float(seconds.mean())}
        rows.append(row | {"s of all": float(seconds.sum())})
    return sorted(rows, key=lambda row: -row["s of all"])


def measure(folder: Path, study: Path, figure: str, gpus: int, seconds: float) -> Result:
    """Run a figure of a study in a folder. Parameters as of the command line."""
    write_workflow(folder, study, gpus)
    target = f"figures/{study.stem}/{figure}.pdf"
    state, taken = run(folder, target, gpus, seconds)
    rows = job_rows(folder / "logs" / study.stem)
    work = f"{target} with {gpus} GPU{'' if gpus == 1 else 's'}: {state} after {taken:.0f} s"
    if not rows:
        raise SystemExit(f"{target}: no job has ended ({state} after {taken:.0f} s); see above")
    name = f"study_on_gpu-{study.stem}"
    return Result(name, "The digits study on a GPU", work, PREDICTION, {"Jobs": rows})


def options() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    options = parser(__doc__)
    options.add_argument("--study", type=Path, default=ROOT / "studies/digits.yaml")
    options.add_argument("--figure", default="supervised_scaling")
    options.add_argument("--gpus", type=int, default=1)
    options.add_argument("--seconds", type=float, default=100.0, help="time for Snakemake")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Run, print and write the result file."""
    args, _ = begin(options(), arguments)
    args.device = "cuda" if args.gpus else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        study = args.study.absolute()
        finish(measure(Path(folder), study, args.figure, args.gpus, args.seconds), args)


if __name__ == "__main__":
    main()
