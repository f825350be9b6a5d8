"""Find NaN and infinity in gradients and in saved training states.

A state that contains them is refused, because every retry would resume from it.
"""

from collections.abc import Iterator
from pathlib import Path

import torch


def _tensors(value, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
        return
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _tensors(inner, f"{name}.{key}" if name else str(key))


def gradient_norm(model: torch.nn.Module) -> float:
    """Return the Euclidean norm of the gradients that the last step left."""
    gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item()


def check_state(parts: dict, path: Path) -> None:
    """Check every number of a state that was read from a file.

    Parameters
    ----------
    parts : dict
        Name -> state_dict, as torch.load returns it.
    path : Path
        File that it was read from.

    Raises
    ------
    SystemExit
        If a floating-point number is NaN or infinite.
    """
    for name, tensor in _tensors(parts, ""):
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise SystemExit(
                f"{path}: the saved training state is not finite (NaN or infinity in {name}, "
                "expected finite numbers); lower the learning rate or set gradient_clip, and "
                "remove this file to train from the first step"
            )
