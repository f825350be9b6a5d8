"""The training loop of CLIP: open_clip's model and loss, in a loop like that of the classifiers.

Optimizer, schedule, loss and logit scale are those of open_clip's trainer, with which
`tests/unit/training/test_clip_parity.py` compares every loss. The recipe is `ClipTraining` of the
study. `clip_gradients` computes the gradients of a step.

The loop draws no random numbers: CLIP has no random layers, and crops are drawn where images are
read, from the seed, the epoch and the pair. A training can therefore be resumed at every step.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from open_clip.model import CLIP
from open_clip_train.scheduler import cosine_lr

from synscale.data.shuffle_buffer import shuffle_for
from synscale.models import clip
from synscale.models.pooled_clip import PooledCLIP
from synscale.planning.clip_memory import Memory
from synscale.study.models.clip import ClipArchitecture, ClipTraining
from synscale.training import augment, checkpoint, part_weights, stream
from synscale.training.clip_gradients import Gradients
from synscale.training.distributed import ProcessGroup, count_micro_batches
from synscale.training.pairs import PairBatch, Pairs, Tokens, load_pairs
from synscale.training.progress import TrainingProgress, clip_norm, compile_model
from synscale.workflow.settings.training import TrainingRun

LARGEST_SCALE = math.log(100)  # largest logit scale, as in CLIP
WITHOUT_DECAY = "bn", "ln", "bias", "logit_scale"  # in names of weights
ADVICE = "lower clip.learning_rate, set clip.gradient_clip, or clip.precision: float32"


@dataclass(frozen=True)
class ClipJob:
    """A run and what it is trained with.

    Parameters
    ----------
    run : TrainingRun
    architecture : ClipArchitecture
    image_size : int
        Pixels a side that the model sees.
    recipe : ClipTraining
    """

    run: TrainingRun
    architecture: ClipArchitecture
    image_size: int
    recipe: ClipTraining

    def micro_batches(self, ranks: int) -> int:
        """Return the number of micro-batches that each of `ranks` processes has in a step."""
        size, largest = self.recipe.batch_size, self.recipe.micro_batch_size
        return count_micro_batches("clip.batch_size", size, largest, ranks)

    def memory(self, ranks: int) -> Memory:
        """Return what each of `ranks` processes has to keep on its GPU."""
        recipe = self.recipe
        with torch.device("meta"):
            weights = CLIP(**clip.config(self.architecture, self.image_size)).parameters()
        return Memory(
            name=self.run.full_name,
            architecture=self.architecture,
            parameters=sum(part.numel() for part in weights),
            image_size=self.image_size,
            batch_size=recipe.batch_size,
            micro_batch=recipe.batch_size // ranks // self.micro_batches(ranks),
            ranks=ranks,
            bfloat16=recipe.precision == "bfloat16",
            gradient_checkpointing=recipe.gradient_checkpointing,
            compiled=bool(recipe.compile),
        )


def optimizer_of(model: CLIP, recipe: ClipTraining) -> torch.optim.AdamW:
    """Return AdamW as open_clip has it: gains, biases and logit scale do not decay.

    Parameters
    ----------
    model : CLIP
    recipe : ClipTraining
        Learning rate, betas and weight decay.
    """
    plain: list[torch.Tensor] = []
    decayed: list[torch.Tensor] = []
    for name, weights in model.named_parameters():
        exempt = weights.ndim < 2 or any(part in name for part in WITHOUT_DECAY)
        (plain if exempt else decayed).append(weights)
    groups = [
        {"params": plain, "weight_decay": 0.0},
        {"params": decayed, "weight_decay": recipe.weight_decay},
    ]
    # Fused: on a CPU the default takes roots tensor by tensor, which is a third of a small step.
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=recipe.betas, eps=recipe.eps, fused=True
    )


def build(job: ClipJob, processes: ProcessGroup) -> CLIP:
    """Return the model with its initial weights, compiled if the recipe asks for it.

    Parameters
    ----------
    job : ClipJob
        Architecture, recipe and seed.
    processes : ProcessGroup
        Processes of the job.
    """
    recipe = job.recipe
    torch.manual_seed(job.run.seed)
    model = PooledCLIP(**clip.config(job.architecture, job.image_size), output_dict=True)
    model.to(processes.device).train()
    model.set_grad_checkpointing(recipe.gradient_checkpointing)
    if recipe.compile:
        # open_clip does the same: graphs with checkpoints cannot be split for DDP.
        torch._dynamo.config.optimize_ddp = not recipe.gradient_checkpointing
    compile_model(model, recipe.compile)
    return model


def iter_micro_batches(
    job: ClipJob, pairs: Pairs, step: int, count: int, processes: ProcessGroup
) -> Iterator[PairBatch]:
    """Return the micro-batches of a process from a step on, `count` for each step.

    They are the batches of a training whose batch size is `batch_size / count`, so that those of
    all processes together are the batch of the step, whatever their number.

    Parameters
    ----------
    job : ClipJob
        Batch size and seed.
    pairs : Pairs
        Training images with texts.
    step : int
        First step.
    count : int
        Micro-batches of a step.
    processes : ProcessGroup
        Processes of the job.

    Yields
    ------
    PairBatch
        Images, uint8, and tokens of this process.
    """
    recipe = job.recipe
    images = load_pairs(pairs)
    stored = images.read(torch.tensor([0]))[0].shape[-1]
    crop = augment.crop_of_pairs(recipe, stored, job.image_size)
    architecture = job.architecture
    tokenize = clip.tokenizer(architecture.context_length, architecture.merges)
    return stream.iter_training(  # type: ignore[return-value]
        images,
        recipe.batch_size // count,
        job.run.iterations * count,
        job.run.seed,
        step * count,
        crop,
        processes.rank,
        processes.ranks,
        processes.workers,
        finish=Tokens(pairs.images, tokenize).add,
        shuffle=shuffle_for(recipe.batch_size, images.image_bytes),
    )


def weights_of(model: CLIP) -> dict[str, torch.Tensor]:
    """Return the weights in host memory, by name."""
    return {name: weights.cpu().contiguous() for name, weights in model.state_dict().items()}


def train(
    job: ClipJob,
    pairs: Pairs,
    state_folder: Path,
    identity: str,
    processes: ProcessGroup,
    held_out_loss: Callable[[CLIP], float] | None = None,
) -> CLIP:
    """Train one CLIP model, resuming from a saved state if there is one.

    Parameters
    ----------
    job : ClipJob
    pairs : Pairs
        Training pairs.
    state_folder : Path
        Folder of the saved state.
    identity : str
        Everything that the result depends on.
    processes : ProcessGroup
    held_out_loss : callable, optional
        Loss of the model, for the history.

    Returns
    -------
    CLIP

    Raises
    ------
    SystemExit
        If the loss or the gradient is not finite, or if processes loaded different states.
    """
    recipe, total = job.recipe, job.run.iterations
    count = job.micro_batches(processes.ranks)
    model = build(job, processes)
    optimizer = optimizer_of(model, recipe)
    schedule = cosine_lr(optimizer, recipe.learning_rate, round(recipe.warmup * total), total)
    parts = {"model": model, "optimizer": optimizer}
    state = checkpoint.TrainingCheckpoint(state_folder, identity, parts)
    sizes = total, recipe.batch_size, "pairs"
    epoch = len(pairs.images), held_out_loss and partial(held_out_loss, model)
    progress = TrainingProgress(job.run.full_name, *sizes, ADVICE, model, state, processes, *epoch)
    start = progress.resume()
    weights = part_weights.weights_of(job.run.parts)
    gradients = Gradients(model, processes.wrap_ddp(model), recipe, processes, weights)
    batches = iter_micro_batches(job, pairs, start, count, processes)
    for step, share in enumerate(zip(*[iter(batches)] * count, strict=True), start):
        schedule(step)
        optimizer.zero_grad(set_to_none=True)
        loss = gradients(share)
        norm = clip_norm(model, recipe.gradient_clip)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, LARGEST_SCALE)
        progress.end_step(loss, optimizer.param_groups[0]["lr"], norm)
    progress.finish()
    return model
