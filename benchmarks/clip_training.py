"""Training CLIP: the loop of this project against open_clip's trainer as released, by default and
with its best flags.

python -m benchmarks.clip_training [--model vit_base] [--batch 256] [--iterations 40]

The released trainer reads the same shard with its own reader (webdataset). All train the same model
from the same weights. Weights after two steps are compared on a single batch of complete images,
where neither order nor crops can differ. The second half of a longer run is timed (for the trainer,
its second epoch), so that neither compilation nor the start of workers counts.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import open_clip
import torch
from open_clip_train import main as trainer

from benchmarks.measuring import (
    PROJECT,
    Goal,
    Result,
    as_a_job,
    begin,
    clock,
    close,
    finish,
    in_turn,
    parser,
    ratios,
)
from synscale.models import clip
from synscale.runtime.atomic import write_json
from synscale.study.models.clip import ClipArchitecture, ClipTraining
from synscale.timing import fake_images, loops
from synscale.training import clip_loop
from synscale.training.clip_loop import ClipJob

PREDICTION = (
    "Not measured yet on a GPU. Same kernels as the released trainer with its best flags, images "
    "sent as bytes instead of float32, and a fused AdamW: "
    "1.0 to 1.05 of its best is expected; deterministic kernels may take 3 %. On a CPU at tiny "
    "size: 1.5 or more, from AdamW, tokens that are kept, "
    "and images in memory."
)
MODELS = {
    "tiny": ClipArchitecture(
        label="",
        embed_dim=16,
        patch_size=16,
        width=32,
        depth=2,
        heads=2,
        text_width=32,
        text_depth=2,
        text_heads=2,
        context_length=16,
    ),
    "vit_base": ClipArchitecture(
        label="",
        embed_dim=512,
        patch_size=16,
        width=768,
        depth=12,
        heads=12,
        text_width=512,
        text_depth=12,
        text_heads=8,
        context_length=77,
    ),
}
DEFAULT = "open_clip as released"
BEST = "open_clip, best flags"
GOALS = {BEST: Goal(1.0)}
FLAGS = {  # device -> of the peer
    "cuda": {
        DEFAULT: [],
        BEST: ["--precision", "amp_bf16", "--torchcompile", "--local-loss", "--gather-with-grad"],
    },
    "cpu": {DEFAULT: ["--precision", "fp32"], BEST: ["--precision", "fp32", "--torchcompile"]},
}


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Parameters
    ----------
    folder : Path
        Place of the shard.
    architecture : ClipArchitecture
    size : int
        Pixels a side, of images as of the model.
    batch : int
    epochs : int
        Epochs of open_clip's trainer.
    iterations : int
        Steps of all epochs together.
    crop_scale : tuple of float
    device : torch.device
    workers : int
    backend : str
        Backend of torch.compile of this project's loop; the trainer's flag takes none.
    """

    folder: Path
    architecture: ClipArchitecture
    size: int
    batch: int
    epochs: int
    iterations: int
    crop_scale: tuple[float, float]
    device: torch.device
    workers: int
    backend: str

    @property
    def tar(self) -> Path:
        """Shard of the pairs of an epoch."""
        return self.folder / f"{self.pairs}/00000.tar"

    @property
    def pairs(self) -> int:
        """Pairs of an epoch."""
        return self.batch * (self.iterations // self.epochs)


class Clock:
    """Seconds of the last half of a training."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds = 0.0

    @contextmanager
    def last_epoch(self) -> Iterator[None]:
        """Time the last epoch of open_clip's trainer."""
        one_epoch = trainer.train_one_epoch

        def timed(*args, **named):
            start = clock(self.device)
            one_epoch(*args, **named)
            self.seconds = clock(self.device) - start

        with patch.object(trainer, "train_one_epoch", timed):
            yield


def run_project(timed: Clock, setting: Setting) -> dict[str, torch.Tensor]:
    """Train by the loop of this project and return the weights."""
    recipe = ClipTraining(
        batch_size=setting.batch,
        learning_rate=5e-4,
        warmup=0.0,
        weight_decay=0.2,
        crop_scale=setting.crop_scale,
        compile=setting.backend,
    )
    steps = loops.Steps(setting.device, skip=setting.iterations // 2, clock=clock)
    run = loops.timed_run(setting.iterations)
    job = ClipJob(run, setting.architecture, setting.size, recipe)
    with as_a_job():
        model = loops.clip(steps, job, setting.tar, setting.pairs, setting.workers)
    timed.seconds = steps.seconds
    return clip_loop.weights_of(model)


def command_line(setting: Setting, model: str, folder: Path, flags: list[str]) -> list[str]:
    """Return the command line of the trainer's README, with the recipe of `run_project`."""
    low, high = setting.crop_scale
    options = {
        "model": model,
        "device": setting.device.type,
        "workers": setting.workers and 1,
        "seed": 0,
        "train-data": setting.tar,
        "dataset-type": "webdataset",
        "train-num-samples": setting.pairs,
        "batch-size": setting.batch,
        "epochs": setting.epochs,
        "warmup": 0,
        "lr": 5e-4,
        "wd": 0.2,
        "beta1": 0.9,
        "beta2": 0.98,
        "eps": 1e-6,
        "logs": folder,
        "name": "run",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    for name in ("image-mean", "image-std"):
        words += [f"--{name}", "0.5", "0.5", "0.5"]
    words += ["--aug-cfg", "use_timm=True", f"scale=({low},{high})", "ratio=(1.0,1.0)"]
    return [*words, *flags]


def released(timed: Clock, setting: Setting, flags: list[str]) -> dict[str, torch.Tensor]:
    """Train by open_clip's trainer in this process and return the weights."""
    name = "benchmark_released"
    # Quiet: its handlers outlive a run, and the tenth run would write every line ten times.
    with (
        tempfile.TemporaryDirectory() as path,
        timed.last_epoch(),
        patch.object(trainer, "setup_logging", lambda *_: None),
    ):
        folder = Path(path)
        write_json(folder / f"{name}.json", clip.config(setting.architecture, setting.size))
        open_clip.add_model_config(folder / f"{name}.json")
        trainer.main(command_line(setting, name, folder, flags))
        last = folder / f"run/checkpoints/epoch_{setting.epochs}.pt"
        state = torch.load(last, map_location="cpu", weights_only=True)["state_dict"]
    return {key.removeprefix("_orig_mod."): weights for key, weights in state.items()}


def same_weights(ways: dict[str, Callable], tolerance: float) -> str:
    """Compare the weights of all ways after two iterations on one batch of complete images."""
    trained = {name: way() for name, way in ways.items()}
    keys = sorted(trained[PROJECT])
    flat = {
        name: torch.cat([weights[key].float().flatten() for key in keys])
        for name, weights in trained.items()
    }
    differences = [
        f"{name}: {close(value, flat[PROJECT], tolerance, f'weights of {name}'):.1g}"
        for name, value in flat.items()
    ]
    return f"largest difference of weights from this project: {', '.join(differences)}"


def ways_of(timed: Clock, setting: Setting) -> dict[str, Callable]:
    """Return a function for each way; each trains and returns the weights."""
    fake_images.shard(setting.tar, setting.pairs, setting.size)
    ways = {PROJECT: partial(run_project, timed, setting)}
    for name, flags in FLAGS[setting.device.type].items():
        ways[name] = partial(released, timed, setting, flags)
    return ways


def measure(
    folder: Path,
    model: str,
    size: int,
    batch: int,
    iterations: int,
    rounds: int,
    device: torch.device,
    workers: int = 0,
    backend: str = "inductor",
) -> Result:
    """Compare the weights of all ways, then time the second half of a longer training."""
    timed = Clock(device)
    check = Setting(
        folder=folder,
        architecture=MODELS[model],
        size=size,
        batch=batch,
        epochs=2,
        iterations=2,
        crop_scale=(1.0, 1.0),
        device=device,
        workers=0,
        backend=backend,
    )
    tolerance = 0.3 if device.type == "cuda" else 1e-3
    agreement = same_weights(ways_of(timed, check), tolerance)
    setting = replace(check, iterations=2 * iterations, crop_scale=(0.5, 1.0), workers=workers)

    def seconds(work: Callable[[], object], _: torch.device) -> float:
        work()
        return timed.seconds

    def names(results: dict) -> str:
        return json.dumps(sorted(results))

    times, _ = in_turn(ways_of(timed, setting), rounds, device, names, seconds)
    rows = ratios(times, iterations * batch, "pair", GOALS)
    work = (
        f"{model}, {size} px, batches of {batch}, {iterations} iterations, {workers} workers "
        "(the released reader: one for each tar, here one)"
    )
    name = f"clip_training-{model}"
    return Result(name, "Training CLIP", work, PREDICTION, {"": rows}, agreement)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write the result file."""
    options = parser(__doc__, rounds=3, gpu=True)
    options.add_argument("--model", choices=list(MODELS), default="vit_base")
    options.add_argument("--size", type=int, default=224)
    options.add_argument("--batch", type=int, default=256)
    options.add_argument("--iterations", type=int, default=40, help="of the timed part")
    options.add_argument("--workers", type=int, default=8)
    options.add_argument(
        "--backend",
        default="inductor",
        help="torch.compile backend of this project's loop; the trainer's flag takes none",
    )
    args, device = begin(options, arguments)
    sizes = args.model, args.size, args.batch, args.iterations, args.rounds
    with tempfile.TemporaryDirectory() as folder:
        finish(measure(Path(folder), *sizes, device, args.workers, args.backend), args)


if __name__ == "__main__":
    main()
