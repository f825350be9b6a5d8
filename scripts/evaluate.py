"""Evaluate the classifiers of one batch on every evaluation set: top-1 and cross-entropy, over all
images and per class (`lib/tally.py`).

Protocol of the authors' code: the centre of each image, mean = std = 0.5, float32 or, on a GPU,
bfloat16 if it gives the same metrics (`lib/evaluation_precision.py`). Images are stored as the
first half of the protocol leaves them (shorter side to 256 pixels, centre square). Each is decoded
once, for all classifiers. An interrupted evaluation resumes with the set that it had not finished.
"""

import argparse
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import pandas as pd
import torch

from synscale.analysis.metrics import RUN
from synscale.data import shards
from synscale.evaluation import precision
from synscale.evaluation.accumulator import Tally
from synscale.evaluation.finished_sets import FinishedSets
from synscale.models import checksums, classifier
from synscale.runtime import cli
from synscale.runtime.atomic import atomic_write
from synscale.training import checkpoint, stream
from synscale.workflow.settings.evaluation import evaluation_settings

BATCH = 512
FLOAT32 = torch.float32


def judge(
    models: list[torch.nn.Module],
    evaluation: str,
    images: stream.Images,
    masked: bool,
    device: torch.device,
    workers: int = 0,
    precisions: list[torch.dtype] | None = None,
) -> list[list[dict]]:
    """Evaluate models on a set. One batch of images is in memory at a time.

    Parameters
    ----------
    models : list of Module
    evaluation : str
        Name of the set.
    images : Images
    masked : bool
        Whether classes that the set lacks are no answers (`lib/tally.py`).
    device : torch.device
    workers : int
        Processes that read images.
    precisions : list of torch.dtype or None
        Precision of each model; None is float32.

    Returns
    -------
    list of list of dict
        Rows of each model.
    """
    held = images.class_ids.unique().tolist() if masked else None
    tallies = [Tally(evaluation, len(images), held) for _ in models]
    precisions = precisions or [FLOAT32] * len(models)
    for batch in stream.iter_sequential(
        images, stream.evaluation_batch_size(BATCH, device), workers=workers
    ):
        pixels = batch.images.to(device)
        inputs = {}  # by size: prepared once for all models that read the same
        for model, dtype, tally in zip(models, precisions, tallies, strict=True):
            size = model.patch_embed.img_size
            if size not in inputs:
                inputs[size] = classifier.inputs(model, pixels)
            tally.add(classifier.outputs(model, inputs[size], dtype=dtype).logits, batch.class_ids)
    return [tally.rows() for tally in tallies]


def choose_precisions(
    names: list[str],
    models: list[torch.nn.Module],
    images: stream.Images,
    device: torch.device,
    fast: torch.dtype,
    workers: int = 0,
) -> list[torch.dtype]:
    """Choose the precision of each model by a sample of a set.

    Parameters
    ----------
    names : list of str
        Names of the models, for the log.
    models : list of Module
    images : Images
    device : torch.device
    fast : torch.dtype
        Lower precision that the device has; float32 reads no image.
    workers : int
        Processes that read images.

    Returns
    -------
    list of torch.dtype
    """
    if fast == FLOAT32 or not len(images):
        return [FLOAT32] * len(models)
    positions = precision.sample_positions(len(images))
    logits: dict[tuple[int, torch.dtype], list[torch.Tensor]] = {}
    labels = []
    for batch in stream.iter_at(
        images, positions.split(stream.evaluation_batch_size(BATCH, device)), workers=workers
    ):
        labels.append(batch.class_ids)
        pixels = batch.images.to(device)
        for number, model in enumerate(models):
            seen = classifier.inputs(model, pixels)
            for dtype in (FLOAT32, fast):
                found = classifier.outputs(model, seen, dtype=dtype).logits
                logits.setdefault((number, dtype), []).append(found)

    def choose(number: int, name: str) -> torch.dtype:
        return precision.choose(
            name, lambda dtype: torch.cat(logits[number, dtype]), torch.cat(labels), fast
        )

    return [choose(number, name) for number, name in enumerate(names)]


