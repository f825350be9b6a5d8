"""Augmentation by torchvision, with torch's random numbers.

Single images are augmented by the process that reads them, batches by the one that trains on them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from synscale.study.models.classifiers import Training
from synscale.study.models.clip import ClipTraining
from synscale.training.rand_augment import RandAugment

Transform = Callable[[torch.Tensor], torch.Tensor]
BICUBIC = v2.InterpolationMode.BICUBIC


class ResizedCrop(v2.RandomResizedCrop):
    """torchvision's crop without its search of nested inputs, 0.02 of 0.65 ms per image."""

    def _crop(self, images: torch.Tensor, box: dict[str, int]) -> torch.Tensor:
        size, kind = self.size, self.interpolation
        return functional.resized_crop_image(images, **box, size=size, interpolation=kind)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return a random part of an image, in the output size.

        Parameters
        ----------
        image : Tensor, shape (C, H, W), uint8

        Returns
        -------
        Tensor, shape (C, size, size), uint8
        """
        return self._crop(image, self.make_params([image]))

    def of_batch(self, images: torch.Tensor, seeds: Iterable[int]) -> torch.Tensor:
        """Return `forward` of each image after seeding torch with its seed.

        Images with the same box are cropped together: at 8 pixels a side there are few boxes, and
        calls take longer than the crops.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), uint8
        seeds : iterable of int
            One for each image.

        Returns
        -------
        Tensor, shape (N, C, *size), uint8
        """
        rows_of_boxes: dict[tuple, list[int]] = defaultdict(list)
        for row, seed in enumerate(seeds):
            torch.default_generator.manual_seed(seed)
            rows_of_boxes[tuple(self.make_params([images]).items())].append(row)
        cropped = images.new_empty(*images.shape[:2], *self.size)
        for box, rows in rows_of_boxes.items():
            cropped[rows] = self._crop(images[rows], dict(box))
        return cropped


def crop_of_pairs(recipe: ClipTraining, stored: int, size: int) -> Transform | None:
    """Return the random crop of a CLIP training, the only augmentation of open_clip's recipes.

    Parameters
    ----------
    recipe : ClipTraining
    stored : int
        Pixels a side of the stored images.
    size : int
        Pixels a side that the model sees.

    Returns
    -------
    callable or None
        Of an image, uint8, shape (C, stored, stored). None if every crop is the stored image.
    """
    if recipe.crop_scale == (1, 1) and recipe.crop_ratio == (1, 1) and size == stored:
        return None
    return ResizedCrop(size, recipe.crop_scale, recipe.crop_ratio, BICUBIC)


class Erasing(v2.RandomErasing):
    """A rectangle of noise as timm draws it for normalised images.

    Mean and standard deviation are one half of the full range.
    """

    def __init__(self, p: float):
        super().__init__(p=p, value="random")

    def make_params(self, flat_inputs: list) -> dict:
        """Return place, size and noise of the rectangle, the noise as bytes."""
        params = super().make_params(flat_inputs)
        if params["v"] is not None:
            params["v"] = (127.5 * (1 + params["v"])).clamp(0, 255).to(torch.uint8)
        return params


def of_images(recipe: Training, stored: int, size: int) -> Transform | None:
    """Return the augmentation of single images of a classifier training.

    Parameters
    ----------
    recipe : Training
    stored : int
        Pixels a side of the stored images.
    size : int
        Pixels a side that the model sees.

    Returns
    -------
    callable or None
        Of an image, uint8, shape (C, stored, stored). None if images are used as they are stored.
    """
    steps: list[Transform] = []
    if recipe.crop_scale:
        steps.append(ResizedCrop(size, recipe.crop_scale, interpolation=BICUBIC))
    elif size != stored:
        steps.append(v2.CenterCrop(size))
    if recipe.flip:
        steps.append(v2.RandomHorizontalFlip())
    if recipe.rand_augment:
        steps.append(RandAugment(recipe.rand_augment.operations, recipe.rand_augment.magnitude))
    if recipe.erasing:
        steps.append(Erasing(recipe.erasing))
    return v2.Compose(steps) if steps else None


def of_batches(
    recipe: Training, classes: int
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None:
    """Return mixup or CutMix of each image of a batch with the one before it.

    Parameters
    ----------
    recipe : Training
    classes : int

    Returns
    -------
    callable or None
        Of images, shape (N, C, H, W), and class ids, shape (N,). Returns images, and the
        proportions of classes, shape (N, classes). None if the recipe has neither.
    """
    alphas = {v2.MixUp: recipe.mixup, v2.CutMix: recipe.cutmix}
    mixing = [kind(alpha=alpha, num_classes=classes) for kind, alpha in alphas.items() if alpha]
    return v2.RandomChoice(mixing) if mixing else None
