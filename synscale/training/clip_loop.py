"""The training loop of CLIP: open_clip's model and loss, in a loop like that of the classifiers.

Optimizer, schedule, loss and logit scale are those of open_clip's trainer, with which
`tests/unit/test_clip_parity.py` compares every loss. The recipe is `ClipTraining` of the study.
`clip_gradients` computes the gradients of a step.

The loop draws no random numbers: CLIP has no random layers, and crops are drawn where images are
read, from the seed, the epoch and the pair. A training can therefore be resumed at every step.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.model import CLIP
from open_clip_train.scheduler import cosine_lr

from synscale.data.shuffle_buffer import shuffle_for
from synscale.models import clip
from synscale.planning.clip_memory import Memory
from synscale.study.models.clip import ClipTraining
from synscale.training import augment, checkpoint, distributed, stream
from synscale.training.clip_gradients import Gradients
from synscale.training.divergence import check_finite
from synscale.training.finite_state import gradient_norm
from synscale.training.pairs import PairBatch, Pairs, Tokens, in_memory

LARGEST_SCALE = math.log(100)  # of the logit scale, as in CLIP
CHECK_STEPS = 100  # between checks of the loss: reading it makes the CPU wait for the GPU
WITHOUT_DECAY = "bn", "ln", "bias", "logit_scale"  # in names of weights
ADVICE = "lower clip.learning_rate, set clip.gradient_clip, or clip.precision: float32"


@dataclass(frozen=True)
class Job:
    """A run and what it is trained with.

    Parameters
    ----------
    run : dict
        Row of `runs` of jobs.clip_settings.
    architecture : dict
        Fields of ClipArchitecture without its label.
    image_size : int
        Pixels a side that the model sees.
    recipe : ClipTraining
    """

    run: dict
    architecture: dict
    image_size: int
    recipe: ClipTraining

    @property
    def name(self) -> str:
        """Source and run, as they are printed."""
        return f"{self.run['source']} {self.run['name']}"

    def micro_batches(self, ranks: int) -> int:
        """Return the number of micro-batches that each of `ranks` processes has in a step."""
        size, largest = self.recipe.batch_size, self.recipe.micro_batch_size
        return distributed.count_micro_batches("clip.batch_size", size, largest, ranks)

    def memory(self, ranks: int) -> Memory:
        """Return what each of `ranks` processes has to keep on its GPU."""
        recipe = self.recipe
        with torch.device("meta"):
            weights = CLIP(**clip.config(self.architecture, self.image_size)).parameters()
        return Memory(
            name=self.name,
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


def parameter_groups(model: CLIP, weight_decay: float) -> list[dict]:
    """Return the parameter groups of open_clip: gains, biases and logit scale do not decay."""
    plain, decayed = [], []
    for name, weights in model.named_parameters():
        exempt = weights.ndim < 2 or any(part in name for part in WITHOUT_DECAY)
        (plain if exempt else decayed).append(weights)
    return [
        {"params": plain, "weight_decay": 0.0},
        {"params": decayed, "weight_decay": weight_decay},
    ]


def build(job: Job, processes: distributed.ProcessGroup) -> CLIP:
    """Return the model with its initial weights, compiled if the recipe asks for it."""
    recipe = job.recipe
    torch.manual_seed(job.run["seed"])
    model = CLIP(**clip.config(job.architecture, job.image_size), output_dict=True)
    model.to(processes.device).train()
    model.set_grad_checkpointing(recipe.gradient_checkpointing)
    if recipe.compile:
        # A job has several runs, and torch stops compiling after eight models.
        torch.compiler.reset()
        # open_clip does the same: graphs with checkpoints cannot be split for DDP.
        torch._dynamo.config.optimize_ddp = not recipe.gradient_checkpointing
        model.compile(backend=recipe.compile, dynamic=False)  # in place: names of weights stay
    return model


def micro_batches(
    job: Job,
    pairs: Pairs,
    step: int,
    count: int,
    processes: distributed.ProcessGroup,
) -> Iterator[PairBatch]:
    """Return the micro-batches of a process from a step on, `count` for each step.

    They are the batches of a training whose batch size is `batch_size / count`, so that those of
    all processes together are the batch of the step, whatever their number.
    """
    recipe, images = job.recipe, in_memory(pairs)
    stored = images.read(torch.tensor([0]))[0].shape[-1]
    crop = augment.crop_of_pairs(recipe, stored, job.image_size)
    tokens = Tokens(pairs.images, clip.tokenizer(job.architecture))
    size, total = recipe.batch_size // count, job.run["iterations"] * count
    return stream.iter_training(
        images,
        size,
        total,
        job.run["seed"],
        step * count,
        crop,
        processes.rank,
        processes.ranks,
        processes.workers,
        finish=tokens.add,
        shuffle=shuffle_for(recipe.batch_size, images.image_bytes),
    )


def weights_of(model: CLIP) -> dict[str, torch.Tensor]:
    """Return the weights in host memory, by name."""
    return {name: weights.cpu().contiguous() for name, weights in model.state_dict().items()}


def train(
    job: Job,
    pairs: Pairs,
    state_folder: Path,
    identity: str,
    processes: distributed.ProcessGroup,
) -> CLIP:
    """Train one CLIP model, resuming from a saved state if there is one.

    Parameters
    ----------
    job : Job
    pairs : Pairs
        Training pairs.
    state_folder : Path
        Folder of the saved state.
    identity : str
        Everything that the result depends on.
    processes : distributed.ProcessGroup

    Returns
    -------
    CLIP

    Raises
    ------
    SystemExit
        If the loss or the gradient is not finite, or if processes loaded different states.
    """
    recipe, total = job.recipe, job.run["iterations"]
    count = job.micro_batches(processes.ranks)
    model = build(job, processes)
    groups = parameter_groups(model, recipe.weight_decay)
    # Fused: on a CPU the default takes roots tensor by tensor, which is a third of a small step.
    optimizer = torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=recipe.betas,
        eps=recipe.eps,
        fused=True,
    )
    schedule = cosine_lr(optimizer, recipe.learning_rate, round(recipe.warmup * total), total)
    state = checkpoint.TrainingCheckpoint(
        state_folder, identity, {"model": model, "optimizer": optimizer}
    )
    first = step = state.load()
    if step != processes.broadcast(step):
        problem = (
            f"rank {processes.rank} loaded step {step}, another than rank 0 (stale file system?)"
        )
        raise SystemExit(f"{job.name}: {problem}; run the job again")
    gradients = Gradients(model, processes.wrap_ddp(model), recipe, processes)
    batches = iter(micro_batches(job, pairs, step, count, processes))
    began, loss, norm = time.monotonic(), None, None

    def checked_loss() -> float:
        found = norm if recipe.gradient_clip else gradient_norm(model)
        rate = optimizer.param_groups[0]["lr"]
        return check_finite(loss.item(), job.name, step, rate, float(found), ADVICE)

    for share in zip(*[batches] * count, strict=True):
        schedule(step)
        optimizer.zero_grad(set_to_none=True)
        loss = gradients(share)
        if recipe.gradient_clip:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, LARGEST_SCALE)
        step += 1
        due = processes.is_main and state.due
        if due or (processes.is_main and step % CHECK_STEPS == 0):
            value = checked_loss()
        if due:
            state.save_if_due(step)
            progress = f"step {step} of {total}, training loss {value:.4f}"
            speed = (step - first) * recipe.batch_size / (time.monotonic() - began)
            print(f"{job.name}: {progress}, {speed:.0f} pairs per second", flush=True)
    end = "resumed after the last step"
    if loss is not None:
        checked_loss()
        end = f"last training loss {processes.mean(loss):.4f}"
    if processes.is_main:
        print(f"{job.name}: {total} steps, {end}", flush=True)
    return model
