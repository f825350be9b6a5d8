"""Where and for how long the work of rules is timed, and what is found."""

import gc
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from synscale.study import class_table
from synscale.study.models import Study
from synscale.timing import fake_images, machine
from synscale.training import stream
from synscale.workflow.runs import group_of, training_runs

ROUNDS = 5  # a work is repeated until it took the bench's seconds, or so often
LARGEST = 1024  # images of a timed batch: what a larger one takes follows from its FLOPs


@dataclass(frozen=True)
class Timed:
    """units: what was done. peak: bytes of GPU memory at most, where there is a GPU. note: how it
    differs from what the study does.
    """

    rule: str
    kind: str
    what: str
    units: dict[str, float]
    seconds: float
    peak: int = 0
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """What is timed, and where. file: of the study. folder: for what is written meanwhile. seconds:
    that each work is timed for, once at least. largest: images of a batch at most. steps: of
    sampling at most, None for the study's own.
    """

    file: Path
    study: Study
    device: torch.device
    folder: Path
    threads: int = 1
    seconds: float = 10.0
    largest: int = LARGEST
    steps: int | None = None

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def workers(self) -> int:
        return self.threads - 1

    @property
    def classes(self) -> pd.DataFrame:
        return class_table.read(self.study.classes)

    def stored(self, count: int, classes: int | None = None) -> stream.ShardedImages:
        """Images as the study stores them."""
        storage = self.study.storage
        path = self.folder / f"stored-{count}-{classes}/00000.tar"
        return fake_images.shard(
            path,
            count,
            self.study.image_size,
            classes or len(self.classes),
            storage,
            channels=self.study.channels,
        )


def free(device: torch.device) -> None:
    gc.collect()
    machine.fresh(device)


def seconds_of(
    work: Callable[[], object], bench: Bench, warm: Callable[[], object] | None = None
) -> float:
    """Median of repetitions, after a first one that does not count (`warm`, or the work itself)."""
    (warm or work)()
    found: list[float] = []
    while len(found) < ROUNDS and (not found or sum(found) < bench.seconds):
        start = machine.clock(bench.device)
        work()
        found.append(machine.clock(bench.device) - start)
    return statistics.median(found)


def fitting(batch: int, work: Callable[[int], list[Timed]], device: torch.device) -> list[Timed]:
    """The work at the largest of batch, batch / 2, batch / 4, ... that the GPU has memory for; what
    does not fit is told.
    """
    largest = batch
    while True:
        free(device)
        try:
            found = work(batch)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            batch //= 2
            continue
        note = (
            f"timed at {batch}, for a batch of {largest} does not fit into the memory of this GPU"
            if batch < largest
            else ""
        )
        return [
            replace(t, note="; ".join(filter(None, (t.note, note))), peak=machine.peak(device))
            for t in found
        ]


def enough(seconds: float, bench: Bench) -> int:
    """Steps that are timed, from the seconds of one: of a small model many, for a hundred would be
    over in a moment.
    """
    return int(min(1000, max(3, bench.seconds / max(seconds, 1e-6))))


def jobs_of(study: Study, recipe) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each architecture of a training recipe that an experiment uses, with a job (source, batch)
    that trains it.
    """
    found: dict[str, tuple[str, str]] = {}
    for run in training_runs(study):
        if recipe and run.architecture in recipe.architectures:
            found.setdefault(run.architecture, (run.source, group_of(study, run)))
    yield from found.items()
