"""Top-1 and cross-entropy of the images of one evaluation set, from logits that come batch by
batch: over all images and per class.

Cross-entropy is of the softmax of the logits, without label smoothing, in nats (as the paper's
evaluation code computes it).

A set may hold only some of the classes that a model tells apart: ImageNet-R and -A have 200 of
1000. Its rows are then of the logits of the classes that it holds, as the sets' own authors
evaluate them, and a second set of rows, `{name}_unmasked`, is of all logits. Which of the two the
paper shows it does not say; ours is that a law or table which names the set alone means the masked
one.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F

from synscale.study.models.data import unmasked


class Tally:
    def __init__(self, evaluation: str, images: int, held: Iterable[int] | None = None):
        """images: of the set. held: their classes (its manifest names them), where a set may lack
        some; None: no logit is ever left out.

        8 bytes an image are held, and 16 for each set of rows, at once from the beginning: small
        vectors of every batch would lie between the large ones of its images, and what is freed
        there could not be taken for those of the next.
        """
        self.evaluation, self.images = evaluation, images
        self.held = (
            None if held is None else torch.tensor(sorted({int(class_id) for class_id in held}))
        )
        self.added, self.labels = 0, torch.empty(images, dtype=torch.long)
        self.judged = {}  # evaluation -> right and loss (2, N)

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Logits (B, classes) and labels (B,), integers, of the next images. Raises ValueError for
        a label that the set was not said to hold.
        """
        logits, labels = logits.detach().cpu().double(), labels.detach().cpu().long()
        own = slice(self.added, self.added + len(labels))
        self.labels[own] = labels
        if self.held is None or len(self.held) == logits.shape[1]:
            self._judge(self.evaluation, own, logits, labels)
        else:
            if strange := set(labels.tolist()) - set(self.held.tolist()):
                raise ValueError(
                    f"{self.evaluation}: images of classes {sorted(strange)}, which are not among the {len(self.held)} that its manifest names"
                )
            self._judge(
                self.evaluation, own, logits[:, self.held], torch.searchsorted(self.held, labels)
            )
            self._judge(unmasked(self.evaluation), own, logits, labels)
        self.added = own.stop

    def _judge(
        self, evaluation: str, own: slice, logits: torch.Tensor, labels: torch.Tensor
    ) -> None:
        if evaluation not in self.judged:
            self.judged[evaluation] = torch.empty(2, self.images, dtype=torch.float64)
        right, loss = self.judged[evaluation]
        right[own], loss[own] = (
            logits.argmax(1) == labels,
            F.cross_entropy(logits, labels, reduction="none"),
        )

    def rows(self) -> list[dict]:
        """evaluation, class_id, images, top1, cross_entropy: a row over all images (class_id None),
        then one for each class among them.
        """
        if self.added != self.images:
            raise ValueError(f"{self.evaluation}: {self.added} images were judged of {self.images}")
        rows = []
        for evaluation, (right, loss) in self.judged.items():
            for class_id in (None, *self.labels.unique().tolist()):
                own = slice(None) if class_id is None else self.labels == class_id
                means = {"top1": right[own].mean().item(), "cross_entropy": loss[own].mean().item()}
                rows.append(
                    {"evaluation": evaluation, "class_id": class_id, "images": len(right[own])}
                    | means
                )
        return rows
