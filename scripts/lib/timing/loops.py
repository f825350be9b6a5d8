"""The training loops of the workflow, timed from outside while they do their work as ever: by their steps, or their parts."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import scripts.lib.torch_setup  # noqa: F401

import torch
from open_clip_train import main as trainer

from scripts import train_clips
from scripts.lib import classifier_training, pairs, stream
from scripts.lib.distributed import Team
from scripts.lib.study.classifiers import Training
from scripts.lib.timing.machine import clock


class Steps:
    """A training that is timed from its step `skip` on, as it asks for its batches."""

    def __init__(self, device: torch.device, skip: int, clock: Callable[[torch.device], float] = clock):
        self.device, self.skip, self.clock, self.seconds = device, skip, clock, 0.0

    def watched(self, batches: Iterator[stream.Batch], loaded: bool = False) -> Iterator[stream.Batch]:
        """loaded: all batches are put on the device first."""
        if loaded:
            batches = [stream.Batch(*(part.to(self.device) for part in batch)) for batch in batches]
        for step, batch in enumerate(batches):
            if step == self.skip:
                start = self.clock(self.device)
            yield batch
        self.seconds = self.clock(self.device) - start


def classifier(run: Steps, build: dict, recipe: Training, images: stream.Images, steps: int, workers: int = 0, loaded: bool = False) -> torch.nn.Module:
    """`classifier_training.train` on these images; build: arguments of classifier.build."""
    own = {"source": "timed", "name": "one", "seed": 0, "iterations": steps}
    batches, team = stream.batches, Team(run.device, workers=workers)
    with tempfile.TemporaryDirectory() as state, patch.object(stream, "batches", lambda *args, **named: run.watched(batches(*args, **named), loaded)):
        return classifier_training.train(build, recipe, own, images, Path(state) / "state", "timed", team)


class Parts:
    """Seconds of the last part (an epoch of open_clip's trainer) of a training, whoever calls the trainer."""

    def __init__(self, device: torch.device, clock: Callable[[torch.device], float] = clock):
        self.device, self.clock, self.seconds = device, clock, 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        one_epoch = trainer.train_one_epoch

        def timed(*args, **named):
            start = self.clock(self.device)
            made = one_epoch(*args, **named)
            self.seconds = self.clock(self.device) - start
            return made

        with patch.object(trainer, "train_one_epoch", timed):
            yield


def clip(run: Parts, settings: dict, tar: Path, images: int, iterations: int, workers: int = 0) -> dict[str, torch.Tensor]:
    """`train_clips.train` on the pairs of a tar; settings: as jobs.clip_settings gives them, of one architecture."""
    [architecture] = settings["architectures"]
    planned = {"source": "real", "guidance": None, "architecture": architecture, "size": images, "seed": 0, "name": "one", "iterations": iterations}
    found = pairs.find({"real": [str(tar)]}, [{"source": "real", "guidance": None, "images": images}])
    with tempfile.TemporaryDirectory() as folder, run.watched():
        return train_clips.train(settings, planned, found, Path(folder) / "run", Team(run.device, workers=workers))
