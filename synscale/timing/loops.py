"""The training loops of the workflow, timed from outside by their steps."""

import inspect
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from open_clip.model import CLIP

from synscale.study.models import TrainingPart
from synscale.timing.machine import clock
from synscale.training import classifier_loop, clip_loop, pairs, stream
from synscale.training.classifier_loop import ClassifierJob
from synscale.training.clip_loop import ClipJob
from synscale.training.distributed import ProcessGroup
from synscale.workflow.settings.training import TrainingRun


def timed_run(iterations: int) -> TrainingRun:
    """Return a run for a training that is timed."""
    return TrainingRun(source="timed", name="one", seed=0, iterations=iterations)


class Steps:
    """Time a training from its step `skip` on, as it asks for its batches.

    Parameters
    ----------
    device : torch.device
    skip : int
        Steps that are not timed; of CLIP, micro-batches.
    clock : callable
        Returns the seconds of a device.
    repeats : bool
        Whether each batch is the first one, so that no step waits for a reader.
    """

    def __init__(
        self,
        device: torch.device,
        skip: int,
        clock: Callable[[torch.device], float] = clock,
        repeats: bool = False,
    ):
        self.device = device
        self.skip = skip
        self.clock = clock
        self.repeats = repeats
        self.seconds = 0.0

    def watched(
        self, batches: Iterable[stream.Batch], loaded: bool = False
    ) -> Iterator[stream.Batch]:
        """Yield the batches; `loaded`: all of them are put on the device first.

        Parameters
        ----------
        batches : iterable of Batch
            Batches of a training.
        loaded : bool, optional
            Whether all of them are put on the device first.
        """
        if loaded:
            batches = [stream.Batch(*(part.to(self.device) for part in batch)) for batch in batches]
        for step, batch in enumerate(batches):
            if step == self.skip:
                start = self.clock(self.device)
            yield batch
        self.seconds = self.clock(self.device) - start

    @contextmanager
    def watching(self, loaded: bool = False) -> Iterator[Path]:
        """Watch the batches of the training that is run meanwhile; yield a folder for its state."""
        iter_training = stream.iter_training

        def watched(*arguments, **named) -> Iterator[stream.Batch]:
            batches = iter_training(*arguments, **named)
            if self.repeats:
                bound = inspect.signature(iter_training).bind(*arguments, **named)
                batches = itertools.repeat(next(batches), bound.arguments["iterations"])
            return self.watched(batches, loaded)

        with (
            tempfile.TemporaryDirectory() as folder,
            patch.object(stream, "iter_training", watched),
        ):
            yield Path(folder) / "state"


def classifier(
    steps: Steps, job: ClassifierJob, images: stream.Images, workers: int = 0, loaded: bool = False
) -> torch.nn.Module:
    """Train a classifier.

    Parameters
    ----------
    steps : Steps
    job : ClassifierJob
    images : Images
    workers : int
        Processes that read images.
    loaded : bool
        Whether all batches are put on the device first.

    Returns
    -------
    Module
        The trained model.
    """
    processes = ProcessGroup(steps.device, workers=workers)
    with steps.watching(loaded) as state:
        return classifier_loop.train(job, images, state, "timed", processes)


def clip(steps: Steps, job: ClipJob, tar: Path, images: int, workers: int = 0) -> CLIP:
    """Train a CLIP model on the pairs of a shard.

    Parameters
    ----------
    steps : Steps
    job : ClipJob
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
    training_pairs = pairs.open_pairs({"real": [str(tar)]}, [TrainingPart("real", None, images)])
    processes = ProcessGroup(steps.device, workers=workers)
    with steps.watching() as state:
        return clip_loop.train(job, training_pairs, state, "timed", processes)
