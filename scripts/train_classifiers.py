"""Train the classifiers of one batch: runs of one source that share a job. Each run is a ViT at a size, a guidance scale and a seed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.torch_setup import deterministic

import pandas as pd
import torch
import torch.nn.functional as F

from scripts.lib import block_lists, classifier, command, jobs, resume, shards


def index_stream(n: int, batch_size: int, iterations: int, seed: int, start: int = 0) -> Iterator[torch.Tensor]:
    """Indices (batch_size,) of every iteration from `start` on: epoch after epoch, each its own permutation of the n images.

    An iteration's indices depend on its number alone, so a resumed run goes on exactly where it stopped.
    """
    epoch, order = -1, None
    for iteration in range(start, iterations):
        batch = []
        for position in range(iteration * batch_size, (iteration + 1) * batch_size):
            if position // n != epoch:
                epoch = position // n
                order = torch.randperm(n, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)).tolist()
            batch.append(order[position % n])
        yield torch.tensor(batch)


def train(build: dict, recipe: dict, run: dict, images: torch.Tensor, labels: torch.Tensor, state_folder: Path, identity: str, device: torch.device):
    """Train one classifier on images (N, C, H, W) in -1..1 with labels (N,); return it.

    AdamW, linear warm-up over `warmup` of the iterations, then a cosine to zero. Recipe ours; the paper's is not published.
    """
    torch.manual_seed(run["seed"])
    model = classifier.build(**build, position_std=recipe["position_std"]).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], weight_decay=recipe["weight_decay"], betas=(0.9, 0.95), fused=True)
    total, warm = run["iterations"], max(1, round(recipe["warmup"] * run["iterations"]))
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warm, total_iters=warm), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, total - warm))],
        milestones=[warm],
    )
    state = resume.State(state_folder, identity, {"model": model, "optimizer": optimizer, "schedule": schedule})
    step = state.load()
    for index in index_stream(len(images), recipe["batch_size"], total, run["seed"], step):
        loss = F.cross_entropy(model(images[index].to(device)), labels[index].to(device), label_smoothing=recipe["label_smoothing"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        step += 1
        state.save_by_time(step)
        if step == total:
            print(f"{run['source']} {run['name']}: {total} iterations, last training loss {loss.item():.4f}", flush=True)
    return model


def training_set(inputs: dict, run: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (size, C, H, W) and labels (size,) of a run: the first images of each of its parts."""
    chosen = []
    for part in run["parts"]:
        images, labels = (tensor[: part["images"]] for tensor in inputs[part["source"], part["guidance"]])
        if len(images) < part["images"]:
            raise SystemExit(f"{part['source']} at guidance {part['guidance']}: {len(images)} images, but run {run['name']} needs {part['images']}")
        chosen.append((images, labels))
    return tuple(map(torch.cat, zip(*chosen, strict=True)))


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--blocks", required=True, nargs="+", help="lists of the blocks of the sources that the runs are made of, in order")
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--state", required=True, help="folder of finished runs and training state, kept until the job is done")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.classifier_settings)

    device, state = deterministic(args.threads), Path(args.state)
    part = Path(f"{args.output}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a try that was killed
    part.mkdir(parents=True)
    classes = len(pd.read_csv(args.classes))
    inputs = shards.read_inputs(block_lists.tars(args.blocks), settings["inputs"])
    inputs = {key: (classifier.normalise(images), torch.from_numpy(labels)) for key, (images, labels) in inputs.items()}
    data = block_lists.identity(args.blocks)
    for run in settings["runs"]:
        images, labels = training_set(inputs, run)
        architecture = settings["architectures"][run["architecture"]]
        build = {"architecture": architecture, "image_size": settings["image_size"], "channels": settings["channels"], "classes": classes}
        identity = json.dumps([run, build, settings["training"], data], sort_keys=True)
        done = state / f"{resume.digest(identity)}.safetensors"
        if not done.exists():
            model = train(build, settings["training"], run, images, labels, state / run["name"], identity, device)
            classifier.save(done, model, {"build": build, "run": run, "training": settings["training"]})
            resume.discard(state / run["name"])
        shutil.copyfile(done, part / f"{run['name']}.safetensors")
    shutil.rmtree(args.output, ignore_errors=True)  # Snakemake makes the folder of a directory output
    part.rename(args.output)
    resume.discard(state)


if __name__ == "__main__":
    main()
