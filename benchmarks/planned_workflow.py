"""The workflow in a separate folder with one study, and the same jobs as a plain Snakefile.

Tests and benchmarks of planning use it. It does not import torch.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import yaml

from synscale.data import shard_index
from synscale.study.load import load_study
from synscale.workflow.job_graph import graph_of
from synscale.workflow.settings.shard_index import shard_index_settings

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKS = ("Snakefile", "rules", "scripts", "synscale", "envs", "profiles", "data", "report")
PLAIN = "plain.smk"


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
            for file in job.output:
                output = Path(file)
                marker = output / ".snakemake_timestamp" if file.is_directory else output
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


def mark_done(folder: Path, targets: list[str]) -> None:
    """Mark every job as done.

    `snakemake --touch` takes a tenth of a second per job and records no finished job.
    """
    with graph_of(targets, folder) as dag:
        let_be_done(dag)


def plain_rule(number: int, job) -> str:
    """Return a job as a rule without wildcards and functions."""

    def texts(files: Iterable) -> str:
        return ", ".join(json.dumps(str(file)) for file in files)

    folders = [file for file in job.output if file.is_directory]
    files = [file for file in job.output if not file.is_directory]
    outputs = ", ".join([*(f"directory({texts([name])})" for name in folders), texts(files)])
    outputs = outputs.removesuffix(", ")
    lines = [f"rule job_{number}:", f"    input: {texts(job.input)}"]
    if outputs:
        lines += [f"    output: {outputs}", '    shell: "true"']
    return "\n".join(lines)


def export(folder: Path, targets: list[str]) -> None:
    """Write the jobs of the workflow in a folder as a plain Snakefile next to its own."""
    with graph_of(targets, folder) as dag:
        jobs = list(dag.jobs)
        rules = [plain_rule(number, job) for number, job in enumerate(jobs)]
    files = targets or [str(file) for job in jobs if job.rule.name == "all" for file in job.input]
    rules = [rule for rule, job in zip(rules, jobs, strict=True) if job.rule.name != "all"]
    inputs = ", ".join(map(json.dumps, files))
    # As in rules/common.smk.
    start = "import gc\n\ngc.set_threshold(1_000_000)"
    text = "\n\n\n".join([start, f"rule all:\n    input: {inputs}", *rules])
    (folder / PLAIN).write_text(f"{text}\n", encoding="utf-8")
