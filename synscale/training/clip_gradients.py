"""Gradients of one training step of CLIP, with open_clip's loss.

A share of a batch that does not fit into a GPU is processed in micro-batches with cached features
(Gao et al. 2021, arXiv 2101.06983; open_clip's `accum_freq` does so too):

1. Compute the features of every micro-batch, without gradients.
2. Compute the loss of all features and its gradients with respect to them. Only the rows of one
   micro-batch of the similarity matrix exist at a time; open_clip keeps the complete matrix.
3. Compute the features of every micro-batch again and propagate the gradients of step 2.

ClipLoss has no weights of pairs. Pairs with weights are therefore processed in this way, too, if
one micro-batch is enough: the losses of a pair, as an image and as a text, have its weight.

Images stay in host memory and are sent to the GPU twice, so that it holds those of one micro-batch.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from open_clip.loss import ClipLoss, gather_features
from open_clip.model import CLIP

from synscale.models import clip
from synscale.study.models.clip import ClipTraining
from synscale.training.distributed import ProcessGroup
from synscale.training.pairs import PairBatch
from synscale.training.part_weights import PartWeights

FEATURES = "image_features", "text_features"


@dataclass(frozen=True)
class Gradients:
    """Computes the gradients of a batch that processes share.

    Parameters
    ----------
    model : CLIP
    ddp_model : Module
        The model, or its DistributedDataParallel if there are several processes.
    recipe : ClipTraining
    processes : ProcessGroup
    part_weights : PartWeights, optional
        Of the parts of a mixture.
    """

    model: CLIP
    ddp_model: torch.nn.Module
    recipe: ClipTraining
    processes: ProcessGroup
    part_weights: PartWeights | None = None

    def __call__(self, share: Sequence[PairBatch]) -> torch.Tensor:
        """Add the gradients of one batch to those of the model.

        Parameters
        ----------
        share : sequence of PairBatch
            Micro-batches of equal size, with tokens: the share of this process.

        Returns
        -------
        Tensor, shape ()
            Mean loss of the share's rows. Its mean over processes is the loss of the batch.
        """
        if len(share) == 1 and self.part_weights is None:
            return self._in_one_batch(share[0])
        return self._in_micro_batches(share)

    def _in_one_batch(self, batch: PairBatch) -> torch.Tensor:
        # With a loss of its rows on every process, and features gathered with their gradients,
        # the mean of gradients over processes is the gradient of the batch.
        contrastive = ClipLoss(
            local_loss=True,
            gather_with_grad=True,
            rank=self.processes.rank,
            world_size=self.processes.ranks,
        )
        with self._autocast():
            loss = contrastive(**self.ddp_model(*self._inputs(batch)))
        loss.backward()
        return loss.detach()

    def _in_micro_batches(self, share: Sequence[PairBatch]) -> torch.Tensor:
        with torch.no_grad(), self._autocast():
            outputs = [self.model(*self._inputs(batch)) for batch in share]
        features = [torch.cat([output[key] for output in outputs]) for key in FEATURES]
        rows = len(share[0].images)
        scale = outputs[0]["logit_scale"]
        weights = self._weights(torch.cat([batch.positions for batch in share]))
        loss, scale_gradient, *gradients = self.of_features(*features, scale, rows, weights)
        del outputs, features
        pieces = zip(*(gradient.split(rows) for gradient in gradients), strict=True)
        for number, (batch, piece) in enumerate(zip(share, pieces, strict=True), 1):
            # Processes add up their gradients once.
            waits = self.processes.ranks > 1 and number < len(share)
            with self.ddp_model.no_sync() if waits else nullcontext():
                with self._autocast():
                    output = self.ddp_model(*self._inputs(batch))
                surrogate = output["logit_scale"] * scale_gradient / len(share)
                for key, gradient in zip(FEATURES, piece, strict=True):
                    surrogate = surrogate + (output[key].float() * gradient).sum()
                surrogate.backward()
        return loss

    def of_features(
        self,
        images: torch.Tensor,
        texts: torch.Tensor,
        scale: torch.Tensor,
        rows: int,
        weights: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Return the loss of a share of a batch, and its gradients, without the similarity matrix.

        Parameters
        ----------
        images, texts : Tensor, shape (n, embed_dim)
            Unit vectors of this process's share.
        scale : Tensor, shape ()
        rows : int
            Rows of the similarity matrix that exist at a time.
        weights : Tensor, shape (n,), optional
            Weights of this process's pairs.

        Returns
        -------
        loss, scale_gradient : Tensor, shape ()
            Loss of the rows and columns of this process's pairs.
        image_gradients, text_gradients : Tensor, shape (n, embed_dim), float32
            Gradients of the sum of all processes' losses with respect to `images` and `texts`.
        """
        processes = self.processes
        count = len(images)
        first = processes.rank * count
        features = images, texts
        if processes.ranks > 1:
            features = gather_features(
                images.contiguous(),
                texts.contiguous(),
                local_loss=True,
                rank=processes.rank,
                world_size=processes.ranks,
            )
        features = tuple(part.detach().float().requires_grad_() for part in features)
        scale = scale.detach().float().requires_grad_()
        losses = []
        for one, other in (features, features[::-1]):
            for start in range(first, first + count, rows):
                stop = min(start + rows, first + count)
                with self._autocast():
                    logits = scale * one[start:stop] @ other.T
                labels = torch.arange(start, stop, device=logits.device)
                if weights is None:
                    loss = F.cross_entropy(logits.float(), labels, reduction="sum")
                else:
                    each = F.cross_entropy(logits.float(), labels, reduction="none")
                    loss = each @ weights[start - first : stop - first]
                loss = loss / (2 * count)
                loss.backward()
                losses.append(loss.detach())
        gradients = [part.grad for part in features]
        if processes.ranks > 1:
            for gradient in gradients:
                dist.all_reduce(gradient)
        return (
            torch.stack(losses).sum(),
            scale.grad,
            *(gradient[first : first + count] for gradient in gradients),
        )

    def _weights(self, positions: torch.Tensor) -> torch.Tensor | None:
        if self.part_weights is None:
            return None
        return self.part_weights.of_images(positions).to(self.processes.device)

    def _autocast(self) -> torch.autocast:
        kind, precision = self.processes.device.type, self.recipe.precision
        enabled = kind == "cuda" and precision == "bfloat16"
        return torch.autocast(kind, torch.bfloat16, enabled=enabled)

    def _inputs(self, batch: PairBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Images as the model reads them, and tokens, on the device."""
        images = batch.images.to(self.processes.device, non_blocking=True)
        tokens = batch.tokens.to(self.processes.device, non_blocking=True)
        return clip.normalised(images, self.recipe.normalisation), tokens
