"""Training batches under the recipe of the imagenet study, per core: against timm's pipeline.

python -m benchmarks.augmentation [--images 512] [--size 256]

Random crop, flip, RandAugment of 2 operations and erasing; batches of 64, no workers. Batches of
this project are those of torchvision's transforms bit by bit. timm runs its dataset, transforms and
collation in two ways: with the operations of torchvision, each of them applied, and as its users
configure it. There half of the operations are skipped, the others move pixels with bicubic
interpolation, and erasing is left to the GPU.
"""

import random
import tarfile
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import ImageDataset, create_transform
from timm.data.auto_augment import AugmentOp, RandAugment, rand_augment_ops
from timm.data.loader import fast_collate
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.measuring import (
    PROJECT,
    Disagreement,
    Goal,
    Result,
    begin,
    finish,
    in_turn,
    parser,
    ratios,
)
from synscale.study.load import load_study
from synscale.study.models.classifiers import Training
from synscale.timing import fake_images
from synscale.training import augment, stream

PREDICTION = (
    "A first profile of the transforms gave 0.8 ms an image, 1.8 times less than timm with the "
    "same operations, 2.0 times less than timm as configured by its users and half of the time "
    "with torchvision's RandAugment. Decoding takes 0.25 ms by simplejpeg and 0.5 ms by Pillow, "
    "so that ratios from JPEG files are about the same: 1.8 and 1.9."
)
BATCH = 64
BEFORE = "torchvision's RandAugment"
SAME = "timm, the same operations"
USUAL = "timm, as its users configure it"
GOALS = {SAME: Goal(1.5), USUAL: Goal(1.5)}
# timm's magnitude 3 of 10 is torchvision's 9 of 30. Names are those that grow with the magnitude.
MAGNITUDE = 3
OPERATIONS = [
    *("ShearX", "ShearY", "TranslateXRel", "TranslateYRel", "Rotate", "BrightnessIncreasing"),
    *("ColorIncreasing", "ContrastIncreasing", "SharpnessIncreasing", "PosterizeIncreasing"),
    *("SolarizeIncreasing", "AutoContrast", "Equalize"),
]


class Decoded(Dataset):
    """Images in memory, for timm's transforms."""

    def __init__(self, images: stream.InMemoryImages, transform):
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images.pixels]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), 0


def run_project(images: stream.Images, transform) -> list[torch.Tensor]:
    iterations = len(images) // BATCH
    batches = stream.iter_training(images, BATCH, iterations, 0, transform=transform)
    return [batch.images for batch in batches]


def timms(dataset: Dataset) -> list[torch.Tensor]:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    loader = DataLoader(dataset, BATCH, collate_fn=fast_collate, drop_last=True)
    return [images for images, _ in loader]


def by_torchvision(recipe: Training) -> v2.Compose:
    """Return torchvision's transforms of the recipe."""
    return v2.Compose(
        [
            augment.ResizedCrop(
                recipe.image_size, recipe.crop_scale, interpolation=augment.BICUBIC
            ),
            v2.RandomHorizontalFlip(),
            v2.RandAugment(recipe.rand_augment.operations, recipe.rand_augment.magnitude),
            augment.Erasing(recipe.erasing),
        ]
    )


def same_by_timm(recipe: Training) -> v2.Compose:
    """Return timm's transforms with torchvision's operations, each of them applied."""
    settings = {"interpolation": Image.Resampling.NEAREST, "img_mean": (0, 0, 0)}
    identity = AugmentOp("Rotate", prob=0.0)
    operations = [*rand_augment_ops(MAGNITUDE, 1.0, settings, OPERATIONS), identity]
    crop = RandomResizedCropAndInterpolation(
        recipe.image_size, recipe.crop_scale, interpolation="bicubic"
    )
    return v2.Compose(
        [
            crop,
            v2.RandomHorizontalFlip(),
            RandAugment(operations, recipe.rand_augment.operations),
            v2.PILToTensor(),
            augment.Erasing(recipe.erasing),
        ]
    )


def usual_by_timm(recipe: Training):
    """Return timm's transforms as its training script creates them, with DeiT's options."""
    settings = recipe.rand_augment
    return create_transform(
        recipe.image_size,
        is_training=True,
        use_prefetcher=True,
        auto_augment=f"rand-m{settings.magnitude}-n{settings.operations}-mstd0.5-inc1",
        scale=recipe.crop_scale,
        interpolation="bicubic",
        re_prob=recipe.erasing,
        re_mode="pixel",
    )


def agree(batches: dict[str, list[torch.Tensor]]) -> str:
    """Raise Disagreement if batches of torchvision's transforms, or shapes of timm's, differ."""
    shapes = {name: (len(rows), rows[0].shape, rows[0].dtype) for name, rows in batches.items()}
    if len(set(shapes.values())) > 1:
        raise Disagreement(f"batches: {shapes}")
    if not all(map(torch.equal, batches[PROJECT], batches[BEFORE])):
        raise Disagreement(f"{BEFORE}: other pixels than this project's")
    return (
        "batches are those with torchvision's RandAugment bit by bit; timm, which draws other "
        "random numbers, makes as many batches of the same shape"
    )


def measure(folder: Path, images: int, size: int, rounds: int, device: torch.device) -> Result:
    if images < BATCH:
        raise SystemExit(f"--images {images}: too few (expected at least {BATCH}, one batch)")
    recipe = load_study("studies/imagenet.yaml").classifiers
    tar = folder / "00000.tar"
    stored = fake_images.shard(tar, images, size)
    (decoded,) = stream.load_into_memory([stored])
    with tarfile.open(tar) as file:
        file.extractall(folder / "files/all", filter="data")
    transform = augment.of_images(recipe, size, recipe.image_size)
    timm_ways = {SAME: same_by_timm(recipe), USUAL: usual_by_timm(recipe)}
    tables = {}
    for heading, source in (("From JPEG files", stored), ("From decoded images", decoded)):
        ways = {
            PROJECT: partial(run_project, source, transform),
            BEFORE: partial(run_project, source, by_torchvision(recipe)),
        }
        for name, steps in timm_ways.items():
            files = ImageDataset(str(folder / "files"), transform=steps)
            ways[name] = partial(timms, files if source is stored else Decoded(decoded, steps))
        seconds, agreement = in_turn(ways, rounds, device, agree)
        tables[heading] = ratios(seconds, images // BATCH * BATCH, "image", GOALS)
    work = (
        f"{images // BATCH * BATCH} JPEGs of {size} px and {tar.stat().st_size // images // 1000} "
        f"kB, batches of {BATCH} crops of {recipe.image_size} px, uint8"
    )
    title = "Training batches under the imagenet study's recipe, one core"
    return Result("augmentation", title, work, PREDICTION, tables, agreement)


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, rounds=7)
    options.add_argument("--images", type=int, default=512)
    options.add_argument("--size", type=int, default=256, help="pixels a side, as stored")
    args, device = begin(options, arguments)
    with tempfile.TemporaryDirectory() as folder:
        finish(measure(Path(folder), args.images, args.size, args.rounds, device), args)


if __name__ == "__main__":
    main()
