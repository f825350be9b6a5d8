"""Measure the time and memory that Snakemake needs to plan a study of the paper's size.

python -m benchmarks.planning [--study imagenet] [--shard 10000] [--pairs 100000] [--done]

No job runs: a plan reads no image. With --done each output becomes an empty file of the right age
with Snakemake's record of its job, and the finished study is planned again, with and without
skip_finished_shards.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    ExecutionSettings,
    OutputSettings,
    ResourceSettings,
)

from synscale.data import shard_index
from synscale.study.load import load_study
from synscale.workflow.settings.shard_index import shard_index_settings

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKS = ("Snakefile", "rules", "scripts", "synscale", "envs", "profiles", "data", "report")
DRY = ("-n", "--quiet")


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


def finish(folder: Path) -> None:
    """Mark every job as done.

    `snakemake --touch` takes a tenth of a second per job and records no finished job.
    """
    with SnakemakeApi(
        OutputSettings(dryrun=True, log_level_override=40, enable_file_logging=False)
    ) as api:
        workflow = api.workflow(
            ResourceSettings(cores=1),
            ConfigSettings(),
            snakefile=folder / "Snakefile",
            workdir=folder,
        )
        dag = workflow.dag(DAGSettings(force_incomplete=True))
        dag.execute_workflow(
            pseudo_executor="dryrun", execution_settings=ExecutionSettings(lock=False)
        )
        let_be_done(workflow._workflow.dag)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", default="imagenet", help="of studies/ (default: imagenet)")
    parser.add_argument("--shard", type=int, help="image indices in a shard (default: study's)")
    parser.add_argument("--pairs", type=int, help="the same for pairs (default: study's)")
    parser.add_argument("--folder", type=Path, help="where to create it (default: temporary)")
    parser.add_argument("--done", action="store_true", help="measure with all jobs done, too")
    args = parser.parse_args()
    study = yaml.safe_load((ROOT / f"studies/{args.study}.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        create(folder, sized(study, args.shard, args.pairs))
        rows = {"all to do": snakemake(folder, *DRY)}
        count = jobs_of(rows["all to do"][-1])
        if args.done:
            # In another process: the memory of what is measured starts as that of this one.
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                pool.submit(finish, folder).result()
            skip = ("--config", "skip_finished_shards=true")
            rows["all done"] = snakemake(folder, *DRY)
            rows["all done, skip_finished_shards"] = snakemake(folder, *DRY, *skip)
            for name in list(rows)[1:]:
                if "Nothing to be done" not in rows[name][-1]:
                    raise SystemExit(f"{name}: jobs are left:\n{rows[name][-1][-3000:]}")
    print(f"{args.study}: {count:,} jobs\n")
    print(f"| snakemake {' '.join(DRY)} | seconds | CPU seconds | MB | ms per job |")
    print("|---|---|---|---|---|")
    for name, (seconds, busy, memory, _) in rows.items():
        print(f"| {name} | {seconds:.1f} | {busy:.1f} | {memory:.0f} | {1000 * busy / count:.2f} |")


if __name__ == "__main__":
    main()
