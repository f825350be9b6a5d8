"""Memory that a training needs to read its images, for the request of its job."""

import math

from scripts.lib import jobs
from scripts.lib.plans.work import image_bytes
from scripts.lib.shuffle_buffer import IN_MEMORY, most_bytes
from scripts.lib.study import Study


def is_read_once(study: Study, source: str, batch: str) -> bool:
    """Return whether the images of a classifier training fit into memory, decoded.

    Parameters
    ----------
    study : Study
    source, batch : str
        Wildcards of the rule.

    Returns
    -------
    bool
    """
    images: dict[tuple, int] = {}
    for run in jobs.classifier_settings(study, source, batch)["runs"]:
        for part in run["parts"]:
            key, end = (part["source"], part["guidance"]), part.get("start", 0) + part["images"]
            images[key] = max(images.get(key, 0), end)
    return sum(images.values()) * study.channels * study.image_size**2 <= IN_MEMORY


def reading_mb(study: Study, source: str, batch: str, threads: int) -> int:
    """Return the memory for the reader of a classifier training.

    Parameters
    ----------
    study : Study
    source, batch : str
        Wildcards of the rule.
    threads : int
        Threads of the job on each node.

    Returns
    -------
    int
        MB; 0 if the images are held decoded, which the other memory of the job includes.
    """
    if is_read_once(study, source, batch):
        return 0
    read = most_bytes(study.classifiers.batch_size, image_bytes(study), threads)
    return math.ceil(read / 1e6)
