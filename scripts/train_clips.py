"""Train the CLIP models of one batch with open_clip's own trainer: runs that share a job, each on images and captions of one or more sources."""

import hashlib
import json
import logging
import random
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from unittest.mock import patch

from scripts.lib.torch_setup import deterministic

import numpy as np
import open_clip
import pandas as pd
import torch
import webdataset
from open_clip_train import main as trainer

from scripts.lib import block_lists, clip, command, jobs, resume, shards
from scripts.lib.files import whole, write_json

Pairs = tuple[np.ndarray, list[str]]  # uint8 images (N, C, H, W), their captions


def read_pairs(tars: dict[str, list[str]], runs: list[dict]) -> dict[tuple[str, float | None], Pairs]:
    """The images, in index order, and captions that the runs need of each source and guidance scale. Every tar is checked in whole.

    tars: of each source. Raises ShardError, as `shards.read`; SystemExit where a source has too few images for a run.
    """
    needed: dict[tuple, int] = {}
    for part in (part for run in runs for part in run["parts"]):
        key = part["source"], part["guidance"]
        needed[key] = max(needed.get(key, 0), part["images"])
    pairs = {}
    for (source, guidance), count in needed.items():

        def chosen(rows: pd.DataFrame, guidance=guidance, count=count) -> pd.Series:
            return (rows["image"] < count) & (True if guidance is None else rows["guidance"] == guidance)

        images, manifests = zip(*(shards.read(tar, chosen) for tar in tars[source]), strict=True)
        captions = pd.concat(manifests)["prompt"].tolist()
        if len(captions) < count:
            raise SystemExit(f"{tars[source][-1]}: {len(captions)} images at guidance {guidance}, but a run needs {count} of {source}")
        pairs[source, guidance] = np.concatenate([stack for stack in images if len(stack)]), captions
    return pairs


def interleaved(counts: list[int]) -> np.ndarray:
    """Order (N,) of parts laid end to end that mixes them evenly: every stretch holds them in proportion.

    The trainer shuffles within a window of 5,000 samples, so parts left one after the other would be learned one after the other.
    """
    return np.argsort(np.concatenate([(np.arange(count) + 0.5) / count for count in counts]), kind="stable")


def write_pairs(path: Path, parts: Iterable[Pairs]) -> str:
    """Write the pairs of a run as the one tar that the trainer reads ({key}.png, {key}.txt); return its sha256."""
    parts = list(parts)
    images = [image for stack, _ in parts for image in stack.transpose(0, 2, 3, 1)]
    captions = [caption for _, own in parts for caption in own]
    with whole(path) as (part,):
        with part.open("wb") as stream, webdataset.TarWriter(stream, mtime=0, user="root", group="root") as writer:
            for key, i in enumerate(interleaved([len(own) for _, own in parts])):
                pixels = images[i][..., 0] if images[i].shape[-1] == 1 else images[i]
                writer.write({"__key__": f"{key:09d}", "png": shards.encode(pixels), "txt": captions[i]})
        with part.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def tamed(seed: int, architecture: dict) -> Iterator[None]:
    """Make the trainer repeatable, quick and quiet, by replacing five functions that it calls.

    shuffle: its order came from the process id and the clock.
    train_one_epoch: random numbers begin anew with each epoch, from the seed and the epoch, so that a run goes on from a checkpoint as if
        nothing had happened; and cuDNN is told again to be deterministic, which the trainer has just undone.
    AdamW: in one kernel. On a CPU the default takes roots tensor by tensor, which crawls where second moments are 0 or next to it, as
        those of most tokens are: a third of an iteration.
    setup_logging: it added handlers that outlive the run, and set the level of every logger in the process.
    get_tokenizer: captions repeat, and tokenizing one takes longer than a weight update takes for it; the same tokens, kept.
    """
    order, one_epoch, handlers = random.Random(), trainer.train_one_epoch, []  # noqa: S311  (no secret)

    def seeded_epoch(model, data, loss, epoch, *rest, **named):
        own = int(resume.digest(f"{seed} {epoch}")[:8], 16)
        trainer.random_seed(own)
        order.seed(own)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
        return one_epoch(model, data, loss, epoch, *rest, **named)

    def log_to_file(path, level):
        handlers.append(logging.FileHandler(path))
        logging.root.addHandler(handlers[-1])
        logging.root.setLevel(level)

    tokenize, level = lru_cache(1 << 16)(clip.tokenizer(architecture)), logging.root.level
    with (
        patch.object(webdataset, "shuffle", partial(webdataset.shuffle, rng=order)),
        patch.object(trainer, "train_one_epoch", seeded_epoch),
        patch.object(trainer.optim, "AdamW", partial(torch.optim.AdamW, fused=True)),
        patch.object(trainer, "setup_logging", log_to_file),
        patch.object(trainer, "get_tokenizer", lambda *_, **__: lambda texts: tokenize(texts)),
    ):
        try:
            yield
        finally:
            logging.root.setLevel(level)
            for handler in handlers:
                logging.root.removeHandler(handler)
                handler.close()


