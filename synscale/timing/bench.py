"""Settings of a measurement, its result in the units of a plan, and its repetition."""

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

ROUNDS = 5  # most repetitions of a work
LARGEST = 1024  # images of a timed batch: the time of a larger one follows from its FLOPs


@dataclass(frozen=True)
class Timed:
    """A work that was timed.

    Parameters
    ----------
    rule, kind : str
        As in a hardware file.
    what : str
        Description.
    units : dict of str to float
        What was done.
    seconds : float
    peak : int
        Bytes of GPU memory, 0 without a GPU.
    note : str
        How it differs from what the study does.
    image_size : int or None
        Pixels a side of the images, if the time is in proportion to their pixels.
    """

    rule: str
    kind: str
    what: str
    units: dict[str, float]
    seconds: float
    peak: int = 0
    note: str = ""
    image_size: int | None = None


@dataclass(frozen=True)
class Bench:
    """Settings of a measurement.

    Parameters
    ----------
    file : Path
        Study file.
    study : Study
    device : torch.device
    folder : Path
        Temporary folder.
    threads : int
    seconds : float
        Time that a work is repeated for; it is timed at least once.
    largest : int
        Most images of a batch.
    steps : int or None
        Most sampling steps; None for those of the study.
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
        """Name of the study."""
        return self.file.stem

    @property
    def workers(self) -> int:
        """Worker processes of a reader."""
        return self.threads - 1

    @property
    def classes(self) -> pd.DataFrame:
        """Class table of the study."""
        return class_table.read(self.study.classes)

    def stored(self, count: int, classes: int | None = None) -> stream.ShardedImages:
        """Images as the study stores them.

        Parameters
        ----------
        count : int
            Number of images.
        classes : int, optional
            Number of classes; those of the study by default.
        """
        path = self.folder / f"stored-{count}-{classes}/00000.tar"
        return fake_images.shard(
            path,
            count,
            self.study.image_size,
            classes or len(self.classes),
            self.study.storage,
            channels=self.study.channels,
        )


def free(device: torch.device) -> None:
    """Free memory that nothing uses."""
    gc.collect()
    machine.fresh(device)


def seconds_of(
    work: Callable[[], object], bench: Bench, warm: Callable[[], object] | None = None
) -> float:
    """Return the median time of a work.

    Parameters
    ----------
    work : callable
    bench : Bench
    warm : callable or None
        Done first and not timed; None for the work itself.
    """
    (warm or work)()
    times: list[float] = []
    while not times or (len(times) < ROUNDS and sum(times) < bench.seconds):
        start = machine.clock(bench.device)
        work()
        times.append(machine.clock(bench.device) - start)
    return statistics.median(times)


def fitting(batch: int, work: Callable[[int], list[Timed]], device: torch.device) -> list[Timed]:
    """Time a work at the largest of batch, batch / 2, batch / 4, ... that fits into GPU memory.

    Parameters
    ----------
    batch : int
        Largest batch size.
    work : callable
        Times a work at a batch size.
    device : torch.device
    """
    size, note = batch, ""
    while True:
        free(device)
        try:
            results = work(size)
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
            note = f"timed at {size}, as a batch of {batch} does not fit into the GPU"
            continue
        peak = machine.peak(device)
        return [
            replace(t, note="; ".join(filter(None, (t.note, note))), peak=peak) for t in results
        ]


def enough(seconds: float, bench: Bench) -> int:
    """Return how many steps to time, given the seconds of one: more of a small model.

    Parameters
    ----------
    seconds : float
        Seconds of one step.
    bench : Bench
        Time that a measurement may take.
    """
    return int(min(1000, max(3, bench.seconds / max(seconds, 1e-6))))


def jobs_of(study: Study, recipe) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each architecture of a training recipe that is used, with the job of one of its runs.

    A job is (source, group).

    Parameters
    ----------
    study : Study
    recipe : Classifiers or Clip
        Training recipe.
    """
    jobs: dict[str, tuple[str, str]] = {}
    for run in training_runs(study):
        if recipe and run.architecture in recipe.architectures:
            jobs.setdefault(run.architecture, (run.source, group_of(study, run)))
    yield from jobs.items()
