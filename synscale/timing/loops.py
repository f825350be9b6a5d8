"""The training loops of the workflow, timed from outside by their steps."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from open_clip.model import CLIP

from synscale.study.models.classifiers import Training
from synscale.study.models.clip import ClipTraining
from synscale.timing.machine import clock
from synscale.training import classifier_loop, clip_loop, pairs, stream
from synscale.training.clip_loop import Job
from synscale.training.distributed import ProcessGroup


class Steps:
    """A training that is timed from its step `skip` on, as it asks for its batches."""

    def __init__(
        self, device: torch.device, skip: int, clock: Callable[[torch.device], float] = clock
    ):
        self.device, self.skip, self.clock, self.seconds = device, skip, clock, 0.0

    def watched(
        self, batches: Iterator[stream.Batch], loaded: bool = False
    ) -> Iterator[stream.Batch]:
        """loaded: all batches are put on the device first."""
        if loaded:
            batches = [stream.Batch(*(part.to(self.device) for part in batch)) for batch in batches]
        for step, batch in enumerate(batches):
            if step == self.skip:
                start = self.clock(self.device)
            yield batch
        self.seconds = self.clock(self.device) - start


def classifier(
    run: Steps,
    build: dict,
    recipe: Training,
    images: stream.Images,
    steps: int,
    workers: int = 0,
    loaded: bool = False,
) -> torch.nn.Module:
    """`classifier_training.train` on these images; build: arguments of classifier.build."""
    own = {"source": "timed", "name": "one", "seed": 0, "iterations": steps}
    batches, processes = stream.iter_training, ProcessGroup(run.device, workers=workers)
    with (
        tempfile.TemporaryDirectory() as state,
        patch.object(
            stream,
            "iter_training",
            lambda *args, **named: run.watched(batches(*args, **named), loaded),
        ),
    ):
        return classifier_loop.train(
            build, recipe, own, images, Path(state) / "state", "timed", processes
        )


def clip(run: Steps, job: Job, tar: Path, images: int, workers: int = 0) -> CLIP:
    """Run `clip_training.train` on the pairs of a shard.

    Parameters
    ----------
    run : Steps
        Counts micro-batches, not steps.
    job : Job
    tar : Path
        Shard of real images.
    images : int
        Pairs of the shard that are used.
    workers : int
        Processes that read images.

    Returns
    -------
    CLIP
        The trained model.
    """
    found = pairs.open_pairs(
        {"real": [str(tar)]}, [{"source": "real", "guidance": None, "images": images}]
    )
    batches, processes = stream.iter_training, ProcessGroup(run.device, workers=workers)

    def watched(*args, **named):
        return run.watched(batches(*args, **named))

    with tempfile.TemporaryDirectory() as state, patch.object(stream, "iter_training", watched):
        return clip_loop.train(job, found, Path(state) / "state", "timed", processes)


def clip_job(settings: dict, images: int, steps: int) -> Job:
    """Return a run of the only architecture of `settings` (jobs.clip_settings).

    Parameters
    ----------
    settings : dict
    images, steps : int

    Returns
    -------
    Job
    """
    [(name, architecture)] = settings["architectures"].items()
    run = {"source": "timed", "name": name, "size": images, "seed": 0, "iterations": steps}
    recipe = ClipTraining(**settings["training"])
    return Job(run, architecture, settings["image_size"], recipe)
