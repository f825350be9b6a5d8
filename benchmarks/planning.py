"""CPU time of planning per job, against a plain Snakefile with the same jobs.

python -m benchmarks.planning [--study imagenet] [--shard 10000] [--pairs 100000] [--done]
    [--target figures/planning/teaser.pdf]

The plain Snakefile is exported from this workflow's graph: a rule for each job, with the same
inputs and outputs as texts, and no functions, digests, logs or resources. Both are planned in turn
with the same flags. No job runs: a plan reads no image. With --done each output becomes an empty
file of the right age with Snakemake's record of its job, and the finished study is planned again,
with and without skip_finished_shards.
"""

import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.measuring import (
    PROJECT,
    Disagreement,
    Goal,
    Result,
    begin,
    finish,
    parser,
    spread,
)
from benchmarks.planned_workflow import (
    PLAIN,
    ROOT,
    create,
    export,
    jobs_of,
    mark_done,
    sized,
    snakemake,
)

DRY = ("-n", "--quiet")
PEER = "plain Snakefile"
GOAL = Goal(1.2, at_most=True)  # CPU time relative to the plain Snakefile
PREDICTION = (
    "1.2 times the plain Snakefile without the plan's table, from functions of inputs and digests, "
    "and from 400 modules that start with the workflow; parsing a rule for each job makes the "
    "plain one slower, so that 1.0 is possible. The table adds 0.6 s at 10,000 jobs, 4 %."
)
NOTES = [
    "The plain Snakefile is slower because Snakemake parses a rule for each job. With logs, "
    "benchmarks, digests and resources in its rules, the ratio was 0.63 (2026-11-30, two rounds).",
    "Snakemake needs 0.75 ms for a job of a rule that has only an output (2026-11-25), so the "
    "number of jobs decides: 90,000 shards of 10,000 images would take minutes. `images_per_shard` "
    "of a source keeps the imagenet study under 17,000 jobs.",
    "Three decisions keep planning linear in the number of shards: a training lists indexes of "
    "shards, not shards; each index continues the previous one; garbage is collected every million "
    "objects, because the objects of a plan live until its end.",
    "With `skip_finished_shards: true`, an index represents its shards. A finished imagenet study "
    "of 16,442 jobs was planned in 4.4 s instead of 20.3 s (2026-11-25, `--done`).",
]


def in_process(function: Callable[..., None], *arguments) -> None:
    """Call a function in another process: memory of a child counts from that of its parent."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(function, *arguments).result()


def measure(folder: Path, targets: list[str], rounds: int) -> tuple[pd.DataFrame, int]:
    """Plan the workflow and the plain Snakefile in turn.

    Returns
    -------
    seconds : DataFrame
        CPU time; a column for each way and a row for each round.
    jobs : int
    """
    in_process(export, folder, targets)
    ways = {
        PROJECT: (*targets, *DRY),
        PEER: (*DRY, "--snakefile", PLAIN),
        f"{PROJECT}, show_plan: false": (*targets, *DRY, "--config", "show_plan=false"),
    }
    rows, counts = [], set()
    for _ in range(rounds):
        runs = {name: snakemake(folder, *arguments) for name, arguments in ways.items()}
        rows.append({name: cpu for name, (_, cpu, _, _) in runs.items()})
        # With --quiet, Snakemake prints no number of jobs of a plain Snakefile.
        counts |= {jobs_of(text) for name, (*_, text) in runs.items() if name != PEER}
    exported = (folder / PLAIN).read_text(encoding="utf-8").count("\nrule job_")
    if counts != {exported + (not targets)}:
        raise Disagreement(f"jobs: {sorted(counts)}, but {exported} were exported")
    return pd.DataFrame(rows), exported


def ratio_rows(seconds: pd.DataFrame, jobs: int) -> list[dict]:
    """Return a row for each way, with its ratio to the plain Snakefile in each round."""
    rows = []
    for name in seconds:
        row = {
            "implementation": name,
            "CPU s": float(seconds[name].median()),
            "CPU ms per job": 1000 * float(seconds[name].median()) / jobs,
        }
        if name != PEER:
            row |= spread(seconds[name] / seconds[PEER])
            row |= GOAL.row(row["ratio"])
        rows.append(row)
    return rows


def done_rows(folder: Path, targets: list[str]) -> list[dict]:
    """Return CPU time and memory of planning a finished study."""
    rows = []
    for more in ((), ("--config", "skip_finished_shards=true")):
        _, cpu, memory, text = snakemake(folder, *targets, *DRY, *more)
        if "Nothing to be done" not in text:
            raise SystemExit(f"jobs are left:\n{text[-3000:]}")
        rows.append({"options": " ".join(more) or "none", "CPU s": cpu, "peak MB": memory})
    return rows


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, rounds=2)
    options.add_argument("--study", default="imagenet", help="of studies/ (default: imagenet)")
    options.add_argument("--target", nargs="*", default=[], help="files (default: all)")
    options.add_argument("--shard", type=int, help="image indices in a shard (default: study's)")
    options.add_argument("--pairs", type=int, help="the same for pairs (default: study's)")
    options.add_argument("--folder", type=Path, help="where to create it (default: temporary)")
    options.add_argument("--done", action="store_true", help="measure with all jobs done, too")
    args, _ = begin(options, arguments)
    study = yaml.safe_load((ROOT / f"studies/{args.study}.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        create(folder, sized(study, args.shard, args.pairs))
        seconds, jobs = measure(folder, args.target, args.rounds)
        tables = {"All jobs to do": ratio_rows(seconds, jobs)}
        if args.done:
            in_process(mark_done, folder, args.target)
            tables["All jobs done"] = done_rows(folder, args.target)
    work = f"`snakemake {' '.join(DRY)}` of {args.study}, {jobs:,} jobs, {args.rounds} rounds"
    finish(Result("planning", "Planning", work, PREDICTION, tables, notes=NOTES), args)


if __name__ == "__main__":
    main()
