"""open_clip's trainer as the peer of `synscale/training/clip_loop.py`: same model, same batches."""

import logging
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import open_clip
import torch
from open_clip_train import main as trainer

from synscale.models import clip
from synscale.runtime.atomic import write_json
from synscale.training.clip_loop import ClipJob
from synscale.training.pairs import PairBatch


class Batches:
    """Micro-batches that were read already; the trainer uses them as data set and as loader."""

    def __init__(self, batches: Iterable[PairBatch], normalisation: str):
        self.pairs = [
            (clip.normalised(batch.images, normalisation), batch.tokens) for batch in batches
        ]
        self.num_batches = len(self.pairs)
        self.dataloader = self
        self.num_samples = sum(len(images) for images, _ in self.pairs)

    def set_epoch(self, epoch: int) -> None:
        """Every epoch of the trainer has the same batches; there is one."""

    def __iter__(self):
        return iter(self.pairs)


def command_line(job: ClipJob, model: str, count: int, folder: Path) -> list[str]:
    """Return the arguments of open_clip's trainer for a training of this project.

    Parameters
    ----------
    job : ClipJob
    model : str
        Name of a registered model configuration.
    count : int
        Micro-batches of a step.
    folder : Path
        Folder of logs and checkpoints.

    Returns
    -------
    list of str
    """
    recipe = job.recipe
    steps = job.run.iterations
    named = {
        "model": model,
        "train-data": "given",
        "device": "cpu",
        "precision": "fp32",
        "epochs": 1,
        "batch-size": recipe.batch_size // count,
        "accum-freq": count,
        "lr": recipe.learning_rate,
        "wd": recipe.weight_decay,
        "beta1": recipe.betas[0],
        "beta2": recipe.betas[1],
        "eps": recipe.eps,
        "warmup": round(recipe.warmup * steps),
        "seed": job.run.seed,
        "workers": 0,
        "logs": folder,
        "name": "run",
    }
    if recipe.gradient_clip:
        named["grad-clip-norm"] = recipe.gradient_clip
    return [word for name, value in named.items() for word in (f"--{name}", str(value))]


def train(
    job: ClipJob, batches: Batches, count: int
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train by open_clip's trainer.

    Parameters
    ----------
    job : ClipJob
    batches : Batches
    count : int
        Micro-batches of a step.

    Returns
    -------
    losses : list of float
        Of each step.
    weights : dict
        Name -> tensor, after the last step.
    """
    losses, create_loss = [], trainer.create_loss

    def recorded(args):
        loss = create_loss(args)
        loss.register_forward_hook(note)
        return loss

    def note(module, inputs, output):
        losses.append(output["contrastive_loss"].item())

    model = f"peer_{random.randrange(10**9)}"  # noqa: S311
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(trainer, "setup_logging", lambda *_: None),
        patch.object(trainer, "get_data", lambda *_, **__: {"train": batches}),
        patch.object(trainer, "create_loss", recorded),
        patch.object(logging.root, "level", logging.WARNING),
    ):
        write_json(Path(folder) / f"{model}.json", clip.config(job.architecture, job.image_size))
        open_clip.add_model_config(Path(folder) / f"{model}.json")
        trainer.main(command_line(job, model, count, Path(folder)))
        saved = torch.load(Path(folder) / "run/checkpoints/epoch_1.pt", weights_only=True)
    return losses[::count], saved["state_dict"]
