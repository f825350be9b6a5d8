"""Readers of a training: what they read, and whether they or the GPUs are slower.

The cores of a training job that do not train read images: stored file to augmented image. They work
while the GPUs compute, so that the slower of both sets the time of a step.
"""

import math
from dataclasses import dataclass

from synscale.planning.reader_memory import images_read, is_in_memory
from synscale.study.models import Study
from synscale.study.models.classifiers import Classifiers
from synscale.study.models.clip import Clip
from synscale.workflow.runs import group_runs, iterations_of, parts_of_run, training_recipe

UNITS = ("read", "augment")  # units of readers (work_units.py)


def readers_per_gpu(threads: int, gpus: int, nodes: int = 1) -> int:
    """Return how many cores read for each GPU: the threads of its process but one.

    With one thread, the process of a GPU reads while the GPU computes.

    Parameters
    ----------
    threads : int
        Threads of the job on each node.
    gpus, nodes : int
        GPUs of the job over all nodes, and nodes.
    """
    processes = max(1, gpus // nodes)
    return max(1, threads // processes - 1)


def is_augmented(recipe: Classifiers | Clip, image_size: int) -> bool:
    """Return whether images differ from the stored ones, which have this size, at each read.

    Parameters
    ----------
    recipe : Classifiers or Clip
        Training recipe.
    image_size : int
        Pixels of a side of the stored images.
    """
    if (recipe.image_size or image_size) != image_size:
        return True
    if isinstance(recipe, Clip):
        return recipe.crop_scale != (1, 1) or recipe.crop_ratio != (1, 1)
    return any((recipe.crop_scale, recipe.flip, recipe.rand_augment, recipe.erasing))


def reading_units(study: Study, source: str, group: str) -> dict[str, float]:
    """Return what the trainings of a group read.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.

    Returns
    -------
    dict of str to float
        Count of each unit; empty if the images are in memory, ready for the model.
    """
    runs = group_runs(study, source, group)
    recipe = training_recipe(study, runs[0].architecture)
    if isinstance(recipe, Clip):  # each run opens its pairs itself
        sizes = [sum(part.images for part in parts_of_run(study, run)) for run in runs]
    else:
        sizes = [images_read(study, source, group)] * len(runs)
    is_read_again = is_augmented(recipe, study.image_size)
    images = recipe.batch_size * sum(
        iterations_of(study, run.architecture, run.size)
        for run, size in zip(runs, sizes, strict=True)
        if is_read_again or not is_in_memory(study, size)
    )
    rand_augment = getattr(recipe, "rand_augment", None)
    operations = rand_augment.operations if rand_augment else 0
    counts = {"read": images, "augment": operations * images}
    return {unit: count for unit, count in counts.items() if count}


@dataclass(frozen=True)
class Readers:
    """Cores for each GPU that read the images of a training.

    Parameters
    ----------
    requested : int
        Those of the job.
    needed : int
        Those that keep the GPU busy.
    """

    requested: int
    needed: int

    @property
    def limit(self) -> str:
        """What sets the time of a step: the reader or the GPU."""
        return "reader" if self.needed > self.requested else "GPU"


@dataclass(frozen=True)
class JobTime:
    """Seconds of a job.

    Parameters
    ----------
    start : float
        Of its start, which no GPU shortens.
    computing : float
        Seconds of the rest, on the GPUs of the job, without waiting for images.
    reading : float
        CPU seconds of all readers together.
    gpus : int
    requested : int
        Readers for each GPU.
    """

    start: float
    computing: float
    reading: float = 0.0
    gpus: int = 0
    requested: int = 1

    @property
    def seconds(self) -> float:
        """Seconds of the job. Without a GPU, the core that computes also reads."""
        if not self.gpus:
            return self.start + self.computing + self.reading
        read = self.reading / (self.gpus * self.requested)
        return self.start + max(self.computing, read)

    @property
    def readers(self) -> Readers | None:
        """Readers of the job; None if it reads nothing for a GPU."""
        if not (self.gpus and self.reading and self.computing):
            return None
        return Readers(self.requested, math.ceil(self.reading / (self.gpus * self.computing)))


def limit_of(trainings: list[Readers]) -> str:
    """Return what limits trainings: GPU, reader, or reader with the number of its jobs."""
    slow = sum(training.limit == "reader" for training in trainings)
    if slow in (0, len(trainings)):
        return trainings[0].limit if trainings else ""
    return f"reader ({slow} of {len(trainings)} jobs)"


def advice(trainings: dict[str, list[Readers]]) -> list[str]:
    """Return a sentence for each rule whose GPUs wait for images.

    Parameters
    ----------
    trainings : dict
        Rule -> readers of its jobs.
    """
    lines = []
    for rule, jobs in trainings.items():
        slow = [job for job in jobs if job.limit == "reader"]
        if slow:
            needed = max(job.needed for job in slow)
            lines.append(
                f"{rule}: GPUs wait for images in {len(slow)} of {len(jobs)} jobs (reader cores "
                f"for each GPU: {min(job.requested for job in slow)}, needed: up to {needed}); "
                f"set-threads: {needed + 1} for each GPU of a node (docs/guides/several_gpus.md)"
            )
    return lines
