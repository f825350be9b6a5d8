"""Evaluation of many checkpoints together against one evaluation for each checkpoint.

python -m benchmarks.evaluation [--models 8] [--images 256]

`evaluation.classifiers.evaluate_set` decodes each image once for all checkpoints. The peer reads
all images for each checkpoint, as clip_benchmark does (webdataset, Pillow, transforms of
torchvision, a DataLoader). A second peer does so with this project's reader, which separates one
decoding from a fast one.

With n models, d seconds to decode an image and m for a model to compute one, the peer takes n (d +
m) and this project d + n m. The ratio is n if decoding takes all the time, and 1 if the models do.
So it is measured at several sizes of the model.
"""

import tempfile
from pathlib import Path

import torch
import webdataset
from torchvision import transforms

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
from synscale.evaluation.accumulator import MetricAccumulator
from synscale.evaluation.classifiers import evaluate_set
from synscale.models import classifier
from synscale.study.models.classifiers import Architecture
from synscale.timing import fake_images
from synscale.training import stream

PREDICTION = (
    "8 checkpoints on JPEGs of 256 px, one core: decoding takes 0.75 ms an image, so 4 times is "
    "reached where a model reads an image in less than 0.11 ms (n (d + m) > 4 (d + n m)), that is "
    "up to about 5 MFLOP an image at 50 GFLOP a second. Expected: tiny 6, small 2.5, ViT-Ti/16 "
    "(1.1 GFLOP) 1.1. On a GPU, which reads 10,000 images a second with ViT-S and 100,000 with "
    "the tiny one while a core decodes 1,300, decoding is the larger part of all: 4 or more is "
    "expected there for ViT-S with one worker. Since then there are two peers, this project's "
    "reader with a pass for each checkpoint and a slower one that users have, and a CPU evaluates "
    "32 images at a time: preparing one took 0.8 ms in fresh memory, twice as long as reading it, "
    "and takes 0.08 now, for all and for one checkpoint alike. So with 0.45 ms to read and "
    "prepare against clip_benchmark's 1.2, and forward passes of 0.14 (tiny) and 0.5 ms (small): "
    "tiny 6.5, small 3 (4 would need passes of 0.31 ms, 30 MFLOP at the 90 GFLOP a second that a "
    "matrix product reaches here). Against this project's reader less than before, 3 and 2, as "
    "the time that it wasted 8 times was also wasted by one pass for all."
)


def _architecture(patch_size: int, width: int, depth: int, heads: int, pool: str) -> Architecture:
    return Architecture(
        label="", patch_size=patch_size, width=width, depth=depth, heads=heads, pool=pool
    )


SIZES = {  # name -> architecture
    "tiny: width 32, 1 layer, patches of 64 px": _architecture(64, 32, 1, 2, "avg"),
    "small: width 64, 2 layers, patches of 32 px": _architecture(32, 64, 2, 2, "avg"),
    "ViT-Ti/16": _architecture(16, 192, 12, 3, "token"),
    "ViT-S/16": _architecture(16, 384, 12, 6, "token"),
}
PEER = "clip_benchmark's way, a pass for each checkpoint"
EACH = "this project's reader, a pass for each checkpoint"
GOALS = {PEER: Goal(4.0), EACH: Goal(4.0)}
CLASSES = 10
SIZE = 224
PEER_BATCH = 64  # clip_benchmark's default
# As the authors' evaluation prepares images.
PREPARE = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(SIZE),
        transforms.ToTensor(),
        transforms.Normalize((0.5,) * 3, (0.5,) * 3),
    ]
)


@torch.inference_mode()
def clip_benchmark(
    model: torch.nn.Module, images: stream.ShardedImages, device: torch.device
) -> list[dict]:
    """Return rows of metrics of one checkpoint, with the images as clip_benchmark reads them.

    No worker reads, as in this project's evaluation here.
    """
    samples = (
        webdataset.WebDataset(images.shards[0].tar, shardshuffle=False)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(PREPARE, None)
    )
    accumulator = MetricAccumulator("unseen", len(images))
    batches = torch.utils.data.DataLoader(samples.batched(PEER_BATCH), batch_size=None)
    for pixels, labels in batches:
        accumulator.add(model(pixels.to(device)), torch.as_tensor(labels))
    return accumulator.rows()


def agree(results: dict[str, list[list[dict]]]) -> str:
    """Return that all rows are identical. Raises Disagreement if they are not."""
    for name, rows in results.items():
        if rows != results[PROJECT]:
            raise Disagreement(f"{name}: rows of metrics differ from this project's")
    return f"all {sum(map(len, results[PROJECT]))} rows of metrics are the same, digit by digit"


def one_size(
    images: stream.ShardedImages,
    architecture: Architecture,
    models: int,
    rounds: int,
    device: torch.device,
) -> tuple:
    """Time one size of model in each way."""
    checkpoints = []
    for _ in range(models):
        model = classifier.build(architecture, SIZE, 3, CLASSES)
        checkpoints.append(model.to(device).eval())

    def together():
        return evaluate_set(checkpoints, "unseen", images, False, device)

    def separately():
        rows = (evaluate_set([model], "unseen", images, False, device) for model in checkpoints)
        return [rows_of_model for [rows_of_model] in rows]

    def as_clip_benchmark():
        return [clip_benchmark(model, images, device) for model in checkpoints]

    ways = {PROJECT: together, PEER: as_clip_benchmark, EACH: separately}
    return in_turn(ways, rounds, device, agree)


def measure(
    folder: Path, images: int, models: int, sizes: list[str], rounds: int, device: torch.device
) -> Result:
    """Time all sizes of models."""
    stored = fake_images.shard(folder / "00000.tar", images)
    tables = {}
    agreement = ""
    for name in sizes:
        seconds, agreement = one_size(stored, SIZES[name], models, rounds, device)
        tables[name] = ratios(seconds, images * models, "image and checkpoint", GOALS)
    work = f"{models} checkpoints on {images} JPEGs of 256 px"
    title = "Evaluation of many checkpoints"
    return Result("evaluation", title, work, PREDICTION, tables, agreement)


def main(arguments: list[str] | None = None) -> None:
    """Measure as the command line asks."""
    options = parser(__doc__, rounds=3, gpu=True)
    options.add_argument("--images", type=int, default=256)
    options.add_argument("--models", type=int, default=8)
    known = ", ".join(SIZES)
    options.add_argument("--sizes", type=int, default=3, help=f"number, from the first: {known}")
    args, device = begin(options, arguments)
    sizes = list(SIZES)[: args.sizes]
    with tempfile.TemporaryDirectory() as folder:
        work = (Path(folder), args.images, args.models, sizes, args.rounds, device)
        finish(measure(*work), args)


if __name__ == "__main__":
    main()
