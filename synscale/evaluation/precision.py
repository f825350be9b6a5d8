"""Precision of evaluation: bfloat16 on a GPU if it gives the metrics of float32, else float32.

The authors' evaluation code computes in float32, and so does this project on a CPU. On a GPU of
type A100 or newer bfloat16 takes a fifth of the time. Each model is first evaluated on a sample of
its first evaluation set in both precisions. If top-1 or cross-entropy differ by more than a
tolerance, the model is evaluated in float32. Sample and tolerance are our choice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

SAMPLE = 2048  # images that both precisions are compared on


@dataclass(frozen=True)
class Tolerance:
    """Largest differences of metrics on the sample.

    Both are below the spread between seeds of one training, about 0.2 points of top-1. On a
    complete set, differences are smaller than on the sample, because rounding errors average out.
    """

    top1: float = 0.002  # 4 of 2,048 images
    cross_entropy: float = 0.002  # nats


@dataclass(frozen=True)
class Agreement:
    """Differences of metrics, low precision minus float32, on a sample of images."""

    images: int
    top1: float
    cross_entropy: float

    def within(self, tolerance: Tolerance) -> bool:
        """Return whether both differences are numbers within the tolerance."""
        is_close = abs(self.top1) <= tolerance.top1  # False for NaN
        return is_close and abs(self.cross_entropy) <= tolerance.cross_entropy


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 for a GPU that has arithmetic for it, else float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def agreement(exact: torch.Tensor, fast: torch.Tensor, labels: torch.Tensor) -> Agreement:
    """Compare the metrics of logits in two precisions.

    Parameters
    ----------
    exact : Tensor, shape (N, classes), float32
        Logits in float32.
    fast : Tensor, shape (N, classes), float32
        Logits of the same images from a lower precision.
    labels : Tensor, shape (N,), int64

    Returns
    -------
    Agreement
    """
    exact, fast, labels = exact.cpu().double(), fast.cpu().double(), labels.cpu()
    right = [(logits.argmax(1) == labels).double().mean().item() for logits in (fast, exact)]
    loss = [F.cross_entropy(logits, labels).item() for logits in (fast, exact)]
    return Agreement(len(labels), right[0] - right[1], loss[0] - loss[1])


def choose(
    name: str,
    logits: Callable[[torch.dtype], torch.Tensor],
    labels: torch.Tensor,
    fast: torch.dtype,
) -> torch.dtype:
    """Choose the precision of a model, and print why.

    Parameters
    ----------
    name : str
        Name of the model, for the log.
    logits : callable
        Logits, shape (N, classes), of the sample in a precision.
    labels : Tensor, shape (N,), int64
        Classes of the sample; N is 0 if nothing can be compared.
    fast : torch.dtype
        Lower precision that the device has; float32 compares nothing.

    Returns
    -------
    torch.dtype
        `fast` if its metrics are within the tolerance, else float32.
    """
    if fast == torch.float32 or not len(labels):
        return torch.float32
    tolerance = Tolerance()
    differences = agreement(logits(torch.float32), logits(fast), labels)
    choice = fast if differences.within(tolerance) else torch.float32
    fast_name = str(fast).removeprefix("torch.")
    print(
        f"{name}: evaluated in {str(choice).removeprefix('torch.')}; on {differences.images} "
        f"images {fast_name} changes top-1 by {differences.top1:+.2g} (tolerance "
        f"{tolerance.top1:g}) and cross-entropy by {differences.cross_entropy:+.2g} "
        f"({tolerance.cross_entropy:g})",
        flush=True,
    )
    return choice


def sample_positions(images: int) -> torch.Tensor:
    """Return positions of the sample: at equal distances, because a set is sorted by class.

    Parameters
    ----------
    images : int
        Images of the set.

    Returns
    -------
    Tensor, shape (min(images, SAMPLE),), int64
    """
    count = min(images, SAMPLE)
    return torch.arange(count) * images // max(count, 1)
