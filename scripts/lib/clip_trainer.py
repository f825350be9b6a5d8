"""open_clip's own trainer, called in this process: its command line from a study, and what it does otherwise than it would by itself."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from unittest.mock import patch

import scripts.lib.torch_setup  # noqa: F401

import torch
from open_clip_train import main as trainer

from scripts.lib import clip, pairs, resume
from scripts.lib.distributed import Team, turns
from scripts.lib.study.clips import ClipTraining


class Parallel(torch.nn.parallel.DistributedDataParallel):
    """On a CPU it has no device_ids, which the trainer gives. Weights keep the names that one process gives them, so that a training can go on
    with another number of processes."""

    def __init__(self, module: torch.nn.Module, device_ids: list, **named):
        super().__init__(module, device_ids=device_ids if device_ids[0].type == "cuda" else None, **named)

    def state_dict(self, *args, **named):
        return self.module.state_dict(*args, **named)

    def load_state_dict(self, *args, **named):
        return self.module.load_state_dict(*args, **named)


def command_line(run: dict, recipe: ClipTraining, model: str, folder: Path, team: Team) -> list[str]:
    """Arguments of the trainer. An epoch is a part of the training.

    timm's crop, as the trainer's own has no say over the ratio of its sides. With a loss of its own rows on every rank, and features gathered
    with their gradients, weights change as they would in one process; without, gradients are divided by the number of ranks.
    """
    count = turns("clips.batch_size", recipe.batch_size, recipe.largest_batch, team.ranks)  # gradients are the same: it sees all features in each
    (low, high), (narrow, wide), (mean, std) = recipe.crop_scale, recipe.crop_ratio, clip.STATISTICS[recipe.normalisation]
    beta1, beta2 = recipe.betas
    precision = "amp_bf16" if team.device.type == "cuda" and recipe.precision == "bfloat16" else "fp32"
    return [
        *["--model", model, "--device", team.device.type, "--precision", precision, "--local-loss", "--gather-with-grad"],
        *["--train-data", run["source"], "--workers", str(team.workers), "--epochs", str(recipe.checkpoints)],
        *["--batch-size", str(recipe.batch_size // team.ranks // count), "--accum-freq", str(count)],
        *["--lr", str(recipe.learning_rate), "--wd", str(recipe.weight_decay)],
        *["--beta1", str(beta1), "--beta2", str(beta2), "--eps", str(recipe.eps)],
        *["--lr-scheduler", "cosine", "--warmup", str(round(recipe.warmup * run["iterations"])), "--seed", str(run["seed"])],
        *["--image-mean", *map(str, mean), "--image-std", *map(str, std)],
        *["--aug-cfg", "use_timm=True", f"scale=({low},{high})", f"ratio=({narrow},{wide})"],
        *(["--grad-clip-norm", str(recipe.gradient_clip)] if recipe.gradient_clip else []),
        *(["--torchcompile"] if recipe.compile else []),
        *(["--grad-checkpointing"] if recipe.gradient_checkpointing else []),
        # The latest checkpoint is the only one that the trainer writes whole or not at all.
        *["--logs", str(folder.parent), "--name", folder.name, "--resume", "latest", "--save-most-recent", "--save-frequency", "0"],
        *["--log-every-n-steps", "1000"],
    ]


def _joined(args, team: Team) -> torch.device:
    """The processes of this job are together already: the trainer would bring them together anew for every run."""
    args.distributed, args.rank, args.local_rank, args.world_size = team.ranks > 1, team.rank, team.rank, team.ranks
    args.device = str(team.device)
    return team.device


@contextmanager
def tamed(seed: int, recipe: ClipTraining, architecture: dict, team: Team, loader: Callable[..., pairs.Loader]) -> Iterator[None]:
    """Make the trainer repeatable, quick and quiet, by replacing functions that it calls.

    get_data: batches are those of `loader(args, prepare, tokenize)`.
    train_one_epoch: random numbers begin anew with each epoch, from the seed and the epoch, so that a run goes on from a checkpoint as if
        nothing had happened; and cuDNN is told again to be deterministic, which the trainer has just undone. After an epoch the state is saved
        if it is time to, or if it was the last.
    AdamW: in one kernel. On a CPU the default takes roots tensor by tensor, which crawls where second moments are 0 or next to it, as
        those of most tokens are: a third of an iteration.
    setup_logging: it added handlers that outlive the run, and set the level of every logger in the process.
    get_tokenizer: captions repeat, and tokenizing one takes longer than a weight update takes for it; the same tokens, kept.
    torch.compile: with the study's backend, for batches that have one shape.
    init_distributed_device, DistributedDataParallel: as `_joined` and `Parallel` say.
    """
    one_epoch, handlers, saved = trainer.train_one_epoch, [], time.monotonic()

    def seeded_epoch(model, data, loss, epoch, optimizer, scaler, scheduler, dist_model, args, **named):
        nonlocal saved
        own = int(resume.digest(f"{seed} {epoch}")[:8], 16)
        trainer.random_seed(own)
        data["train"].generator.seed(own)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
        one_epoch(model, data, loss, epoch, optimizer, scaler, scheduler, dist_model, args, **named)
        args.save_most_recent = epoch + 1 == args.epochs or time.monotonic() - saved >= resume.EVERY
        saved = time.monotonic() if args.save_most_recent else saved

    def log_to_file(path, level):
        handlers.append(logging.FileHandler(path) if path else logging.NullHandler())  # only the first process has a path
        logging.root.addHandler(handlers[-1])
        logging.root.setLevel(level)

    tokenize, level = lru_cache(1 << 16)(clip.tokenizer(architecture)), logging.root.level
    with (
        patch.object(trainer, "get_data", lambda args, prepare, epoch, tokenizer: {"train": loader(args, prepare[0], tokenizer)}),
        patch.object(trainer, "train_one_epoch", seeded_epoch),
        patch.object(trainer.optim, "AdamW", partial(torch.optim.AdamW, fused=True)),
        patch.object(trainer, "setup_logging", log_to_file),
        patch.object(trainer, "get_tokenizer", lambda *_, **__: tokenize),
        patch.object(trainer, "init_distributed_device", partial(_joined, team=team)),
        patch.object(torch, "compile", partial(torch.compile, backend=recipe.compile, dynamic=False)),
        patch.object(torch.nn.parallel, "DistributedDataParallel", Parallel),
    ):
        try:
            yield
        finally:
            logging.root.setLevel(level)
            for handler in handlers:
                logging.root.removeHandler(handler)
                handler.close()
