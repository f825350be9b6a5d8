"""Train one classifier: a ViT of timm, by the recipe of the study.

Several processes (synscale/runtime/launch.py) may share a training: each computes its share of
every batch. Their number changes nothing but rounding, and the neighbours that mixup and CutMix
find at the ends of a share.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from synscale.data.shuffle_buffer import shuffle_for
from synscale.models import classifier
from synscale.models.stochastic_depth import StochasticDepth
from synscale.study.models.classifiers import Architecture, Training
from synscale.training import augment, checkpoint, part_weights, stream
from synscale.training.distributed import ProcessGroup, count_micro_batches
from synscale.training.order import combine_seeds
from synscale.training.progress import TrainingProgress, clip_norm, compile_model
from synscale.workflow.settings.training import TrainingRun

ADVICE = (
    "lower classifiers.learning_rate or set classifiers.gradient_clip (both can be set for one "
    "architecture), or set classifiers.precision to float32"
)


@dataclass(frozen=True)
class ClassifierJob:
    """A run and what it is trained with.

    Parameters
    ----------
    run : TrainingRun
    architecture : Architecture
    image_size : int
        Pixels a side that the model sees.
    channels : int
    classes : int
    recipe : Training
    """

    run: TrainingRun
    architecture: Architecture
    image_size: int
    channels: int
    classes: int
    recipe: Training

    @property
    def build_arguments(self) -> dict:
        """Arguments of `classifier.build`, which the model's file stores."""
        return {
            "architecture": self.architecture,
            "image_size": self.image_size,
            "channels": self.channels,
            "classes": self.classes,
        }

    def micro_batches(self, ranks: int) -> int:
        """Return the number of micro-batches that each of `ranks` processes has in a step."""
        size, largest = self.recipe.batch_size, self.recipe.micro_batch_size
        return count_micro_batches("classifiers.batch_size", size, largest, ranks)


def seed_step(device: torch.device, *numbers: int) -> None:
    """Seed a step. torch.manual_seed looks for every kind of device: 3 % of a small step.

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
    model: torch.nn.Module,
    recipe: Training,
    processes: ProcessGroup,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    micro_batches: int,
    depth: StochasticDepth | None = None,
    masks: torch.Tensor | None = None,
) -> torch.Tensor:
    """Add the gradients of this process's share of a batch to those of the model.

    Processes add up their gradients once, in the last micro-batch.

    Parameters
    ----------
    model : Module
        The model, or its DistributedDataParallel.
    recipe : Training
    processes : ProcessGroup
    pixels : Tensor, shape (N, C, H, W)
        In -1..1.
    targets : Tensor, shape (N,) or (N, classes)
        Class ids, or the proportions of mixed images.
    weights : Tensor, shape (N,), or None
        Weights of the images in the loss.
    micro_batches : int
        Number of equal micro-batches.
    depth : StochasticDepth, optional
    masks : Tensor, shape (layers, N), optional
        Masks of the share.

    Returns
    -------
    Tensor, shape ()
        Mean loss of the share.
    """
    losses, first = [], 0
    is_half = recipe.precision == "bfloat16"
    of_images = [None] * micro_batches if weights is None else weights.chunk(micro_batches)
    parts = zip(pixels.chunk(micro_batches), targets.chunk(micro_batches), of_images, strict=True)
    for number, (images, labels, weight) in enumerate(parts, 1):
        if masks is not None:
            depth.use(masks, first)
        first += len(images)
        waits = processes.ranks > 1 and number < micro_batches
        with model.no_sync() if waits else nullcontext():
            with torch.autocast(processes.device.type, torch.bfloat16, enabled=is_half):
                logits = model(images)
            loss = part_weights.loss(logits.float(), labels, weight, recipe.label_smoothing)
            loss = loss / micro_batches  # they are equal: the mean of their means is the mean
            loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def _build(job: ClassifierJob, device: torch.device) -> VisionTransformer:
    """Return the model with its initial weights, not compiled yet."""
    torch.manual_seed(job.run.seed)
    model = classifier.build(**job.build_arguments, position_std=job.recipe.position_std)
    return model.to(device, memory_format=_layout(job.recipe)).train()


def _layout(recipe: Training) -> torch.memory_format:
    return torch.channels_last if recipe.compile else torch.contiguous_format


def _optimizer_of(
    model: torch.nn.Module, recipe: Training, total: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW, and linear warm-up followed by a cosine to zero, over `total` steps."""
    decay, betas = recipe.weight_decay, recipe.betas
    optimizer = torch.optim.AdamW(
        model.parameters(), recipe.learning_rate, betas, weight_decay=decay, fused=True
    )
    warm = max(1, round(recipe.warmup * total))
    rise = LinearLR(optimizer, 1 / warm, total_iters=warm)
    fall = CosineAnnealingLR(optimizer, max(1, total - warm))
    return optimizer, SequentialLR(optimizer, [rise, fall], [warm])


