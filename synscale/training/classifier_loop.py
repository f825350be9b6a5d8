"""Train one classifier: a ViT of timm, by the recipe of the study.

Several processes (synscale/runtime/launch.py) may share a training: each computes its share of every
batch. Their number changes nothing but rounding, and the neighbours that mixup and CutMix find at
the ends of a share.
"""

import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from synscale.data.shuffle_buffer import shuffle_for
from synscale.models import classifier
from synscale.models.stochastic_depth import StochasticDepth
from synscale.study.models.classifiers import Training
from synscale.training import augment, checkpoint, distributed, stream
from synscale.training.divergence import check_finite
from synscale.training.finite_state import gradient_norm
from synscale.training.order import combine_seeds

CHECK_STEPS = 100  # steps between two checks of the loss; reading it makes the CPU wait for the GPU
ADVICE = "lower classifiers.learning_rate or set classifiers.gradient_clip (both can be set for one architecture), or set classifiers.precision to float32"


def seed_step(device: torch.device, *numbers: int) -> None:
    """Seed the random numbers of a step.

    torch.manual_seed would look for every kind of device, which takes 3 % of a small step.

    Parameters
    ----------
    device : torch.device
    *numbers : int
        Numbers that the seed follows from.
    """
    torch.default_generator.manual_seed(combine_seeds(*numbers))
    if device.type == "cuda":
        torch.cuda.manual_seed(combine_seeds(*numbers))


