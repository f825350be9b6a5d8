"""Training a ViT: the loop of `scripts/train_classifiers.py`, against timm's model in the usual
loop, eager, and compiled with its best settings.

python -m benchmarks.vit_training [--model vit_small] [--batch 256] [--steps 50]

All train the same model from the same weights on the same batches; steps before --skip are not
timed (compiling, caches). Eager is as timm's own script has it by default: float32, contiguous. Its
best: bfloat16, channels_last, torch.compile. This project has the last two by `compile` in its
study, as studies/imagenet.yaml has, and deterministic kernels. The same step on images that are on
the device already shows what reading costs this project. The run from JPEGs in shards shows whether
the step waits for them.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from benchmarks.measuring import (
    PROJECT,
    Goal,
    Result,
    as_a_job,
    begin,
    clock,
    close,
    finish,
    in_turn,
    parser,
    ratios,
)
from synscale.models import classifier
from synscale.study.models.classifiers import Architecture, Training
from synscale.timing import fake_images, loops
from synscale.training import stream
from synscale.training.classifier_loop import ClassifierJob

PREDICTION = (
    "Not measured yet on a GPU. This project compiles its model, in bfloat16 and channels last as "
    "the best of timm, and has the same fused AdamW: expected 0.97 to 1.0 of compiled (the rest "
    "is deterministic kernels), and 3 times eager float32 or more; within 5 % of images on the "
    "device, and of shards with 8 workers. Before, without `compile`, 0.8 of compiled was "
    "expected. At tiny size on a CPU such ratios measure only Python."
)


def vit(width: int, depth: int, heads: int, pool: str = "token") -> Architecture:
    """Return a ViT with patches of 16 px."""
    return Architecture(label="", patch_size=16, width=width, depth=depth, heads=heads, pool=pool)


MODELS = {
    "tiny": vit(32, 2, 2, "avg"),
    "vit_small": vit(384, 12, 6),
    "vit_base": vit(768, 12, 12),
}
EAGER = "timm, eager"
BEST = "timm, compiled"
LOADED = f"{PROJECT}, images on the device"
SHARDS = f"{PROJECT}, from JPEGs in shards"
GOALS = {EAGER: Goal(2.0), BEST: Goal(1.0)}
CLASSES = 10


def run_project(*arguments, **named) -> torch.nn.Module:
    """Train by `loops.classifier`."""
    with as_a_job():
        return loops.classifier(*arguments, **named)


def timm(
    steps: loops.Steps, job: ClassifierJob, images: stream.Images, compiled: bool
) -> torch.nn.Module:
    """Train as timm's users do, for one process without mixing or clipping.

    Parameters
    ----------
    steps : loops.Steps
    job : ClassifierJob
    images : Images
    compiled : bool
        Whether to compile the model, channels last, with bfloat16 if the recipe has it.

    Returns
    -------
    Module
    """
    recipe, total = job.recipe, job.run.iterations
    device = steps.device
    torch.manual_seed(0)
    model = classifier.build(**job.build_arguments, position_std=recipe.position_std)
    layout = torch.channels_last if compiled else torch.contiguous_format
    model = model.to(device, memory_format=layout).train()
    called = torch.compile(model, backend=recipe.compile) if compiled else model
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=recipe.betas,
        fused=compiled or None,
    )
    warm = max(1, round(recipe.warmup * total))
    schedules = [
        LinearLR(optimizer, 1 / warm, total_iters=warm),
        CosineAnnealingLR(optimizer, max(1, total - warm)),
    ]
    schedule = SequentialLR(optimizer, schedules, [warm])
    is_half = compiled and recipe.precision == "bfloat16"
    for batch in steps.watched(stream.iter_training(images, recipe.batch_size, total, 0)):
        pixels = classifier.normalise(batch.images.to(device, non_blocking=True))
        labels = batch.class_ids.to(device, non_blocking=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=is_half):
            logits = called(pixels.contiguous(memory_format=layout))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def agree(models: dict[str, torch.nn.Module], tolerance: float) -> str:
    """Compare the weights of all models but that of other images, from shards."""
    weights = {
        name: torch.cat([p.detach().cpu().flatten() for p in model.parameters()])
        for name, model in models.items()
        if name != SHARDS
    }
    differences = [
        f"{name}: {close(value, weights[PROJECT], tolerance, f'weights of {name}'):.1g}"
        for name, value in weights.items()
    ]
    return f"largest difference of weights from this project: {', '.join(differences)}"


def job_of(
    model: str, size: int, batch: int, steps: int, is_gpu: bool, backend: str
) -> ClassifierJob:
    """Return the training that all ways do."""
    recipe = Training(
        batch_size=batch,
        learning_rate=1e-3,
        warmup=0.1,
        weight_decay=0.05,
        label_smoothing=0.0,
        position_std=0.02,
        precision="bfloat16" if is_gpu else "float32",
        compile=backend,
    )
    return ClassifierJob(loops.timed_run(steps), MODELS[model], size, 3, CLASSES, recipe)


def measure(
    folder: Path,
    model: str,
    size: int,
    batch: int,
    steps: int,
    skip: int,
    rounds: int,
    device: torch.device,
    workers: int = 0,
    backend: str = "inductor",
) -> Result:
    """Time the steps of each way after the first `skip`."""
    is_gpu = device.type == "cuda"
    job = job_of(model, size, batch, steps, is_gpu, backend)
    stored = fake_images.shard(folder / "00000.tar", batch * 2, size)
    [loaded] = stream.load_into_memory([stored], most=1 << 40)
    timed = loops.Steps(device, skip, clock)
    crops = job.recipe.model_copy(update={"crop_scale": (0.25, 1.0), "flip": True})
    ways = {
        PROJECT: partial(run_project, timed, job, loaded),
        EAGER: partial(timm, timed, job, loaded, False),
        BEST: partial(timm, timed, job, loaded, True),
        LOADED: partial(run_project, timed, job, loaded, loaded=True),
        SHARDS: partial(run_project, timed, replace(job, recipe=crops), stored, workers),
    }

    def seconds(work: Callable[[], object], _: torch.device) -> float:
        work()
        return timed.seconds

    tolerance = 0.3 if is_gpu else 1e-3
    times, agreement = in_turn(ways, rounds, device, partial(agree, tolerance=tolerance), seconds)
    rows = ratios(times, (steps - skip) * batch, "image", GOALS)
    work = (
        f"{model}, {size} px, batches of {batch}, steps {skip} to {steps}, {job.recipe.precision} "
        f"(eager: float32), {workers} workers"
    )
    name = f"vit_training-{model}"
    return Result(name, "Training a ViT", work, PREDICTION, {"": rows}, agreement)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write the result file."""
    options = parser(__doc__, rounds=3, gpu=True)
    options.add_argument("--model", choices=list(MODELS), default="vit_small")
    options.add_argument("--size", type=int, default=224)
    options.add_argument("--batch", type=int, default=256)
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--skip", type=int, default=10)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--backend", default="inductor", help="of torch.compile")
    args, device = begin(options, arguments)
    with tempfile.TemporaryDirectory() as folder:
        sizes = args.model, args.size, args.batch, args.steps, args.skip
        finish(measure(Path(folder), *sizes, args.rounds, device, args.workers, args.backend), args)


if __name__ == "__main__":
    main()
