"""Memory that a training needs to read its images, for the request of its job."""

import math

from synscale.data.shuffle_buffer import GPUS_PER_NODE, IN_MEMORY, most_bytes
from synscale.planning.image_sizes import image_bytes
from synscale.study.models import Study
from synscale.workflow.runs import group_runs, parts_of_run


def images_read(study: Study, source: str, group: str) -> int:
    """Return how many images the runs of a classifier job train on.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.

    Returns
    -------
    int
        Images of the largest run of each source and guidance scale, together.
    """
    images: dict[tuple, int] = {}
    for run in group_runs(study, source, group):
        for part in parts_of_run(study, run):
            key = part.source, part.guidance
            images[key] = max(images.get(key, 0), part.stop)
    return sum(images.values())


def is_in_memory(study: Study, images: int) -> bool:
    """Return whether a training decodes this number of images once, into memory.

    Parameters
    ----------
    study : Study
    images : int
        Number of images.
    """
    return images * study.channels * study.image_size**2 <= IN_MEMORY


def reading_mb(study: Study, source: str, group: str, threads: int) -> int:
    """Return the memory for the reader of a classifier training.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.
    threads : int
        Threads of the job on each node.

    Returns
    -------
    int
        MB; 0 if the images are decoded in memory, which the other memory of the job includes.
    """
    images = images_read(study, source, group)
    if is_in_memory(study, images):
        return 0
    read = most_bytes(images, study.classifiers.batch_size, image_bytes(study), threads)
    return math.ceil(read / 1e6)


def pairs_mb(study: Study, source: str, group: str, threads: int) -> int:
    """Return the memory for the reader of a CLIP training, with the parameters of `reading_mb`."""
    runs = group_runs(study, source, group)
    images = max(sum(part.images for part in parts_of_run(study, run)) for run in runs)
    if is_in_memory(study, images):
        return 0
    size = study.clip.batch_size
    draw = min(size, (study.clip.micro_batch_size or size) * min(threads, GPUS_PER_NODE))
    return math.ceil(most_bytes(images, size, image_bytes(study), threads, draw) / 1e6)
