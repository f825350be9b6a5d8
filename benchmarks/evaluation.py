"""Evaluation of many checkpoints: `scripts.evaluate.judge`, which decodes each image once for all
of them, against a pass for each checkpoint: as clip_benchmark makes it (webdataset, Pillow,
transforms of torchvision, a DataLoader), and with our own reader, to tell one decoding from a fast
one.

python -m benchmarks.evaluation [--models 8] [--images 256]

With n models, d seconds to decode an image and m for a model to read one, a pass each takes n (d +
m) and ours d + n m: the ratio is n where decoding costs all, and 1 where the models do. So it is
measured at several sizes of the model.
"""

import tempfile
from pathlib import Path

import torch
import webdataset
from torchvision import transforms

from benchmarks.measuring import OURS, Disagreement, Result, begin, finish, in_turn, parser, ratios
from scripts import evaluate
from synscale.evaluation.accumulator import Tally
from synscale.models import classifier
from synscale.study.models.classifiers import Architecture
from synscale.timing import fake_images
from synscale.training import stream

PREDICTION = (
    "8 checkpoints on JPEGs of 256 px, one core: decoding takes 0.75 ms an image, so 4 times is reached where a model reads an image in less than 0.11 ms "
    "(n (d + m) > 4 (d + n m)), that is up to about 5 MFLOP an image at 50 GFLOP a second. Expected: tiny 6, small 2.5, ViT-Ti/16 (1.1 GFLOP) 1.1. "
    "On a GPU, which reads 10,000 images a second with ViT-S and 100,000 with the tiny one while a core decodes 1,300, decoding is the larger part "
    "of all: 4 or more is expected there for ViT-S with one worker. "
    "Since then the peer, our own reader in a pass for each checkpoint, has got a slower one beside it, what users have, and a CPU is given 32 images at a "
    "time: preparing one took 0.8 ms in fresh memory, twice as long as reading it, and takes 0.08 now, for all and for one checkpoint alike. So with "
    "0.45 ms to read and prepare against clip_benchmark's 1.2, and forward passes of 0.14 (tiny) and 0.5 ms (small): tiny 6.5, small 3 (4 would need passes of "
    "0.31 ms, 30 MFLOP at the 90 GFLOP a second that a matrix product reaches here); and against our own reader less than before, 3 and 2, for what it wasted "
    "8 times was ours too."
)
SIZES = {
    "tiny: width 32, 1 layer, patches of 64 px": {
        "patch_size": 64,
        "width": 32,
        "depth": 1,
        "heads": 2,
        "pool": "avg",
    },
    "small: width 64, 2 layers, patches of 32 px": {
        "patch_size": 32,
        "width": 64,
        "depth": 2,
        "heads": 2,
        "pool": "avg",
    },
    "ViT-Ti/16": {"patch_size": 16, "width": 192, "depth": 12, "heads": 3, "pool": "token"},
    "ViT-S/16": {"patch_size": 16, "width": 384, "depth": 12, "heads": 6, "pool": "token"},
}
PEER, EACH = (
    "clip_benchmark's way, a pass for each checkpoint",
    "our reader, a pass for each checkpoint",
)
CLASSES, SIZE, PEER_BATCH = 10, 224, 64  # clip_benchmark's default
# Of the authors' evaluation.
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
    """Rows of metrics of one checkpoint, images read as clip_benchmark's `build_wds_dataset` and
    its loader do, without workers as ours.
    """
    pictures = (
        webdataset.WebDataset(images.shards[0].tar, shardshuffle=False)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(PREPARE, None)
    )
    tally = Tally("unseen", len(images))
    for pixels, labels in torch.utils.data.DataLoader(
        pictures.batched(PEER_BATCH), batch_size=None
    ):
        tally.add(model(pixels.to(device)), torch.as_tensor(labels))
    return tally.rows()


def agree(made: dict[str, list[list[dict]]]) -> str:
    if different := [way for way, rows in made.items() if rows != made[OURS]]:
        raise Disagreement(f"{different[0]}: not the rows of metrics that ours has")
    return f"all {sum(map(len, made[OURS]))} rows of metrics are the same, digit by digit"


def one_size(
    images: stream.ShardedImages, architecture: dict, models: int, rounds: int, device: torch.device
) -> tuple:
    own = [
        classifier.build(Architecture(label="", **architecture), SIZE, 3, CLASSES).to(device).eval()
        for _ in range(models)
    ]

    def together():
        return evaluate.judge(own, "unseen", images, False, device)

    def apart():
        return [
            rows
            for model in own
            for rows in evaluate.judge([model], "unseen", images, False, device)
        ]

    def as_users_do():
        return [clip_benchmark(model, images, device) for model in own]

    return in_turn({OURS: together, PEER: as_users_do, EACH: apart}, rounds, device, agree)


def measure(
    folder: Path, images: int, models: int, sizes: list[str], rounds: int, device: torch.device
) -> Result:
    stored = fake_images.shard(folder / "00000.tar", images)
    tables, told = {}, ""
    for name in sizes:
        seconds, told = one_size(stored, SIZES[name], models, rounds, device)
        tables[name] = ratios(
            seconds, images * models, "image and checkpoint", {PEER: 4.0, EACH: 4.0}
        )
    return Result(
        "evaluation",
        "Evaluation of many checkpoints",
        f"{models} checkpoints on {images} JPEGs of 256 px",
        PREDICTION,
        tables,
        told,
    )


def main(arguments: list[str] | None = None) -> None:
    own = parser(__doc__, rounds=3, gpu=True)
    own.add_argument("--images", type=int, default=256)
    own.add_argument("--models", type=int, default=8)
    own.add_argument(
        "--sizes",
        type=int,
        default=3,
        help=f"how many, from the smallest: {', '.join(SIZES)} (default: 3; on a GPU take all)",
    )
    args, device = begin(own, arguments)
    with tempfile.TemporaryDirectory() as folder:
        finish(
            measure(
                Path(folder),
                args.images,
                args.models,
                list(SIZES)[: args.sizes],
                args.rounds,
                device,
            ),
            args,
        )


if __name__ == "__main__":
    main()