def _moving_average(model: torch.nn.Module, decay: float | None) -> AveragedModel | None:
    """Return the moving average of a model's weights, if it has a decay."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None


def batches_of(
    job: ClassifierJob, images: stream.Images, step: int, processes: ProcessGroup
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
    """Yield pixels, targets and weights of this process from a step on, on its device.

    Random numbers of a step follow from its number, so that a resumed run has the same ones.
    Parameters as of `train`; `step` is the first step.
    """
    recipe, seed = job.recipe, job.run.seed
    stored = images.read(torch.tensor([0]))[0].shape[-1]
    batches = stream.iter_training(
        images,
        recipe.batch_size,
        job.run.iterations,
        seed,
        step,
        augment.of_images(recipe, stored, job.image_size),
        processes.rank,
        processes.ranks,
        processes.workers,
        shuffle=shuffle_for(recipe.batch_size, images.image_bytes),
    )
    weights = part_weights.weights_of(job.run.parts)
    mix = augment.of_batches(recipe, job.classes * (weights.parts if weights else 1))
    for number, batch in enumerate(batches, step):
        seed_step(processes.device, number, seed)
        pixels = classifier.normalise(on_device(batch.images, processes.device))
        labels = weights.labels(batch, job.classes) if weights else batch.class_ids
        targets = on_device(labels, processes.device)
        if mix:
            pixels, targets = mix(pixels, targets)
        targets, of_images = weights.split(targets, job.classes) if weights else (targets, None)
        yield pixels.contiguous(memory_format=_layout(recipe)), targets, of_images


def _masks_of_step(
    job: ClassifierJob, depth: StochasticDepth, step: int, processes: ProcessGroup
) -> torch.Tensor | None:
    """Return the masks of this process's share of a batch, None without stochastic depth."""
    if not depth.layers:
        return None
    random = torch.Generator().manual_seed(combine_seeds(step, job.run.seed))
    masks = depth.draw(job.recipe.batch_size, random).chunk(processes.ranks, dim=1)
    return on_device(masks[processes.rank], processes.device)


def train(
    job: ClassifierJob,
    images: stream.Images,
    state_folder: Path,
    identity: str,
    processes: ProcessGroup,
    held_out_loss: Callable[[torch.nn.Module], float] | None = None,
) -> torch.nn.Module:
    """Train one classifier, resuming from a saved state if there is one.

    Parameters
    ----------
    job : ClassifierJob
    images : Images
    state_folder : Path
        Folder of the saved state.
    identity : str
        Everything that the result depends on.
    processes : ProcessGroup
    held_out_loss : callable, optional
        Loss of the weights that are saved, for the history.

    Returns
    -------
    Module
        The model, or the moving average of its weights if the recipe asks for it.

    Raises
    ------
    SystemExit
        If the loss or the gradient is not finite, or if processes loaded different states.
    """
    recipe, total, ranks = job.recipe, job.run.iterations, processes.ranks
    model = _build(job, processes.device)
    count = job.micro_batches(ranks)
    depth = StochasticDepth(model, recipe.batch_size // ranks // count, processes.device)
    optimizer, schedule = _optimizer_of(model, recipe, total)
    average = _moving_average(model, recipe.ema_decay)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "average": average}
    state = checkpoint.TrainingCheckpoint(state_folder, identity, parts)
    sizes = total, recipe.batch_size, "images"
    result = average.module if average else model
    epoch = len(images), held_out_loss and partial(held_out_loss, result)
    progress = TrainingProgress(job.run.full_name, *sizes, ADVICE, model, state, processes, *epoch)
    start = progress.resume()
    compile_model(model, recipe.compile)
    ddp_model = processes.wrap_ddp(model)
    for step, batch in enumerate(batches_of(job, images, start, processes), start):
        masks = _masks_of_step(job, depth, step, processes)
        optimizer.zero_grad(set_to_none=True)
        loss = gradients(ddp_model, recipe, processes, *batch, count, depth, masks)
        norm = clip_norm(model, recipe.gradient_clip)
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        if average:
            average.update_parameters(model)
        progress.end_step(loss, rate, norm)
    progress.finish()
    return result
