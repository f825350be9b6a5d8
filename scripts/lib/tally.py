"""Top-1 and cross-entropy of the images of one evaluation set, from logits that come batch by batch: over all images and per class.

Cross-entropy is of the softmax of the logits, without label smoothing, in nats (as the paper's evaluation code computes it).

A set may hold only some of the classes that a model tells apart: ImageNet-R and -A have 200 of 1000. Its rows are then of the logits of the
classes that it holds, as the sets' own authors evaluate them, and a second set of rows, `{name}_unmasked`, is of all logits. Which of the
two the paper shows it does not say; ours is that a law or table which names the set alone means the masked one.
"""

from collections.abc import Iterable

import scripts.lib.torch_setup  # noqa: F401

import torch
import torch.nn.functional as F

from scripts.lib.study.data import unmasked


class Tally:
    def __init__(self, evaluation: str, held: Iterable[int] | None = None):
        """held: the classes of the set's images (its manifest names them), where a set may lack some; None: no logit is ever left out."""
        self.evaluation = evaluation
        self.held = None if held is None else torch.tensor(sorted({int(class_id) for class_id in held}))
        self.labels, self.judged = [], {}  # evaluation -> [(right, loss), ...], each a pair of vectors (B,)

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """logits (B, classes) and labels (B,), integers, of the next images. Raises ValueError for a label that the set was not said to hold."""
        logits, labels = logits.detach().cpu().double(), labels.detach().cpu().long()
        self.labels.append(labels)
        if self.held is None or len(self.held) == logits.shape[1]:
            return self._judge(self.evaluation, logits, labels)
        if strange := set(labels.tolist()) - set(self.held.tolist()):
            raise ValueError(f"{self.evaluation}: images of classes {sorted(strange)}, which are not among the {len(self.held)} that its manifest names")
        self._judge(self.evaluation, logits[:, self.held], torch.searchsorted(self.held, labels))
        self._judge(unmasked(self.evaluation), logits, labels)

    def _judge(self, evaluation: str, logits: torch.Tensor, labels: torch.Tensor) -> None:
        own = (logits.argmax(1) == labels).double(), F.cross_entropy(logits, labels, reduction="none")
        self.judged.setdefault(evaluation, []).append(own)

    def rows(self) -> list[dict]:
        """evaluation, class_id, images, top1, cross_entropy: a row over all images (class_id None), then one for each class among them."""
        labels = torch.cat(self.labels)
        chosen = [(None, torch.ones_like(labels, dtype=torch.bool)), *((int(c), labels == c) for c in labels.unique())]
        rows = []
        for evaluation, batches in self.judged.items():
            right, loss = (torch.cat(own) for own in zip(*batches, strict=True))
            for class_id, mask in chosen:
                means = {"top1": right[mask].mean().item(), "cross_entropy": loss[mask].mean().item()}
                rows.append({"evaluation": evaluation, "class_id": class_id, "images": int(mask.sum())} | means)
        return rows
