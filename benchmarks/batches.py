"""From shards to training batches, per core: `synscale/training/stream.py` against webdataset.

python -m benchmarks.batches [--images 512] [--size 256]

JPEGs of 256 px, RandomResizedCrop(224) and flip, batches of 64, no workers. All make the same crops
of the same pixels. This project also checks each image's sha256 and reads in any order; webdataset
reads a tar from its beginning and shuffles in a buffer, which is left out here. The peers transform
as their users do: Pillow images after the default decoding, and tensors with torchvision's v2, as
in this project, after simplejpeg.
"""

import tempfile
from functools import partial
from pathlib import Path

import simplejpeg
import torch
import webdataset
from PIL import Image
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
from synscale.study.models.classifiers import Training
from synscale.timing import fake_images
from synscale.training import augment, stream

PREDICTION = (
    "This project decodes by simplejpeg, each image into the memory of the one before (0.25 ms; "
    "new memory takes 0.36 and Pillow 0.49), and writes the crops into their batch one by one. "
    "Decoding and resizing, 0.45 ms, are the same for all, so 1.2 times webdataset + simplejpeg "
    "is near the limit; 2.2 times its default is expected."
)
BATCH = 64
CROP = 224
RECIPE = Training(
    batch_size=BATCH,
    learning_rate=1e-3,
    warmup=0.1,
    weight_decay=0.1,
    label_smoothing=0.0,
    position_std=0.02,
    crop_scale=(0.08, 1.0),
    flip=True,
)
DEFAULT = "webdataset, default decoding"
SIMPLE = "webdataset + simplejpeg"
GOALS = {DEFAULT: Goal(1.7), SIMPLE: Goal(1.2)}


def run_project(images: stream.ShardedImages, transform) -> list[torch.Tensor]:
    iterations = len(images) // BATCH
    return [
        batch.images
        for batch in stream.iter_training(images, BATCH, iterations, 0, transform=transform)
    ]


def peer(tar: str, decode, transform) -> list[torch.Tensor]:
    images = (
        webdataset.WebDataset(tar, shardshuffle=False)
        .decode(*decode)
        .to_tuple("jpg", "cls")
        .map_tuple(transform, lambda label: label)
    )
    return [pixels for pixels, _ in images.batched(BATCH, partial=False)]


def as_tensor(image: Image.Image) -> torch.Tensor:
    return v2.functional.pil_to_tensor(image)


def simplejpeg_decoder(key: str, data: bytes):
    return (
        torch.from_numpy(simplejpeg.decode_jpeg(data)).permute(2, 0, 1)
        if key.endswith("jpg")
        else None
    )


def random_crops(pillow: bool) -> v2.Compose:
    steps = [
        v2.RandomResizedCrop(CROP, interpolation=augment.BICUBIC, antialias=True),
        v2.RandomHorizontalFlip(),
    ]
    return v2.Compose([*steps, as_tensor] if pillow else steps)


def decoded_alike(images: stream.ShardedImages, tar: str, decoders: dict[str, tuple]) -> str:
    """Raise Disagreement if a way does not decode the first batch to the same pixels."""
    expected = images.read(torch.arange(min(BATCH, len(images))))[0]
    for name, (decode, pillow) in decoders.items():
        decoded = peer(tar, decode, as_tensor if pillow else lambda image: image)[0]
        if not torch.equal(expected, decoded):
            raise Disagreement(f"{name}: decodes other pixels than this project")
    return (
        "pixels as decoded, before the random crop, are the same bit by bit; and all make as many "
        "batches of the same shape"
    )


def measure(folder: Path, images: int, size: int, rounds: int, device: torch.device) -> Result:
    if images < BATCH:
        raise SystemExit(f"--images {images}: too few (expected at least {BATCH}, one batch)")
    tar = str(folder / f"{images}-{size}/00000.tar")
    stored = fake_images.shard(Path(tar), images, size)
    decoders = {DEFAULT: (("pil",), True), SIMPLE: ((simplejpeg_decoder,), False)}
    agreement = decoded_alike(stored, tar, decoders)
    transform = augment.of_images(RECIPE, size, CROP)
    ways = {PROJECT: partial(run_project, stored, transform)}
    ways |= {
        name: partial(peer, tar, decode, random_crops(pillow))
        for name, (decode, pillow) in decoders.items()
    }

    def agree(batches: dict[str, list[torch.Tensor]]) -> str:
        shapes = {name: (len(rows), rows[0].shape, rows[0].dtype) for name, rows in batches.items()}
        if len(set(shapes.values())) > 1:
            raise Disagreement(f"batches: {shapes}")
        return agreement

    seconds, agreement = in_turn(ways, rounds, device, agree)
    kilobytes = Path(tar).stat().st_size // images // 1000
    work = (
        f"{images // BATCH * BATCH} JPEGs of {size} px and {kilobytes} kB, batches of {BATCH} "
        "crops "
        f"of {CROP} px"
    )
    rows = ratios(seconds, images // BATCH * BATCH, "image", GOALS)
    return Result(
        "batches", "Shards to training batches, one core", work, PREDICTION, {"": rows}, agreement
    )


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, rounds=7)
    options.add_argument("--images", type=int, default=512)
    options.add_argument("--size", type=int, default=256, help="pixels a side, as stored")
    args, _ = begin(options, arguments)
    with tempfile.TemporaryDirectory() as folder:
        finish(
            measure(Path(folder), args.images, args.size, args.rounds, torch.device("cpu")), args
        )


if __name__ == "__main__":
    main()
