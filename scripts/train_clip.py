"""Train the CLIP models of one batch of runs that share a job, on pairs of one or more sources.

Under torchrun several processes, on one node or more, train each run together; rank 0 writes.
"""

import json
import shutil
from pathlib import Path

import torch

from synscale.data import shard_index, shards
from synscale.models import clip
from synscale.planning import clip_memory
from synscale.runtime import cli
from synscale.study.models.clip import ClipTraining
from synscale.study.models.rounding import without_rounding_only
from synscale.training import checkpoint, clip_loop, pairs
from synscale.training.clip_loop import Job
from synscale.training.distributed import ProcessGroup, process_group
from synscale.workflow.settings.training import clip_settings


def jobs_of(settings: dict) -> list[Job]:
    """Return the runs of `settings` (clip_settings), each with what it is trained with."""
    recipe, size = ClipTraining(**settings["training"]), settings["image_size"]
    architectures = settings["architectures"]
    return [Job(run, architectures[run["architecture"]], size, recipe) for run in settings["runs"]]


def refuse_what_cannot_be_trained(planned: list[Job], processes: ProcessGroup) -> None:
    """Raise SystemExit if processes cannot share a batch, or if a share needs too much memory."""
    for job in planned:
        job.micro_batches(processes.ranks)
        if processes.device.type == "cuda":
            total = torch.cuda.get_device_properties(processes.device).total_memory
            clip_memory.check(job.memory(processes.ranks), total)


def description_of(settings: dict, job: Job) -> dict:
    """Return what is stored with a model, from which `clip.load` builds it again."""
    return {
        "architecture": job.architecture,
        "image_size": job.image_size,
        "run": job.run,
        "training": settings["training"],
    }


def train_batch(
    settings: dict,
    images: list[str],
    output: Path,
    state: Path,
    processes: ProcessGroup,
) -> None:
    """Train every run of a job.

    Parameters
    ----------
    settings : dict
        Of clip_settings.
    images : list of str
        Shards, source after source.
    output : Path
        Folder that gets a safetensors file for each run.
    state : Path
        Folder of finished runs and training state, until all runs are finished.
    processes : ProcessGroup

    Raises
    ------
    SystemExit
        If a run cannot be trained, or diverges.
    ShardError
        If shards are missing or damaged.
    """
    tars = shards.by_source(images, settings["inputs"])
    part = output.with_name(f"{output.name}.part")
    planned = jobs_of(settings)
    refuse_what_cannot_be_trained(planned, processes)
    found = None
    if processes.is_main:
        shutil.rmtree(part, ignore_errors=True)  # of an interrupted attempt
        part.mkdir(parents=True)
        found = [pairs.open_pairs(tars, job.run["parts"]) for job in planned]
    found = processes.broadcast(found)
    for job, own in zip(planned, found, strict=True):
        description = description_of(settings, job)
        identity = json.dumps([without_rounding_only(description), own.identity], sort_keys=True)
        done = state / f"{checkpoint.digest(identity)}.safetensors"
        folder = state / job.run["name"]
        if not processes.broadcast(done.exists()):
            model = clip_loop.train(job, own, folder, identity, processes)
            if processes.is_main:
                clip.save(done, clip_loop.weights_of(model), description)
                checkpoint.discard(folder)
        if processes.is_main:
            shutil.copyfile(done, part / f"{job.run['name']}.safetensors")
    if processes.is_main:
        shutil.rmtree(output, ignore_errors=True)  # Snakemake creates output folders
        part.rename(output)
        checkpoint.discard(state)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of rule train_clip."""
    parser = cli.parser(__doc__, "source", "group")
    parser.add_argument(
        "--shard-index", required=True, nargs="+", help="lists of shards, by source"
    )
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--state", required=True, help="folder of finished runs and saved states")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, clip_settings)
    with process_group(args.threads) as processes:
        tars = shard_index.tars(args.shard_index)
        train_batch(settings, tars, Path(args.output), Path(args.state), processes)


if __name__ == "__main__":
    main()
