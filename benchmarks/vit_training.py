"""Training a ViT: the loop of `scripts/train_classifiers.py`, against timm's model in the usual
loop, eager, and compiled with its best settings.

python -m benchmarks.vit_training [--model vit_small] [--batch 256] [--steps 50]

All train the same model from the same weights on the same batches; steps before --skip are not
timed (compiling, caches). Eager is as timm's own script has it by default: float32, contiguous. Its
best: bfloat16, channels_last, torch.compile. Ours has the last two by `compile` in its study, as
studies/imagenet.yaml has, and deterministic kernels. The same step on images that are on the device
already tells what reading costs ours, and the run from JPEGs in shards whether the step waits for
them.
"""

import tempfile
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from benchmarks.measuring import (
    OURS,
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
from synscale.study.models.classifiers import Training
from synscale.timing import fake_images, loops
from synscale.training import stream

PREDICTION = (
    "Not measured yet on a GPU. Ours compiles its model, in bfloat16 and channels last as the best of timm, and has the same fused AdamW: expected 0.97 to "
    "1.0 of compiled, what is missing being deterministic kernels, and 3 times eager float32 or more; within 5 % of images on the device, and of shards with "
    "8 workers. Before, without `compile`, 0.8 of compiled was expected. At tiny size on a CPU such ratios tell of Python alone."
)
MODELS = {
    "tiny": {"patch_size": 16, "width": 32, "depth": 2, "heads": 2, "pool": "avg"},
    "vit_small": {"patch_size": 16, "width": 384, "depth": 12, "heads": 6, "pool": "token"},
    "vit_base": {"patch_size": 16, "width": 768, "depth": 12, "heads": 12, "pool": "token"},
}
EAGER, BEST, LOADED, SHARDS = (
    "timm, eager",
    "timm, compiled",
    "ours, images on the device",
    "ours, from JPEGs in shards",
)
CLASSES = 10


def ours(*setting, **named) -> torch.nn.Module:
    """As `loops.classifier`."""
    with as_a_job():
        return loops.classifier(*setting, **named)


def timm(
    run: loops.Steps,
    build: dict,
    recipe: Training,
    images: stream.Images,
    steps: int,
    compiled: bool,
    backend: str,
) -> torch.nn.Module:
    """As `train` by the letter of the recipe, for one process without mixing or clipping."""
    torch.manual_seed(0)
    model = classifier.build(**build, position_std=recipe.position_std).to(run.device).train()
    layout = torch.channels_last if compiled else torch.contiguous_format
    model = model.to(memory_format=layout)
    called = torch.compile(model, backend=backend) if compiled else model
    fused = {"fused": True} if compiled else {}
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=recipe.betas,
        **fused,
    )
    warm = max(1, round(recipe.warmup * steps))
    schedule = SequentialLR(
        optimizer,
        [
            LinearLR(optimizer, 1 / warm, total_iters=warm),
            CosineAnnealingLR(optimizer, max(1, steps - warm)),
        ],
        [warm],
    )
    for batch in run.watched(stream.iter_training(images, recipe.batch_size, steps, 0)):
        pixels = classifier.normalise(batch.images.to(run.device, non_blocking=True)).contiguous(
            memory_format=layout
        )
        with torch.autocast(
            run.device.type, torch.bfloat16, enabled=compiled and recipe.precision == "bfloat16"
        ):
            logits = called(pixels)
        loss = F.cross_entropy(
            logits.float(),
            batch.class_ids.to(run.device, non_blocking=True),
            label_smoothing=recipe.label_smoothing,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def agree(made: dict[str, torch.nn.Module], tolerance: float) -> str:
    """What was read from shards is other images."""
    found = {
        name: torch.cat([p.detach().cpu().flatten() for p in model.parameters()])
        for name, model in made.items()
        if name != SHARDS
    }
    told = [
        f"{name}: {close(own, found[OURS], tolerance, f'weights of {name}'):.1g}"
        for name, own in found.items()
    ]
    return f"largest difference of weights from ours: {', '.join(told)}"


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
    gpu = device.type == "cuda"
    settings = {
        "learning_rate": 1e-3,
        "warmup": 0.1,
        "weight_decay": 0.05,
        "label_smoothing": 0.0,
        "position_std": 0.02,
    }
    recipe = Training(
        **settings, batch_size=batch, precision="bfloat16" if gpu else "float32", compile=backend
    )
    build = {"architecture": MODELS[model], "image_size": size, "channels": 3, "classes": CLASSES}
    stored = fake_images.shard(folder / "00000.tar", batch * 2, size)
    (held,) = stream.load_into_memory([stored], most=1 << 40)
    run = loops.Steps(device, skip, clock)
    ways = {
        OURS: partial(ours, run, build, recipe, held, steps),
        EAGER: partial(timm, run, build, recipe, held, steps, False, backend),
        BEST: partial(timm, run, build, recipe, held, steps, True, backend),
        LOADED: partial(ours, run, build, recipe, held, steps, loaded=True),
        SHARDS: partial(
            ours,
            run,
            build,
            recipe.model_copy(update={"crop_scale": (0.25, 1.0), "flip": True}),
            stored,
            steps,
            workers,
        ),
    }

    def seconds(work, _) -> float:
        work()
        return run.seconds

    found, told = in_turn(
        ways, rounds, device, partial(agree, tolerance=0.3 if gpu else 1e-3), seconds
    )
    rows = ratios(found, (steps - skip) * batch, "image", {EAGER: 2.0, BEST: 1.0})
    work = f"{model}, {size} px, batches of {batch}, steps {skip} to {steps}, {recipe.precision} (eager: float32), {workers} workers"
    return Result(f"vit_training-{model}", "Training a ViT", work, PREDICTION, {"": rows}, told)


def main(arguments: list[str] | None = None) -> None:
    own = parser(__doc__, rounds=3, gpu=True)
    own.add_argument("--model", choices=list(MODELS), default="vit_small")
    own.add_argument("--size", type=int, default=224)
    own.add_argument("--batch", type=int, default=256)
    own.add_argument("--steps", type=int, default=50)
    own.add_argument("--skip", type=int, default=10)
    own.add_argument("--workers", type=int, default=8)
    own.add_argument("--backend", default="inductor", help="of torch.compile")
    args, device = begin(own, arguments)
    with tempfile.TemporaryDirectory() as folder:
        sizes = args.model, args.size, args.batch, args.steps, args.skip
        finish(measure(Path(folder), *sizes, args.rounds, device, args.workers, args.backend), args)


if __name__ == "__main__":
    main()
