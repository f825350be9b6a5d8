"""Weights of the loss of the parts of a mixture: a weighted empirical risk.

A weight counts relative to those of the other parts: the mean over the images of a training set is
one, so that weights change neither the learning rate nor the gradient clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from synscale.study.models import TrainingPart
from synscale.training.stream import Batch


@dataclass(frozen=True)
class PartWeights:
    """Weights of parts, whose images follow each other in the training set.

    Parameters
    ----------
    ends : Tensor, shape (P,)
        Position after the last image of each part.
    weights : Tensor, shape (P,)
    """

    ends: torch.Tensor
    weights: torch.Tensor

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.weights)

    def of_images(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the weights of the images at positions of the training set, both of shape (N,).

        Parameters
        ----------
        positions : Tensor, shape (N,), int64
        """
        return self.weights[torch.bucketize(positions, self.ends, right=True)]

    def labels(self, batch: Batch, classes: int) -> torch.Tensor:
        """Return one label for class and part, shape (N,), so that mixup keeps track of both.

        Parameters
        ----------
        batch : Batch
            With N images.
        classes : int
            Number of classes.
        """
        part = torch.bucketize(batch.positions, self.ends, right=True)
        return batch.class_ids + classes * part

    def split(self, targets: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return targets without parts, and the weight of each image.

        A mixed image has the mean weight of both, and its classes count by their weights: the loss
        is the weighted mean of the losses of both labels.

        Parameters
        ----------
        targets : Tensor, shape (N,) or (N, parts * classes)
            Labels as of `labels`, or their proportions.
        classes : int

        Returns
        -------
        targets : Tensor, shape (N,) or (N, classes)
        weights : Tensor, shape (N,)
        """
        weights = self.weights.to(targets.device)
        if targets.ndim == 1:
            return targets % classes, weights[targets // classes]
        by_part = targets.view(len(targets), self.parts, classes) * weights[:, None]
        weighted = by_part.sum(1)
        of_images = weighted.sum(1)
        return weighted / of_images[:, None], of_images


def weights_of(parts: Sequence[TrainingPart]) -> PartWeights | None:
    """Return the weights of the parts of a training set; None if all are the same."""
    if len({part.weight for part in parts}) < 2:
        return None
    images = torch.tensor([part.images for part in parts])
    weights = torch.tensor([part.weight for part in parts], dtype=torch.float64)
    mean = (weights * images).sum() / images.sum()
    return PartWeights(images.cumsum(0), (weights / mean).float())


def loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    label_smoothing: float,
) -> torch.Tensor:
    """Return the mean cross-entropy of images, weighted if they have weights (N,).

    Parameters
    ----------
    logits : Tensor, shape (N, classes)
    targets : Tensor, shape (N,) or (N, classes)
        Class ids, or the proportions of mixed images.
    weights : Tensor, shape (N,), or None
    label_smoothing : float
    """
    if weights is None:
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    losses = F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    return (losses * weights).mean()
