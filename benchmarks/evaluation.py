"""Evaluation of many checkpoints: `scripts.evaluate.judge`, which decodes each image once for all of them, against a pass for each checkpoint.

python -m benchmarks.evaluation [--models 8] [--images 256]

With n models, d seconds to decode an image and m for a model to read one, a pass each takes n (d + m) and ours d + n m: the ratio is n where
decoding costs all, and 1 where the models do. So it is measured at several sizes of the model.
"""

import tempfile
from pathlib import Path

import torch

from benchmarks.measuring import OURS, Disagreement, Result, begin, finish, in_turn, parser, ratios
from scripts import evaluate
from scripts.lib import classifier, stream
from scripts.lib.timing import pictures

PREDICTION = (
    "8 checkpoints on JPEGs of 256 px, one core: decoding takes 0.75 ms an image, so 4 times is reached where a model reads an image in less than 0.11 ms "
    "(n (d + m) > 4 (d + n m)), that is up to about 5 MFLOP an image at 50 GFLOP a second. Expected: tiny 6, small 2.5, ViT-Ti/16 (1.1 GFLOP) 1.1. "
    "On a GPU, which reads 10,000 images a second with ViT-S and 100,000 with the tiny one while a core decodes 1,300, decoding is the larger part "
    "of all: 4 or more is expected there for ViT-S with one worker."
)
SIZES = {
    "tiny: width 32, 1 layer, patches of 64 px": {"patch_size": 64, "width": 32, "depth": 1, "heads": 2, "pool": "avg"},
    "small: width 64, 2 layers, patches of 32 px": {"patch_size": 32, "width": 64, "depth": 2, "heads": 2, "pool": "avg"},
    "ViT-Ti/16": {"patch_size": 16, "width": 192, "depth": 12, "heads": 3, "pool": "token"},
    "ViT-S/16": {"patch_size": 16, "width": 384, "depth": 12, "heads": 6, "pool": "token"},
}
EACH = "a pass for each checkpoint"
CLASSES = 10


def agree(made: dict[str, list[list[dict]]]) -> str:
    if made[OURS] != made[EACH]:
        raise Disagreement("the rows of metrics are not the same")
    return f"all {sum(map(len, made[OURS]))} rows of metrics are the same, digit by digit"


def one_size(images: stream.Stored, architecture: dict, models: int, rounds: int, device: torch.device) -> tuple:
    own = [classifier.build(architecture, 224, 3, CLASSES).to(device).eval() for _ in range(models)]

    def together():
        return evaluate.judge(own, "unseen", images, False, device)

    def apart():
        return [rows for model in own for rows in evaluate.judge([model], "unseen", images, False, device)]

    return in_turn({OURS: together, EACH: apart}, rounds, device, agree)


def measure(folder: Path, images: int, models: int, sizes: list[str], rounds: int, device: torch.device) -> Result:
    stored = pictures.block(folder / "00000.tar", images)
    tables, told = {}, ""
    for name in sizes:
        seconds, told = one_size(stored, SIZES[name], models, rounds, device)
        tables[name] = ratios(seconds, images * models, "image and checkpoint", {EACH: 4.0})
    return Result("evaluation", "Evaluation of many checkpoints", f"{models} checkpoints on {images} JPEGs of 256 px", PREDICTION, tables, told)


def main(arguments: list[str] | None = None) -> None:
    own = parser(__doc__, rounds=3, gpu=True)
    own.add_argument("--images", type=int, default=256)
    own.add_argument("--models", type=int, default=8)
    own.add_argument("--sizes", type=int, default=3, help=f"how many, from the smallest: {', '.join(SIZES)} (default: 3; on a GPU take all)")
    args, device = begin(own, arguments)
    with tempfile.TemporaryDirectory() as folder:
        finish(measure(Path(folder), args.images, args.models, list(SIZES)[: args.sizes], args.rounds, device), args)


if __name__ == "__main__":
    main()