def on_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Send a tensor to a device.

    Pinned memory lets both sides continue. Readers pin what they read; sets in memory are pinned
    here.

    Parameters
    ----------
    values : Tensor
    device : torch.device

    Returns
    -------
    Tensor
    """
    if device.type != "cuda":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def gradients(
    shared: torch.nn.Module,
    recipe: Training,
    processes: distributed.ProcessGroup,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    turns: int,
    depth: StochasticDepth | None = None,
    masks: torch.Tensor | None = None,
) -> torch.Tensor:
    """Add the gradients of this process's share of a batch to those of the model.

    Processes add up their gradients once, in the last micro-batch.

    Parameters
    ----------
    shared : Module
        The model, or its DistributedDataParallel.
    recipe : Training
    processes : ProcessGroup
    pixels : Tensor, shape (N, C, H, W)
        In -1..1.
    targets : Tensor, shape (N,) or (N, classes)
        Class ids, or the proportions of mixed images.
    turns : int
        Equal micro-batches.
    depth : StochasticDepth, optional
        Layers of stochastic depth.
    masks : Tensor, shape (layers, N), optional
        Masks of the share.

    Returns
    -------
    Tensor, shape ()
        Mean loss of the share.
    """
    losses, first = [], 0
    is_half = recipe.precision == "bfloat16"
    parts = zip(pixels.chunk(turns), targets.chunk(turns), strict=True)
    for turn, (images, labels) in enumerate(parts, 1):
        if masks is not None:
            depth.use(masks, first)
        first += len(images)
        with shared.no_sync() if turn < turns and processes.ranks > 1 else nullcontext():
            with torch.autocast(processes.device.type, torch.bfloat16, enabled=is_half):
                logits = shared(images)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
            loss = loss / turns  # micro-batches are equal: the mean of their means is the mean
            loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def train(
    build: dict,
    recipe: Training,
    run: dict,
    images: stream.Images,
    state_folder: Path,
    identity: str,
    processes: distributed.ProcessGroup,
) -> torch.nn.Module:
    """Train one classifier, resuming from a saved state if there is one.

    AdamW, linear warm-up over `warmup` of the steps, then a cosine to zero. The loss is checked
    before each save, so that the state on disk is always finite.

    Parameters
    ----------
    build : dict
        Arguments of classifier.build.
    recipe : Training
    run : dict
        Row of `runs` of jobs.classifier_settings.
    images : Images
        Training set.
    state_folder : Path
        Folder of the saved state.
    identity : str
        Everything that the result depends on.
    processes : ProcessGroup

    Returns
    -------
    Module
        The model, or the moving average of its weights if the recipe asks for it.

    Raises
    ------
    SystemExit
        If the loss or the gradient is not finite, or if processes loaded different states.
    """
    device, total, seed = processes.device, run["iterations"], run["seed"]
    name = f"{run['source']} {run['name']}"
    torch.manual_seed(seed)
    layout = torch.channels_last if recipe.compile else torch.contiguous_format
    model = classifier.build(**build, position_std=recipe.position_std)
    model = model.to(device, memory_format=layout).train()
    size, largest = recipe.batch_size, recipe.micro_batch_size
    turns = distributed.count_micro_batches(
        "classifiers.batch_size", size, largest, processes.ranks
    )
    share = recipe.batch_size // processes.ranks
    depth = StochasticDepth(model, share // turns, device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=recipe.betas,
        fused=True,
    )
    warm = max(1, round(recipe.warmup * total))
    schedules = [
        LinearLR(optimizer, 1 / warm, total_iters=warm),
        CosineAnnealingLR(optimizer, max(1, total - warm)),
    ]
    schedule = SequentialLR(optimizer, schedules, [warm])
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    average = None
    if recipe.ema_decay:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))
        parts["average"] = average
    state = checkpoint.TrainingCheckpoint(state_folder, identity, parts)
    step = state.load()
    if step != processes.broadcast(step):
        raise SystemExit(
            f"{name}: rank {processes.rank} loaded another step than rank 0 ({step}; stale network file system?); run the job again"
        )
    if recipe.compile:
        # A job has several runs, and torch stops compiling after eight models.
        torch.compiler.reset()
        # In place, so that names of weights stay; within DistributedDataParallel, as torch advises.
        model.compile(backend=recipe.compile, dynamic=False)
    shared = processes.wrap_ddp(model)
    stored = images.read(torch.tensor([0]))[0].shape[-1]
    transform = augment.of_images(recipe, stored, build["image_size"])
    mix = augment.of_batches(recipe, build["classes"])
    batches = stream.iter_training(
        images,
        recipe.batch_size,
        total,
        seed,
        step,
        transform,
        processes.rank,
        processes.ranks,
        processes.workers,
        shuffle=shuffle_for(recipe.batch_size, images.image_bytes),
    )
    began, first, loss, rate, norm = time.monotonic(), step, None, 0.0, None

    def checked(value: float) -> float:
        found = gradient_norm(model) if norm is None else norm.item()
        return check_finite(value, name, step, rate, found, ADVICE)

    for batch in batches:
        # Random numbers of a step follow from its number, so that a resumed run has the same ones.
        seed_step(device, step, seed)
        pixels = classifier.normalise(on_device(batch.images, device))
        targets = on_device(batch.class_ids, device)
        if mix:
            pixels, targets = mix(pixels, targets)
        masks = None
        if depth.layers:
            drawn = depth.draw(
                recipe.batch_size, torch.Generator().manual_seed(combine_seeds(step, seed))
            )
            masks = on_device(
                drawn[:, processes.rank * share : (processes.rank + 1) * share], device
            )
        optimizer.zero_grad(set_to_none=True)
        pixels = pixels.contiguous(memory_format=layout)
        loss = gradients(shared, recipe, processes, pixels, targets, turns, depth, masks)
        if recipe.gradient_clip:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        if average:
            average.update_parameters(model)
        step += 1
        due = processes.is_main and state.due
        if due or (processes.is_main and step % CHECK_STEPS == 0):
            value = checked(loss.item())
        if due:
            state.save(step)
            speed = (step - first) * recipe.batch_size / (time.monotonic() - began)
            progress = f"{step} of {total} iterations, training loss {value:.4f}"
            print(f"{name}: {progress}, {speed:.0f} images a second", flush=True)
    end = "all of them done before"
    if loss is not None:
        end = f"last training loss {checked(processes.mean(loss)):.4f}"
    if processes.is_main:
        print(f"{name}: {total} iterations, {end}", flush=True)
    return average.module if average else model
