"""Train the classifiers of one batch: runs of one source that share a job. Each run is a ViT at a size, a guidance scale and a seed.

One process trains it, or several together (scripts/lib/launch.py): each computes its share of every batch, so that their number changes
nothing but rounding, and the neighbours that mixup and CutMix find at the ends of a share.
"""

import json
import math
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scripts.lib import augment, block_lists, class_table, classifier, command, distributed, jobs, resume, shards, stream
from scripts.lib.order import mixed
from scripts.lib.study.classifiers import Training


def draw_from(device: torch.device, *numbers: int) -> None:
    """Seed what draws random numbers here. torch.manual_seed would ask for every kind of device, at a thirtieth of a small iteration."""
    torch.default_generator.manual_seed(mixed(*numbers))
    if device.type == "cuda":
        torch.cuda.manual_seed(mixed(*numbers))


def finite(loss: float, name: str, step: int) -> float:
    """The same loss. Stops a training that has come apart, and that would go on for days."""
    if not math.isfinite(loss):
        raise SystemExit(f"{name}: training loss {loss} after {step} iterations: lower classifiers.learning_rate, set gradient_clip, or precision float32")
    return loss


def on_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Sent from pinned memory, so that neither side waits: readers pin what they read, and what is held in memory is pinned here."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values


def gradients(shared: torch.nn.Module, recipe: Training, team: distributed.Team, pixels: torch.Tensor, targets: torch.Tensor, turns: int) -> torch.Tensor:
    """Add the gradients of this process's share of a batch, (N, C, H, W) in -1..1, to those of the model, going through it in `turns` equal parts.
    Returns the mean loss of the share. Processes add up what they found once, in the last turn."""
    losses = []
    for turn, (own, wanted) in enumerate(zip(pixels.chunk(turns), targets.chunk(turns), strict=True), 1):
        with shared.no_sync() if turn < turns and team.ranks > 1 else nullcontext():
            with torch.autocast(team.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                logits = shared(own)
            loss = F.cross_entropy(logits.float(), wanted, label_smoothing=recipe.label_smoothing) / turns  # parts are equal: the mean of means is the mean
            loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def train(build: dict, recipe: Training, run: dict, images: stream.Images, state_folder: Path, identity: str, team: distributed.Team) -> torch.nn.Module:
    """Train one classifier on `images`; return it, or the moving average of its weights where the recipe asks for that.

    AdamW, linear warm-up over `warmup` of the iterations, then a cosine to zero.
    """
    device, total, seed, name = team.device, run["iterations"], run["seed"], f"{run['source']} {run['name']}"
    torch.manual_seed(seed)
    layout = torch.channels_last if recipe.compile else torch.contiguous_format
    model = classifier.build(**build, position_std=recipe.position_std).to(device, memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=recipe.betas, fused=True)
    warm = max(1, round(recipe.warmup * total))
    schedule = SequentialLR(optimizer, [LinearLR(optimizer, 1 / warm, total_iters=warm), CosineAnnealingLR(optimizer, max(1, total - warm))], [warm])
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    average = None
    if recipe.ema_decay:
        average = parts["average"] = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
    state = resume.State(state_folder, identity, parts)
    step = state.load()
    if step != team.agreed(step):
        raise SystemExit(f"{name}: this process finds the state of iteration {step}, the first one another: a file system that lags; start again")
    if recipe.compile:
        torch.compiler.reset()  # of the runs of this job each has a model of its own, and after eight torch would give up compiling
        model.compile(backend=recipe.compile, dynamic=False)  # in place: names of weights stay; within what shares gradients, as torch advises
    shared, turns = team.shared(model), distributed.turns("classifiers.batch_size", recipe.batch_size, recipe.largest_batch, team.ranks)
    transform = augment.of_images(recipe, images.read(torch.tensor([0]))[0].shape[-1], build["image_size"])
    mix = augment.of_batches(recipe, build["classes"])
    batches = stream.batches(images, recipe.batch_size, total, seed, step, transform, team.rank, team.ranks, team.workers)
    began, first, loss = time.monotonic(), step, None
    for batch in batches:
        # Random numbers of an iteration follow from its number, so that a resumed run goes on as if nothing had happened.
        draw_from(device, step, seed)  # the same for all processes: they mix alike
        pixels, targets = classifier.normalise(on_device(batch.images, device)), on_device(batch.class_ids, device)
        if mix:
            pixels, targets = mix(pixels, targets)
        draw_from(device, step, seed, team.rank)  # each its own: of layers that are dropped
        optimizer.zero_grad(set_to_none=True)
        loss = gradients(shared, recipe, team, pixels.contiguous(memory_format=layout), targets, turns)
        if recipe.gradient_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
        optimizer.step()
        schedule.step()
        if average:
            average.update_parameters(model)
        step += 1
        if team.leads and state.save_by_time(step):
            rate = (step - first) * recipe.batch_size / (time.monotonic() - began)
            print(f"{name}: {step} of {total} iterations, training loss {finite(loss.item(), name, step):.4f}, {rate:.0f} images a second", flush=True)
    told = "all of them done before" if loss is None else f"last training loss {finite(team.mean(loss), name, step):.4f}"
    if team.leads:
        print(f"{name}: {total} iterations, {told}", flush=True)
    return average.module if average else model


def inputs_of(runs: list[dict], tars: dict[str, list[str]]) -> dict[tuple[str, float | None], stream.Images]:
    """Return the images that the runs need of each source and guidance scale, from the first: in memory if all of them fit, or else in their tars."""
    needed: dict[tuple, int] = {}
    for part in (part for run in runs for part in run["parts"]):
        key = part["source"], part["guidance"]
        needed[key] = max(needed.get(key, 0), part.get("start", 0) + part["images"])
    found = [stream.find(tars[source], guidance, images) for (source, guidance), images in needed.items()]
    return dict(zip(needed, stream.hold(found), strict=True))


def images_of(run: dict, inputs: dict[tuple[str, float | None], stream.Images]) -> stream.Images:
    """Return the images that a run trains on. inputs: as of `inputs_of`."""
    starts = [part.get("start", 0) for part in run["parts"]]
    own = [inputs[p["source"], p["guidance"]].between(start, start + p["images"]) for p, start in zip(run["parts"], starts, strict=True)]
    return own[0].join(own)


def train_batch(settings: dict, blocks: list[str], classes: int, output: Path, state: Path, team: distributed.Team) -> None:
    """Train every run of `settings` (jobs.classifier_settings) into a file in `output`; `state` keeps what is done until all are."""
    part = output.with_name(f"{output.name}.part")
    if team.leads:
        shutil.rmtree(part, ignore_errors=True)  # of a try that was killed
        part.mkdir(parents=True)
    inputs = inputs_of(settings["runs"], shards.by_source(block_lists.tars(blocks), settings["inputs"]))
    data = block_lists.identity(blocks)
    for run in settings["runs"]:
        architecture = settings["architectures"][run["architecture"]]
        build = {"architecture": architecture, "image_size": settings["image_size"], "channels": settings["channels"], "classes": classes}
        identity = json.dumps([run, build, settings["training"], data], sort_keys=True)
        done = state / f"{resume.digest(identity)}.safetensors"
        if not team.agreed(done.exists()):
            model = train(build, Training(**settings["training"]), run, images_of(run, inputs), state / run["name"], identity, team)
            if team.leads:
                classifier.save(done, model, {"build": build, "run": run, "training": settings["training"]})
                resume.discard(state / run["name"])
        if team.leads:
            shutil.copyfile(done, part / f"{run['name']}.safetensors")
    if team.leads:
        shutil.rmtree(output, ignore_errors=True)  # Snakemake makes the folder of a directory output
        part.rename(output)
        resume.discard(state)


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--blocks", required=True, nargs="+", help="lists of the blocks of the sources that the runs are made of, in order")
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--state", required=True, help="folder of finished runs and training state, kept until the job is done")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.classifier_settings)
    with distributed.team(args.threads) as team:
        train_batch(settings, args.blocks, len(class_table.read(args.classes)), Path(args.output), Path(args.state), team)


if __name__ == "__main__":
    main()
