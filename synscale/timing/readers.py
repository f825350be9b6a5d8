"""CPU time of a core that reads images for a training, by the recipe of the study.

That is a stored image that becomes one of a batch: checked, decoded, cropped and augmented; of a
pair also its tokens. Files are in the page cache: `reading` times the disk.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

from synscale.data.shuffle_buffer import shuffle_for
from synscale.planning.reader_memory import is_in_memory
from synscale.planning.readers import reading_units
from synscale.study.models import Study, TrainingPart
from synscale.study.models.classifiers import Classifiers
from synscale.study.models.clip import Clip
from synscale.timing import loops
from synscale.timing.bench import Bench, Timed
from synscale.training import augment, clip_loop, pairs, stream
from synscale.training.clip_loop import ClipJob
from synscale.training.distributed import ProcessGroup
from synscale.workflow.runs import group_runs, run_groups, training_recipe

Recipe = Classifiers | Clip | None
BATCH = 64  # images of a timed batch: an image takes the same time in a larger one
MOST_BATCHES = 10_000


def _groups(study: Study, recipe: Recipe) -> list[tuple[str, str]]:
    """Return source and group of each training job of a recipe."""
    return [
        (source, group)
        for source, group in run_groups(study)
        if training_recipe(study, group_runs(study, source, group)[0].architecture) is recipe
    ]


def reads(study: Study, recipe: Recipe) -> bool:
    """Return whether any training of a recipe reads images while it computes.

    Parameters
    ----------
    study : Study
    recipe : Recipe
        Training recipe.
    """
    return any(reading_units(study, *group) for group in _groups(study, recipe))


def _are_in_memory(study: Study, recipe: Recipe) -> bool:
    """Return whether the images of all trainings of a recipe are decoded once."""
    runs = (run for group in _groups(study, recipe) for run in group_runs(study, *group))
    return all(is_in_memory(study, run.size) for run in runs)


def _timed(bench: Bench, rule: str, batches: Iterator) -> Timed:
    """Time the batches after the first on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        next(batches)
        count, start, seconds = 0, time.process_time(), 0.0
        while not count or (seconds < bench.seconds and count < MOST_BATCHES):
            next(batches)
            count += 1
            seconds = time.process_time() - start
    finally:
        torch.set_num_threads(threads)
    size = bench.study.image_size
    what = f"reader, images of {size} pixels, one core"
    return Timed(rule, "", what, {"read": count * BATCH}, seconds, image_size=size)


def time_classifiers(bench: Bench) -> Iterator[Timed]:
    """Time the reader of classifiers, if their trainings read images."""
    recipe, stored = bench.study.classifiers, bench.study.image_size
    if not reads(bench.study, recipe):
        return
    images: stream.Images = bench.stored(8 * BATCH)
    if _are_in_memory(bench.study, recipe):
        [images] = stream.load_into_memory([bench.stored(8 * BATCH)])
    transform = augment.of_images(recipe, stored, recipe.image_size or stored)
    shuffle = shuffle_for(BATCH, images.image_bytes)
    steps = BATCH, MOST_BATCHES + 1, 0
    batches = stream.iter_training(images, *steps, transform=transform, shuffle=shuffle)
    yield _timed(bench, "train_classifiers", batches)


def time_pairs(bench: Bench, job: ClipJob) -> Iterator[Timed]:
    """Time the reader of CLIP models, if their trainings read images. `job`: any of them.

    Parameters
    ----------
    bench : Bench
        What is measured, and where.
    job : ClipJob
        Any training of CLIP.
    """
    if not reads(bench.study, bench.study.clip):
        return
    count = 8 * BATCH
    tar = Path(bench.stored(count).shards[0].tar)
    opened = pairs.open_pairs({"real": [str(tar)]}, [TrainingPart("real", None, count)])
    recipe = job.recipe.model_copy(update={"batch_size": BATCH, "micro_batch_size": None})
    timed = replace(job, run=loops.timed_run(MOST_BATCHES + 1), recipe=recipe)
    # These few pairs fit into memory, those of the study may not.
    in_memory = _are_in_memory(bench.study, bench.study.clip)
    images = pairs.load_pairs(opened) if in_memory else opened.images
    with patch.object(clip_loop, "load_pairs", return_value=images):
        processes = ProcessGroup(torch.device("cpu"))
        batches = clip_loop.iter_micro_batches(timed, opened, 0, 1, processes)
    yield _timed(bench, "train_clip", batches)
