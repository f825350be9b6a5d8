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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import open_clip
import torch
from open_clip_train import main as trainer

from benchmarks.measuring import (
    OURS,
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
from synscale.timing import fake_images, loops
from synscale.training import clip_loop

PREDICTION = (
    "Not measured yet on a GPU. Same kernels as the released trainer with its best flags, images sent as bytes instead of float32, and a fused AdamW: "
    "1.0 to 1.05 of its best is expected; deterministic kernels may take 3 %. On a CPU at tiny size: 1.5 or more, from AdamW, tokens that are kept, "
    "and images in memory."
)
MODELS = {
    "tiny": {
        "embed_dim": 16,
        "patch_size": 16,
        "width": 32,
        "depth": 2,
        "heads": 2,
        "text_width": 32,
        "text_depth": 2,
        "text_heads": 2,
        "context_length": 16,
    },
    "vit_base": {
        **{"embed_dim": 512, "patch_size": 16, "width": 768, "depth": 12, "heads": 12},
        **{"text_width": 512, "text_depth": 12, "text_heads": 8, "context_length": 77},
    },
}
DEFAULT, BEST = "open_clip as released", "open_clip, best flags"
FLAGS = {  # device -> of the peer
    "cuda": {
        DEFAULT: [],
        BEST: ["--precision", "amp_bf16", "--torchcompile", "--local-loss", "--gather-with-grad"],
    },
    "cpu": {DEFAULT: ["--precision", "fp32"], BEST: ["--precision", "fp32", "--torchcompile"]},
}


@dataclass
class Setting:
    folder: Path
    architecture: dict
    size: int  # pixels a side, of images as of the model
    batch: int
    epochs: int  # of the trainer
    iterations: int  # in all epochs together
    crop_scale: tuple[float, float]
    device: torch.device
    workers: int

    @property
    def tar(self) -> Path:
        return self.folder / f"{self.pairs}/00000.tar"

    @property
    def pairs(self) -> int:
        return self.batch * (self.iterations // self.epochs)


class Clock:
    """Seconds of the last half of a training."""

    def __init__(self, device: torch.device):
        self.device, self.seconds = device, 0.0

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


def ours(run: Clock, own: Setting, backend: str) -> dict[str, torch.Tensor]:
    """Train by the loop of this project and return the weights."""
    recipe = {
        "batch_size": own.batch,
        "learning_rate": 5e-4,
        "warmup": 0.0,
        "weight_decay": 0.2,
        "crop_scale": own.crop_scale,
        "compile": backend,
    }
    settings = {
        "architectures": {"one": own.architecture},
        "image_size": own.size,
        "training": recipe,
    }
    steps = loops.Steps(own.device, skip=own.iterations // 2, clock=clock)
    job = loops.clip_job(settings, own.pairs, own.iterations)
    with as_a_job():
        model = loops.clip(steps, job, own.tar, own.pairs, own.workers)
    run.seconds = steps.seconds
    return clip_loop.weights_of(model)


def released(run: Clock, own: Setting, flags: list[str]) -> dict[str, torch.Tensor]:
    """The command line of its README, in this process, with the same recipe."""
    (low, high), name = own.crop_scale, "benchmark_released"
    # Quiet: its handlers outlive a run, and the tenth run would write every line ten times.
    with (
        tempfile.TemporaryDirectory() as folder,
        run.last_epoch(),
        patch.object(trainer, "setup_logging", lambda *_: None),
    ):
        write_json(Path(folder) / f"{name}.json", clip.config(own.architecture, own.size))
        open_clip.add_model_config(Path(folder) / f"{name}.json")
        line = [
            "--model",
            name,
            "--device",
            own.device.type,
            "--workers",
            str(own.workers and 1),
            "--seed",
            "0",
        ]
        line += [
            "--train-data",
            str(own.tar),
            "--dataset-type",
            "webdataset",
            "--train-num-samples",
            str(own.pairs),
        ]
        line += [
            "--batch-size",
            str(own.batch),
            "--epochs",
            str(own.epochs),
            "--warmup",
            "0",
            "--lr",
            "5e-4",
            "--wd",
            "0.2",
        ]
        line += ["--beta1", "0.9", "--beta2", "0.98"]
        line += [
            "--eps",
            "1e-6",
            "--image-mean",
            "0.5",
            "0.5",
            "0.5",
            "--image-std",
            "0.5",
            "0.5",
            "0.5",
        ]
        line += [
            "--aug-cfg",
            "use_timm=True",
            f"scale=({low},{high})",
            "ratio=(1.0,1.0)",
            "--logs",
            folder,
            "--name",
            "run",
            *flags,
        ]
        trainer.main(line)
        state = torch.load(
            Path(folder) / f"run/checkpoints/epoch_{own.epochs}.pt",
            map_location="cpu",
            weights_only=True,
        )["state_dict"]
    return {key.removeprefix("_orig_mod."): weights for key, weights in state.items()}


def same_weights(ways: dict[str, Callable], tolerance: float) -> str:
    """Of two iterations on one batch of whole images."""
    made = {name: way() for name, way in ways.items()}
    keys = sorted(made[OURS])
    flat = {
        name: torch.cat([weights[key].float().flatten() for key in keys])
        for name, weights in made.items()
    }
    told = [
        f"{name}: {close(own, flat[OURS], tolerance, f'weights of {name}'):.1g}"
        for name, own in flat.items()
    ]
    return f"largest difference of weights from ours: {', '.join(told)}"


def ways_of(run: Clock, own: Setting, backend: str) -> dict[str, Callable]:
    fake_images.shard(own.tar, own.pairs, own.size)
    return {OURS: partial(ours, run, own, backend)} | {
        name: partial(released, run, own, flags) for name, flags in FLAGS[own.device.type].items()
    }


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
    run, gpu = Clock(device), device.type == "cuda"
    common = {
        "folder": folder,
        "architecture": MODELS[model],
        "size": size,
        "batch": batch,
        "device": device,
    }
    check = Setting(**common, epochs=2, iterations=2, crop_scale=(1.0, 1.0), workers=0)
    told = same_weights(ways_of(run, check, backend), 0.3 if gpu else 1e-3)
    own = Setting(
        **common, epochs=2, iterations=2 * iterations, crop_scale=(0.5, 1.0), workers=workers
    )

    def seconds(work, _) -> float:
        work()
        return run.seconds

    found, _ = in_turn(
        ways_of(run, own, backend), rounds, device, lambda made: json.dumps(sorted(made)), seconds
    )
    rows = ratios(found, iterations * batch, "pair", {BEST: 1.0})
    work = f"{model}, {size} px, batches of {batch}, {iterations} iterations, {workers} workers (the released reader: one for each tar, here one)"
    return Result(f"clip_training-{model}", "Training CLIP", work, PREDICTION, {"": rows}, told)


def main(arguments: list[str] | None = None) -> None:
    own = parser(__doc__, rounds=3, gpu=True)
    own.add_argument("--model", choices=list(MODELS), default="vit_base")
    own.add_argument("--size", type=int, default=224)
    own.add_argument("--batch", type=int, default=256)
    own.add_argument("--iterations", type=int, default=40, help="of the timed part")
    own.add_argument("--workers", type=int, default=8)
    own.add_argument(
        "--backend",
        default="inductor",
        help="of torch.compile, of ours; the trainer's flag takes none",
    )
    args, device = begin(own, arguments)
    with tempfile.TemporaryDirectory() as folder:
        finish(
            measure(
                Path(folder),
                args.model,
                args.size,
                args.batch,
                args.iterations,
                args.rounds,
                device,
                args.workers,
                args.backend,
            ),
            args,
        )


if __name__ == "__main__":
    main()