def command_line(run: dict, recipe: dict, model: str, tar: Path, folder: Path, device: torch.device) -> list[str]:
    """Arguments of the trainer. An epoch is what lies between two checkpoints; beta and eps are CLIP's.

    timm's crop, as the trainer's own has no say over the ratio of its sides.
    """
    samples = run["iterations"] // recipe["checkpoints"] * recipe["batch_size"]
    low, high = recipe["crop_scale"]
    return [
        *["--model", model, "--device", device.type, "--precision", "amp_bf16" if device.type == "cuda" else "fp32"],
        *["--train-data", str(tar), "--dataset-type", "webdataset", "--dataset-resampled", "--workers", "0"],
        *["--train-num-samples", str(samples), "--epochs", str(recipe["checkpoints"]), "--batch-size", str(recipe["batch_size"])],
        *["--lr", str(recipe["learning_rate"]), "--wd", str(recipe["weight_decay"]), "--beta1", "0.9", "--beta2", "0.98", "--eps", "1e-6"],
        *["--lr-scheduler", "cosine", "--warmup", str(round(recipe["warmup"] * run["iterations"])), "--seed", str(run["seed"])],
        *["--image-mean", "0.5", "0.5", "0.5", "--image-std", "0.5", "0.5", "0.5"],
        *["--aug-cfg", "use_timm=True", f"scale=({low},{high})", "ratio=(1.0,1.0)"],
        # The latest checkpoint is the only one that the trainer writes whole or not at all.
        *["--logs", str(folder.parent), "--name", folder.name, "--resume", "latest", "--save-most-recent", "--save-frequency", "0"],
        *["--log-every-n-steps", "1000"],
    ]


def train(settings: dict, run: dict, tar: Path, folder: Path, device: torch.device) -> dict[str, torch.Tensor]:
    """Train one model on the pairs in `tar`, going on from what `folder` holds of an earlier try; return its weights.

    The trainer returns in peace when it has done nothing, or has lost shards on the way, so what it leaves is looked at.
    """
    recipe, architecture = settings["training"], settings["architectures"][run["architecture"]]
    if run["iterations"] % recipe["checkpoints"]:
        raise SystemExit(f"{run['name']}: {run['iterations']} iterations cannot be cut into {recipe['checkpoints']} equal parts")
    config = clip.config(architecture, settings["image_size"])
    model = f"study_{resume.digest(json.dumps(config, sort_keys=True))}"  # a name that the trainer reads nothing into
    write_json(folder / f"{model}.json", config)
    open_clip.add_model_config(folder / f"{model}.json")
    with tamed(run["seed"], architecture):
        trainer.main(command_line(run, recipe, model, tar, folder, device))
    checkpoint = folder / "checkpoints/epoch_latest.pt"
    state = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else {"epoch": 0}
    if state["epoch"] != recipe["checkpoints"]:
        raise SystemExit(f"{run['source']} {run['name']}: the trainer stopped after {state['epoch']} of {recipe['checkpoints']} parts: see {folder}/out.log")
    told = [line for line in (folder / "out.log").read_text().splitlines() if "Loss:" in line]
    print(f"{run['source']} {run['name']}: {run['iterations']} iterations. {told[-1] if told else 'All of them done before.'}", flush=True)
    return state["state_dict"]


def train_batch(settings: dict, images: list[str], output: Path, state: Path, device: torch.device) -> None:
    """Train every run of `settings` (jobs.clip_settings) into a file in `output`; `state` keeps what is done until all are."""
    tars = shards.by_source(images, settings["inputs"])
    part = output.with_name(f"{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a try that was killed
    part.mkdir(parents=True)
    pairs = read_pairs(tars, settings["runs"])
    for run in settings["runs"]:
        own = [(pairs[p["source"], p["guidance"]], p["images"]) for p in run["parts"]]
        data = write_pairs(state / "pairs.tar", [(stack[:count], captions[:count]) for (stack, captions), count in own])
        description = {
            "architecture": settings["architectures"][run["architecture"]],
            "image_size": settings["image_size"],
            "run": run,
            "training": settings["training"],
        }
        identity = resume.digest(json.dumps([description, data], sort_keys=True))
        done = state / f"{identity}.safetensors"
        if not done.exists():
            weights = train(settings, run, state / "pairs.tar", state / identity, device)
            clip.save(done, weights, description)
            resume.discard(state / identity)
        shutil.copyfile(done, part / f"{run['name']}.safetensors")
    shutil.rmtree(output, ignore_errors=True)  # Snakemake makes the folder of a directory output
    part.rename(output)
    resume.discard(state)


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--blocks", required=True, nargs="+", help="lists of the blocks of the sources of the batch, source after source")
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--state", required=True, help="folder of finished runs and training state, kept until the job is done")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.clip_settings)
    train_batch(settings, block_lists.tars(args.blocks), Path(args.output), Path(args.state), deterministic(args.threads))


if __name__ == "__main__":
    main()
