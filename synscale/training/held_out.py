"""The held-out loss of a training: on a few images of the study's first evaluation set.

It is recorded to show whether a training has reached a plateau (`history`). It changes nothing: no
random number is drawn, no weight and no checkpoint is selected by it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from synscale.models import classifier, clip
from synscale.training import stream
from synscale.training.image_sets import InMemoryImages

MOST_IMAGES = 1024
BATCHES = 2  # of the training's batch size: a point costs about as much as a step
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


@dataclass(frozen=True)
class ClassifierLoss:
    """Cross-entropy of a classifier.

    Parameters
    ----------
    images : InMemoryImages
    """

    images: InMemoryImages

    def __call__(self, model: torch.nn.Module) -> float:
        """Return the mean loss of a model, in nats."""
        device = next(model.parameters()).device
        total = 0.0
        parts = zip(
            self.images.pixels.split(AT_ONCE), self.images.class_ids.split(AT_ONCE), strict=True
        )
        with evaluating(model):
            for pixels, class_ids in parts:
                inputs = classifier.inputs(model, pixels.to(device))
                logits = model.forward(inputs).float()  # not compiled, because batches differ
                labels = class_ids.to(device)
                total += F.cross_entropy(logits, labels, reduction="sum").item()
        return total / len(self.images)


@dataclass(frozen=True)
class ZeroShotLoss:
    """Zero-shot cross-entropy of a CLIP model. The text of a class is its name.

    Parameters
    ----------
    images : InMemoryImages
        Images of the size that the model sees.
    names : tuple of str
        Names of the classes.
    view : callable
        Returns a `clip.Clip` of a model.
    """

    images: InMemoryImages
    names: tuple[str, ...]
    view: Callable[[torch.nn.Module], clip.Clip]

    def __call__(self, model: torch.nn.Module) -> float:
        """Return the mean loss of a model, in nats."""
        with evaluating(model):
            seen = self.view(model)
            heads = clip.heads(seen, list(self.names), ["{name}"])
            parts = [clip.image_features(seen, part) for part in self.images.pixels.split(AT_ONCE)]
            logits = clip.logits(seen, torch.cat(parts), heads)
            return F.cross_entropy(logits, self.images.class_ids).item()