def identity(settings: dict, folder: Path, device: torch.device) -> str:
    """Return the text of everything that the rows of all sets depend on.

    Parameters
    ----------
    settings : dict
        Settings of the evaluation.
    folder : Path
        Folder of the models.
    device : torch.device
        A GPU and a CPU round differently.

    Returns
    -------
    str
    """
    models = checksums.hashes(folder, [f"{run['name']}.safetensors" for run in settings["runs"]])
    fixed = {key: value for key, value in settings.items() if key != "evaluation"}
    return repr((sorted(models.items()), sorted(fixed.items()), device.type))


def set_identity(tar: str) -> str:
    """Return a hash of the manifest of a set, which has a hash of each image."""
    manifest = shards.manifest_path(tar)
    return checksums.hashes(manifest.parent, [manifest.name])[manifest.name]


def evaluate(
    settings: dict,
    folder: Path,
    tars: list[str],
    device: torch.device,
    workers: int = 0,
    state: str | Path | None = None,
    fast: torch.dtype | None = None,
) -> pd.DataFrame:
    """Evaluate the classifiers of a batch on all sets.

    Parameters
    ----------
    settings : dict
        `evaluation_settings`.
    folder : Path
        Folder of the models.
    tars : list of str
        Tars of the sets, in the order of the settings.
    device : torch.device
    workers : int
        Processes that read images.
    state : str, Path or None
        Folder of finished sets of earlier attempts; None keeps nothing.
    fast : torch.dtype or None
        Lower precision, used if it gives the same metrics; None is the one of the device.

    Returns
    -------
    DataFrame
        A row for each run, set and class.
    """
    names = [run["name"] for run in settings["runs"]]
    models = [classifier.load(folder / f"{name}.safetensors", device) for name in names]
    fast = precision.fast_dtype(device) if fast is None else fast
    finished = FinishedSets(state, identity(settings, folder, device))
    precisions = choose_precisions(
        names, models, stream.open_images(tars[:1]), device, fast, workers
    )
    rows = []
    for name, tar in zip(settings["evaluation"], tars, strict=True):
        set_key = f"{set_identity(tar)} {precisions}"
        found = finished.load(name, set_key)
        if found is None:
            masked = settings.get("masked", False)
            found = judge(
                models, name, stream.open_images([tar]), masked, device, workers, precisions
            )
            finished.add(name, found, set_key)
        for run, of_model in zip(settings["runs"], found, strict=True):
            rows += [{key: run[key] for key in RUN} | row for row in of_model]
    return pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"})


def models_parser(description: str) -> argparse.ArgumentParser:
    """Return the command line of an evaluation of the models of a batch."""
    parser = cli.parser(description, "source", "group")
    parser.add_argument("--models", required=True, help="folder of the batch")
    parser.add_argument(
        "--sets",
        required=True,
        nargs="+",
        help="tars of the evaluation sets, in the order of settings.evaluation",
    )
    parser.add_argument(
        "--output",
        required=True,
        help="parquet, a row for each run, evaluation set or task, and class",
    )
    parser.add_argument(
        "--state", help="folder of finished sets, kept until the evaluation is complete"
    )
    parser.add_argument("--threads", type=int, default=1)
    return parser


def write(table: pd.DataFrame, output: str, state: str | None) -> None:
    """Write the table of a complete evaluation; remove what was kept in case of an interruption.

    Parameters
    ----------
    table : DataFrame
    output : str
        Parquet file.
    state : str or None
        Folder of finished sets.
    """
    with atomic_write(output) as (part,):
        table.to_parquet(part, index=False)
    if state:
        checkpoint.discard(state)


def main(arguments: list[str] | None = None) -> None:
    """Evaluate the classifiers that the command line names."""
    parser = models_parser(__doc__)
    args, settings = cli.parse(parser, arguments, evaluation_settings)
    device = deterministic(args.threads)
    table = evaluate(settings, Path(args.models), args.sets, device, args.threads - 1, args.state)
    write(table, args.output, args.state)


if __name__ == "__main__":
    main()
