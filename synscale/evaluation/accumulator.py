"""Accumulate top-1 and cross-entropy of an evaluation set, over all images and per class.

Cross-entropy is that of the softmax of the logits, without label smoothing, in nats (as in the
paper's evaluation code).

A set may lack some of a model's classes: ImageNet-R and -A have 200 of 1000. Its rows are then
computed from the logits of the classes in the set, as the authors of such sets evaluate. A second
set of rows, `{name}_unmasked`, uses all logits. The paper does not state which of the two it shows;
our choice: a law or table that names the set means the masked metrics.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F

from synscale.study.models.data import unmasked


class MetricAccumulator:
    """Metrics of a set whose logits come in batches.

    Memory is allocated at the beginning, 8 bytes per image and 16 for each set of rows. Small
    vectors of each batch would fragment it.

    Parameters
    ----------
    evaluation : str
        Name of the set.
    images : int
        Images of the set.
    classes : iterable of int or None
        Classes of a set that may lack some; None keeps all logits.
    """

    def __init__(self, evaluation: str, images: int, classes: Iterable[int] | None = None):
        self.evaluation = evaluation
        self.images = images
        classes = None if classes is None else sorted({int(class_id) for class_id in classes})
        self.classes = None if classes is None else torch.tensor(classes)
        self.added = 0
        self.labels = torch.empty(images, dtype=torch.long)
        # Name of the rows -> whether top-1 is right and loss, shape (2, images).
        self.values: dict[str, torch.Tensor] = {}

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Add the next images.

        Parameters
        ----------
        logits : Tensor, shape (B, classes)
        labels : Tensor, shape (B,), integers

        Raises
        ------
        ValueError
            If a label is not among the classes of the set.
        """
        logits = logits.detach().cpu().double()
        labels = labels.detach().cpu().long()
        places = slice(self.added, self.added + len(labels))
        self.labels[places] = labels
        if self.classes is None or len(self.classes) == logits.shape[1]:
            self._add(self.evaluation, places, logits, labels)
        else:
            if unknown := set(labels.tolist()) - set(self.classes.tolist()):
                raise ValueError(
                    f"{self.evaluation}: images of classes {sorted(unknown)}, which are not among "
                    f"the {len(self.classes)} in its manifest; prepare the set again"
                )
            positions = torch.searchsorted(self.classes, labels)
            self._add(self.evaluation, places, logits[:, self.classes], positions)
            self._add(unmasked(self.evaluation), places, logits, labels)
        self.added = places.stop

    def _add(
        self, evaluation: str, places: slice, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        if evaluation not in self.values:
            self.values[evaluation] = torch.empty(2, self.images, dtype=torch.float64)
        values = self.values[evaluation]
        values[0, places] = (logits.argmax(1) == labels).double()
        values[1, places] = F.cross_entropy(logits, labels, reduction="none")

    def rows(self) -> list[dict]:
        """Return a row over all images (class_id None), then one for each class.

        Raises
        ------
        ValueError
            If images are missing.
        """
        if self.added != self.images:
            counts = f"{self.added} images, expected {self.images}"
            raise ValueError(f"{self.evaluation}: incomplete ({counts})")
        rows = []
        for evaluation, (is_right, loss) in self.values.items():
            for class_id in (None, *self.labels.unique().tolist()):
                images = slice(None) if class_id is None else self.labels == class_id
                row = {"evaluation": evaluation, "class_id": class_id}
                row |= {"images": len(is_right[images]), "top1": is_right[images].mean().item()}
                rows.append(row | {"cross_entropy": loss[images].mean().item()})
        return rows
