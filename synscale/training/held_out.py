"""The held-out loss of a training: on a few images of the study's first evaluation set.

It is recorded to show whether a training has reached a plateau (`history`). It changes nothing: no
random number is drawn, no weight and no checkpoint is selected by it. Each kind of training has a
different loss.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from synscale.training import stream
from synscale.training.image_sets import InMemoryImages

MOST_IMAGES = 1024
BATCHES = 2  # batches of the training's size: a point costs about as much as a step
AT_ONCE = 256  # images that a model sees at once


def count_of(batch_size: int) -> int:
    """Return how many held-out images a training of this batch size is evaluated on."""
    return min(MOST_IMAGES, BATCHES * batch_size)


def read_evenly(tar: str, count: int) -> InMemoryImages:
    """Return evenly spaced images of an evaluation set, because sets are sorted by class.

    Parameters
    ----------
    tar : str
    count : int
        Number of images; all if there are fewer.
    """
    images = stream.open_images([tar])
    positions = torch.linspace(0, len(images) - 1, min(count, len(images))).round().long()
    pixels, class_ids = images.read(positions)
    return InMemoryImages([len(class_ids)], pixels, class_ids)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back into the mode that it was in."""
    is_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(is_training)
