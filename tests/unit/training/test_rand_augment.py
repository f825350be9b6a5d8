"""RandAugment and its operations give the bytes of torchvision's."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from synscale.study.models.classifiers import RandAugment
from synscale.training import augment, rand_augment
from tests.support import photographs
from tests.support.trainings import recipe

OPERATIONS = v2.RandAugment._AUGMENTATION_SPACE


def as_decoded(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def images() -> list[torch.Tensor]:
    """Photographs as they are decoded, crops of them, and sizes at which borders matter."""
    whole = [as_decoded(pixels) for pixels in photographs.squares(64)]
    large = as_decoded(photographs.squares(224)[0])
    crops = [image[:, 3:40, 5:64].contiguous() for image in whole]
    grey = [image[:1].clone() for image in whole]
    small = [whole[0][:channels, 20:28, 20:28] for channels in (1, 3)]
    smallest = [whole[0][:, :height, :width] for height, width in ((1, 9), (2, 2), (3, 3))]
    flat = [torch.full((3, 8, 8), value, dtype=torch.uint8) for value in (0, 93, 255)]
    return [*whole, large, *crops, *grey, *small, *smallest, *flat]


def torchvisions(image: torch.Tensor, operation: str, magnitude: float) -> torch.Tensor:
    original = v2.RandAugment()
    return original._apply_image_or_video_transform(
        image, operation, magnitude, original.interpolation, original._fill
    )


@pytest.mark.parametrize("level", [0, 9, 17, 30])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_has_the_bytes_of_torchvision(operation, level):
    signed = OPERATIONS[operation][1]
    for image in images():
        magnitude = rand_augment.magnitude_of(operation, level, *image.shape[-2:])
        for value in (magnitude, -magnitude) if signed else (magnitude,):
            before = image.clone()
            changed = rand_augment.apply(image, operation, value)
            assert torch.equal(changed, torchvisions(image, operation, value))
            assert torch.equal(image, before)


@pytest.mark.parametrize(("operations", "level", "channels"), [(2, 9, 3), (2, 9, 1), (3, 15, 3)])
def test_seed_gives_the_image_of_torchvision(operations, level, channels):
    """Equal images for 300 seeds: operations and signs have torchvision's frequencies."""
    image = as_decoded(photographs.squares(32)[1])[:channels]
    ways = rand_augment.RandAugment(operations, level), v2.RandAugment(operations, level)
    for seed in range(300):
        augmented = []
        for way in ways:
            torch.manual_seed(seed)
            augmented.append((way(image), torch.rand(1)))
        assert torch.equal(augmented[0][0], augmented[1][0])
        assert torch.equal(augmented[0][1], augmented[1][1])


def test_each_operation_and_sign_is_drawn_equally_often(monkeypatch):
    drawn = []
    monkeypatch.setattr(rand_augment, "apply", lambda image, *draw: drawn.append(draw) or image)
    torch.manual_seed(0)
    transform = rand_augment.RandAugment(2, 9)
    for _ in range(7000):
        transform(torch.zeros(1, 8, 8, dtype=torch.uint8))
    names = [name for name, _ in drawn]
    assert {name: pytest.approx(1000, abs=120) for name in OPERATIONS} == {
        name: names.count(name) for name in OPERATIONS
    }
    negative = [magnitude < 0 for name, magnitude in drawn if OPERATIONS[name][1] and magnitude]
    assert np.mean(negative) == pytest.approx(0.5, abs=0.02)


def test_recipe_has_the_bytes_of_torchvision():
    training = recipe(
        crop_scale=(0.08, 1.0),
        flip=True,
        rand_augment=RandAugment(operations=2, magnitude=9),
        erasing=0.25,
    )
    steps = [
        v2.RandomResizedCrop(48, (0.08, 1.0), interpolation=augment.BICUBIC),
        v2.RandomHorizontalFlip(),
        v2.RandAugment(2, 9),
        augment.Erasing(0.25),
    ]
    ways = augment.of_images(training, 64, 48), v2.Compose(steps)
    for pixels in photographs.squares(64) * 30:
        augmented = []
        state = torch.get_rng_state()
        for way in ways:
            torch.set_rng_state(state)
            augmented.append(way(as_decoded(pixels)))
        assert torch.equal(*augmented)
