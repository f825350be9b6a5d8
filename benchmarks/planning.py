"""CPU time of planning per job, against a plain Snakefile with the same jobs.

python -m benchmarks.planning [--study imagenet] [--shard 10000] [--pairs 100000] [--done]
    [--target figures/planning/teaser.pdf]

The plain Snakefile is exported from this workflow's graph: a rule for each job, with the same
inputs, outputs, log, benchmark and digest as texts, and no functions. Both are planned in turn with
the same flags. No job runs: a plan reads no image. With --done each output becomes an empty file of
the right age with Snakemake's record of its job, and the finished study is planned again, with and
without skip_finished_shards.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    ExecutionSettings,
    OutputSettings,
    ResourceSettings,
)

from benchmarks.measuring import OURS, Disagreement, Result, begin, finish, parser
from synscale.data import shard_index
from synscale.study.load import load_study
from synscale.workflow.settings.shard_index import shard_index_settings

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKS = ("Snakefile", "rules", "scripts", "synscale", "envs", "profiles", "data", "report")
DRY = ("-n", "--quiet")
PLAIN, PEER = "plain.smk", "plain Snakefile"
GOAL = 1.2  # times the CPU time of the plain Snakefile
PREDICTION = (
    "1.2 times the plain Snakefile without the plan's table, from functions of inputs and digests, "
    "and from 400 modules that start with the workflow; parsing a rule for each job makes the "
    "plain one slower, so that 1.0 is possible. The table adds 0.6 s at 10,000 jobs, 4 %."
)


def sized(study: dict, shard: int | None = None, pairs: int | None = None) -> dict:
    """Return the content of a study file with another size of shards.

    Parameters
    ----------
    study : dict
    shard : int or None
        Image indices in a shard; None for those of the study.
    pairs : int or None
        The same for real pairs and images generated from their texts.
    """
    for source in study["sources"].values():
        recipe = study["recipes"].get(source.get("recipe"), {})
        is_pairs = source["kind"] == "pairs" or recipe.get("kind") == "pair_texts"
        size = pairs if is_pairs else shard
        if "images_per_shard" in source and size:
            source["images_per_shard"] = size
    return study | ({"images_per_shard": shard} if shard else {})


def create(folder: Path, study: dict) -> None:
    """Create a folder with the workflow and only this study."""
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "studies/planning.yaml").write_text(
        yaml.safe_dump(study, sort_keys=False), encoding="utf-8"
    )
    (folder / "config.yaml").write_text("study: planning\n", encoding="utf-8")


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, float, str]:
    """Return wall time and CPU time in seconds, peak memory in MB, and the output."""
    with tempfile.TemporaryFile("w+") as printed:
        start = time.monotonic()
        child = subprocess.Popen(
            [SNAKEMAKE, *arguments], cwd=folder, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        printed.seek(0)
        text = printed.read()
    if status:
        raise SystemExit(f"snakemake {' '.join(arguments)} failed:\n{text[-3000:]}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, text


def jobs_of(text: str) -> int:
    """Return the number of jobs in the output of a dry run."""
    return next(
        (int(line.split()[1]) for line in text.splitlines() if line.startswith("total ")), 0
    )


def let_be_done(dag) -> None:
    """Create the outputs of a Snakemake graph as empty files, and the record of each job.

    Each is younger than its inputs. Indexes of shards get a last row.
    """
    now = time.time()
    for step, level in enumerate(dag.toposorted(dag.jobs)):
        for job in level:
            for output in map(Path, job.output):
                marker = output / ".snakemake_timestamp" if job.output[0].is_directory else output
                marker.parent.mkdir(parents=True, exist_ok=True)
                marker.touch()
                if job.rule.name == "index_shards":
                    study = load_study(f"studies/{job.wildcards.study}.yaml")
                    names = job.wildcards.source, job.wildcards.shard
                    settings = shard_index_settings(study, *names).digest()
                    output.write_text(
                        f"{','.join(shard_index.HEAD)}\nnone,0,none,{settings}\n", encoding="utf-8"
                    )
                for path in {marker, output}:
                    os.utime(path, (now + step / 1000, now + step / 1000))
    records = dag.workflow.persistence

    async def record():
        for job in dag.jobs:
            await records.finished(job)

    asyncio.run(record())


def graph_of(folder: Path, targets: list[str]):
    """Return Snakemake's graph of the jobs of a workflow in a folder, after a silent dry run."""
    output = OutputSettings(dryrun=True, log_level_override=40, enable_file_logging=False)
    with SnakemakeApi(output) as api:
        workflow = api.workflow(
            ResourceSettings(cores=1),
            ConfigSettings(config={"show_plan": False}),
            snakefile=folder / "Snakefile",
            workdir=folder,
        )
        dag = workflow.dag(DAGSettings(targets=frozenset(targets), force_incomplete=True))
        dag.execute_workflow(
            pseudo_executor="dryrun", execution_settings=ExecutionSettings(lock=False)
        )
        return workflow._workflow.dag


def mark_done(folder: Path, targets: list[str]) -> None:
    """Mark every job as done.

    `snakemake --touch` takes a tenth of a second per job and records no finished job.
    """
    let_be_done(graph_of(folder, targets))


def plain_rule(number: int, job) -> str:
    """Return a job as a rule without wildcards and functions."""

    def texts(files: Iterable) -> str:
        return ", ".join(json.dumps(str(file)) for file in files)

    outputs = texts(job.output)
    if job.output and job.output[0].is_directory:
        outputs = f"directory({outputs})"
    digest = json.dumps(str(job.params.get("settings_digest", "")))
    benchmark = [job.benchmark] if job.benchmark else []
    lines = [f"rule job_{number}:", f"    input: {texts(job.input)}"]
    directives = {"output": outputs, "log": texts(job.log), "benchmark": texts(benchmark)}
    lines += [f"    {name}: {value}" for name, value in directives.items() if value]
    lines += ["    threads: 1", "    resources: mem_mb=1000, runtime=10"]
    if job.output:
        lines += [f"    params: settings_digest={digest}", '    shell: "true"']
    return "\n".join(lines)


def export(folder: Path, targets: list[str]) -> None:
    """Write the jobs of the workflow in a folder as a plain Snakefile next to its own."""
    jobs = graph_of(folder, targets).jobs
    rules = [plain_rule(number, job) for number, job in enumerate(jobs)]
    files = targets or [str(file) for job in jobs if job.rule.name == "all" for file in job.input]
    rules = [rule for rule, job in zip(rules, jobs, strict=True) if job.rule.name != "all"]
    inputs = ", ".join(map(json.dumps, files))
    text = "\n\n\n".join([f"rule all:\n    input: {inputs}", *rules])
    (folder / PLAIN).write_text(f"{text}\n", encoding="utf-8")


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
        OURS: (*targets, *DRY),
        PEER: (*DRY, "--snakefile", PLAIN),
        "ours, show_plan: false": (*targets, *DRY, "--config", "show_plan=false"),
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
        ratio = seconds[name] / seconds[PEER]
        row = {
            "way": name,
            "CPU s": float(seconds[name].median()),
            "CPU ms a job": 1000 * float(seconds[name].median()) / jobs,
        }
        if name != PEER:
            row["times plain"] = float(ratio.median())
            row["lowest"], row["highest"] = float(ratio.min()), float(ratio.max())
            row["goal, at most"] = GOAL
            row["reached"] = "yes" if ratio.median() <= GOAL else "no"
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
    finish(Result("planning", "Planning", work, PREDICTION, tables), args)


if __name__ == "__main__":
    main()
