"""The CLIP models of one training job: their pairs, and the files that they become."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from synscale.data import shards
from synscale.models import clip
from synscale.planning import clip_memory
from synscale.study import class_table
from synscale.training import clip_loop, held_out, pairs, stream
from synscale.training.clip_loop import ClipJob
from synscale.training.distributed import ProcessGroup
from synscale.training.groups import GroupMember, train_group
from synscale.workflow.settings import as_json
from synscale.workflow.settings.training import ClipSettings


def jobs_of(settings: ClipSettings) -> list[ClipJob]:
    """Return the trainings of a group."""
    model = settings.architecture, settings.image_size, settings.recipe
    return [ClipJob(run, *model) for run in settings.runs]


def check_jobs(jobs: list[ClipJob], processes: ProcessGroup) -> None:
    """Raise SystemExit if processes cannot share a batch, or if a share needs too much memory.

    Parameters
    ----------
    jobs : list of ClipJob
        Trainings of the group.
    processes : ProcessGroup
        Processes of the job.

    Raises
    ------
    SystemExit
        If processes cannot share a batch, or if a share needs too much memory.
    """
    for job in jobs:
        job.micro_batches(processes.ranks)
        if processes.device.type == "cuda":
            total = torch.cuda.get_device_properties(processes.device).total_memory
            clip_memory.check(job.memory(processes.ranks), total)


def save(path: Path, model: torch.nn.Module, job: ClipJob) -> None:
    """Write a trained model.

    Parameters
    ----------
    path : Path
    model : CLIP
    job : ClipJob
        Its description is stored in the header, from which `clip.load` builds the model.
    """
    description = {
        "architecture": job.architecture,
        "image_size": job.image_size,
        "run": job.run,
        "training": job.recipe,
    }
    clip.save(path, clip_loop.weights_of(model), description)


@dataclass(frozen=True)
class ZeroShotLoss:
    """Zero-shot cross-entropy of a CLIP model. The text of a class is its name.

    Parameters
    ----------
    images : InMemoryImages
        Images of the size that the model sees.
    names : tuple of str
        Names of the classes.
    view : callable
        Returns a `clip.Clip` of a model.
    """

    images: stream.InMemoryImages
    names: tuple[str, ...]
    view: Callable[[torch.nn.Module], clip.Clip]

    def __call__(self, model: torch.nn.Module) -> float:
        """Return the mean loss of a model, in nats."""
        with held_out.evaluating(model):
            seen = self.view(model)
            heads = clip.heads(seen, list(self.names), ["{name}"])
            parts = [
                clip.image_features(seen, part)
                for part in self.images.pixels.split(held_out.AT_ONCE)
            ]
            logits = clip.logits(seen, torch.cat(parts), heads)
            return F.cross_entropy(logits, self.images.class_ids).item()


def held_out_loss(settings: ClipSettings, evaluation: str, classes: str) -> ZeroShotLoss:
    """Return the held-out loss of the models of a group.

    Parameters
    ----------
    settings : ClipSettings
    evaluation : str
        Tar of the evaluation set.
    classes : str
        Table of its classes.
    """
    recipe, architecture, size = settings.recipe, settings.architecture, settings.image_size
    images = held_out.read_evenly(evaluation, held_out.count_of(recipe.batch_size))
    pixels = torch.stack([clip.resized(image, size) for image in images.pixels])
    return ZeroShotLoss(
        images=stream.InMemoryImages(images.sizes, pixels, images.class_ids),
        names=tuple(class_table.read(classes)["name"]),
        view=partial(clip.view, architecture, size, recipe.normalisation),
    )


def _members(
    jobs: list[ClipJob],
    tars: dict[str, list[str]],
    processes: ProcessGroup,
    loss: ZeroShotLoss | None,
) -> Iterator[GroupMember]:
    opened = [pairs.open_pairs(tars, job.run.parts) for job in jobs] if processes.is_main else None
    of_jobs: list[pairs.Pairs] = processes.broadcast(opened)  # type: ignore[arg-type]
    for job, run_pairs in zip(jobs, of_jobs, strict=True):
        identity = as_json([job, run_pairs.identity])
        work = partial(clip_loop.train, job, run_pairs, held_out_loss=loss)
        yield GroupMember(
            source=job.run.source,
            name=job.run.name,
            identity=identity,
            train=partial(work, identity=identity, processes=processes),
            save=partial(save, job=job),
        )


def train_clip(
    settings: ClipSettings,
    tars: list[str],
    evaluation: list[str],
    output: Path,
    histories: Path,
    state: Path,
    processes: ProcessGroup,
) -> None:
    """Train the CLIP models of a group.

    Parameters
    ----------
    settings : ClipSettings
    tars : list of str
        Shards, source after source.
    evaluation : list of str
        Tar of an evaluation set and table of its classes; none records no held-out loss.
    output, histories, state : Path
        As of `train_group`.
    processes : ProcessGroup

    Raises
    ------
    SystemExit
        If a run cannot be trained, or diverges.
    ShardError
        If shards are missing or damaged.
    """
    jobs = jobs_of(settings)
    check_jobs(jobs, processes)
    is_recorded = evaluation and processes.is_main
    loss = held_out_loss(settings, *evaluation) if is_recorded else None
    members = _members(jobs, shards.by_source(tars, settings.inputs), processes, loss)
    train_group(members, output, histories, state, processes)
