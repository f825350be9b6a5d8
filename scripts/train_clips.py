"""Train the CLIP models of one batch with open_clip's own trainer: runs that share a job, each on images and captions of one or more sources.

Under torchrun several processes, on one node or more, train each run together; the first one writes.
"""

import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

import scripts.lib.torch_setup  # noqa: F401

import open_clip
import torch
from open_clip_train import main as trainer

from scripts.lib import block_lists, clip, clip_trainer, command, jobs, pairs, resume, shards
from scripts.lib.distributed import Team, team, turns
from scripts.lib.files import write_json
from scripts.lib.study.clips import ClipTraining


def loader_of(run: dict, recipe: ClipTraining, found: pairs.Pairs, args, prepare, tokenize) -> pairs.Loader:
    """What the trainer reads, in its own terms: `args` of its command line, `prepare` of images, `tokenize` of texts."""
    alone = recipe.order == "window"
    reader = pairs.Reader(found.images, prepare, tokenize, None if alone else run["seed"])
    iterations = run["iterations"] // recipe.checkpoints
    share = {"turns": args.accum_freq, "rank": args.rank, "ranks": args.world_size, "workers": 0 if alone else args.workers}
    return pairs.Loader(found, reader, recipe.order, run["seed"], recipe.batch_size, iterations, **share)


def train(settings: dict, run: dict, found: pairs.Pairs, folder: Path, team: Team) -> dict[str, torch.Tensor]:
    """Train one model on the pairs `found`, going on from what `folder` holds of an earlier try; return its weights.

    The trainer returns in peace when it has done nothing, so what it leaves is looked at.
    """
    recipe, architecture = ClipTraining(**settings["training"]), settings["architectures"][run["architecture"]]
    config = clip.config(architecture, settings["image_size"])
    model = f"study_{resume.digest(json.dumps(config, sort_keys=True))}"  # a name that the trainer reads nothing into
    with tempfile.TemporaryDirectory() as own, clip_trainer.tamed(run["seed"], recipe, architecture, team, partial(loader_of, run, recipe, found)):
        write_json(Path(own) / f"{model}.json", config)
        open_clip.add_model_config(Path(own) / f"{model}.json")
        trainer.main(clip_trainer.command_line(run, recipe, model, folder, team))
    team.agreed(None)  # the leader has written its last checkpoint
    checkpoint = folder / "checkpoints/epoch_latest.pt"
    state = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else {"epoch": 0}
    if state["epoch"] != recipe.checkpoints:
        raise SystemExit(f"{run['source']} {run['name']}: the trainer stopped after {state['epoch']} of {recipe.checkpoints} parts: see {folder}/out.log")
    return state["state_dict"]


def told(run: dict, log: Path) -> str:
    lines = [line for line in log.read_text().splitlines() if "Loss:" in line]
    return f"{run['source']} {run['name']}: {run['iterations']} iterations. {lines[-1] if lines else 'All of them done before.'}"


def refuse_what_cannot_be_trained(settings: dict, team: Team) -> None:
    recipe = ClipTraining(**settings["training"])
    for run in settings["runs"]:
        if run["iterations"] % recipe.checkpoints:
            raise SystemExit(f"{run['name']}: {run['iterations']} iterations cannot be cut into {recipe.checkpoints} equal parts")
    turns("clips.batch_size", recipe.batch_size, recipe.largest_batch, team.ranks)
    if recipe.order == "window" and team.ranks > 1:
        raise SystemExit(f"clips.order = window: for one process, but there are {team.ranks}: take passes, or one GPU")


def train_batch(settings: dict, images: list[str], output: Path, state: Path, team: Team) -> None:
    """Train every run of `settings` (jobs.clip_settings) into a file in `output`; `state` keeps what is done until all are."""
    tars = shards.by_source(images, settings["inputs"])
    part = output.with_name(f"{output.name}.part")
    refuse_what_cannot_be_trained(settings, team)
    if team.leads:
        shutil.rmtree(part, ignore_errors=True)  # of a try that was killed
        part.mkdir(parents=True)
    found = team.agreed([pairs.find(tars, run["parts"]) for run in settings["runs"]] if team.leads else None)
    for run, own in zip(settings["runs"], found, strict=True):
        description = {
            "architecture": settings["architectures"][run["architecture"]],
            "image_size": settings["image_size"],
            "run": run,
            "training": settings["training"],
        }
        identity = resume.digest(json.dumps([jobs.identity(description), own.identity], sort_keys=True))
        done = state / f"{identity}.safetensors"
        if not team.agreed(done.exists()):
            weights = train(settings, run, own, state / identity, team)
            if team.leads:
                print(told(run, state / identity / "out.log"), flush=True)
                clip.save(done, weights, description)
                resume.discard(state / identity)
        if team.leads:
            shutil.copyfile(done, part / f"{run['name']}.safetensors")
    if team.leads:
        shutil.rmtree(output, ignore_errors=True)  # Snakemake makes the folder of a directory output
        part.rename(output)
        resume.discard(state)


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--blocks", required=True, nargs="+", help="lists of the blocks of the sources of the batch, source after source")
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--state", required=True, help="folder of finished runs and training state, kept until the job is done")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.clip_settings)
    with team(args.threads) as own:
        train_batch(settings, block_lists.tars(args.blocks), Path(args.output), Path(args.state), own)


if __name__ == "__main__":
    main()
