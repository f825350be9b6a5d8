"""Stochastic depth (drop path) with masks that are drawn once per step for the complete batch.

timm draws a mask whenever a layer runs, so that the masks of a batch depend on its micro-batches
and on the number of processes. Here they follow from the seed, the step and the image's place in
the batch only. Huang et al. 2016, arXiv 1603.09382; used by DeiT.
"""

import torch
from timm.layers import DropPath
from torch import nn


class BatchDropPath(nn.Module):
    """Multiplies each image's residual branch by its entry of `scale`.

    Parameters
    ----------
    rate : float
        Probability that a branch is dropped.
    images : int
        Images of a micro-batch.
    device : torch.device
    """

    def __init__(self, rate: float, images: int, device: torch.device):
        super().__init__()
        self.rate = rate
        # No buffer, because DistributedDataParallel would copy rank 0's to the others.
        self.scale = torch.ones(images, device=device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the branch, scaled in training and unchanged otherwise.

        Parameters
        ----------
        x : Tensor, shape (N, ...)
            Output of a branch for N images.
        """
        if not self.training:
            return x
        return x * self.scale.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


class StochasticDepth:
    """The drop-path layers of a model, and the masks of a batch.

    Parameters
    ----------
    model : Module
        Its DropPath layers are replaced.
    images : int
        Images of a micro-batch.
    device : torch.device
    """

    def __init__(self, model: nn.Module, images: int, device: torch.device):
        self.layers: list[BatchDropPath] = []
        self.images = images
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, DropPath):
                    layer = BatchDropPath(child.drop_prob, images, device)
                    setattr(module, name, layer)
                    self.layers.append(layer)

    def draw(self, batch_size: int, random: torch.Generator) -> torch.Tensor:
        """Draw the masks of a batch.

        Parameters
        ----------
        batch_size : int
            Images of the batch, over all processes.
        random : Generator
            On the CPU, with the same state in all processes.

        Returns
        -------
        Tensor, shape (layers, batch_size), float32
            0 for a branch that is dropped, otherwise 1 / (1 - rate).
        """
        uniform = torch.rand(len(self.layers), batch_size, generator=random)
        rates = torch.tensor([layer.rate for layer in self.layers])[:, None]
        return (uniform >= rates) / (1 - rates)

    def use(self, masks: torch.Tensor, first: int) -> None:
        """Use the masks, as of `draw`, of the micro-batch that begins at image `first`.

        Parameters
        ----------
        masks : Tensor
            As `draw` returns them.
        first : int
            First image of the micro-batch.
        """
        for layer, mask in zip(self.layers, masks, strict=True):
            layer.scale.copy_(mask[first : first + self.images], non_blocking=True)
