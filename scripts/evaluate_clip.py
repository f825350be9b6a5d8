"""Evaluate the CLIP models of one batch zero-shot: on every evaluation set, and on tasks that read
other labels off the same images.

Top-1 and cross-entropy as in `evaluate`; logits are cosines times the learned scale, as in the
paper's evaluation code. A set with classes of its own is asked about those, in texts of its own.
What CLIP reports of some of them, top-1 as a mean over the classes (`mean_per_class` in
data/downstream/sets.csv), is the mean of its rows of classes.

An image is resized to what the models see by Pillow's bicubic filter, as the paper's evaluation
code does, from what is stored of it. Images are encoded in float32 or, on a GPU, in bfloat16 if it
gives the same metrics (`lib/evaluation_precision.py`); texts in float32. An interrupted evaluation
resumes with the set that it had not finished.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import torch

from scripts.evaluate import FLOAT32, identity, models_parser, set_identity, write
from synscale.data import shards
from synscale.data.codec import as_stored
from synscale.evaluation import precision
from synscale.evaluation.accumulator import Tally
from synscale.evaluation.finished_sets import FinishedSets
from synscale.evaluation.zero_shot import OUT, questions
from synscale.models import clip
from synscale.runtime import cli
from synscale.study import class_table
from synscale.training import stream
from synscale.workflow.settings.evaluation import clip_evaluation_settings

BATCH = 512


def _resized(models: list[clip.Clip]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the transform of a stored image to the size that all models see."""
    size = models[0].image_size
    if different := {model.image_size for model in models} - {size}:
        raise SystemExit(
            f"models that see {size} and {different.pop()} pixels a side in one batch: evaluate them apart"
        )

    def seen(image: torch.Tensor) -> torch.Tensor:
        pixels = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
        resized = as_stored(pixels, size, len(image))
        return torch.tensor(resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1))

    return seen


def features(
    models: list[clip.Clip],
    tar: str,
    workers: int = 0,
    precisions: list[torch.dtype] | None = None,
) -> list[torch.Tensor]:
    """Compute the features of all images of a set. An image is decoded and resized once.

    Parameters
    ----------
    models : list of Clip
    tar : str
        Tar of the set.
    workers : int
        Processes that read images.
    precisions : list of torch.dtype or None
        Precision of each model; None is float32.

    Returns
    -------
    list of Tensor, shape (N, embed_dim), float32
        Features of each model.
    """
    images, device = stream.open_images([tar]), models[0].model.logit_scale.device
    precisions = precisions or [FLOAT32] * len(models)
    found: list[list[torch.Tensor]] = [[] for _ in models]
    for batch in stream.iter_sequential(
        images, stream.evaluation_batch_size(BATCH, device), _resized(models), workers
    ):
        for model, dtype, parts in zip(models, precisions, found, strict=True):
            parts.append(clip.image_features(model, batch.images, dtype))
    return [torch.cat(parts) for parts in found]


def choose_precisions(
    names: list[str],
    models: list[clip.Clip],
    tar: str,
    question: dict,
    heads_of: list[Callable],
    fast: torch.dtype,
    workers: int = 0,
) -> list[torch.dtype]:
    """Choose the precision of each model by a question about a sample of a set.

    Parameters
    ----------
    names : list of str
        Names of the models, for the log.
    models : list of Clip
    tar : str
        Tar of the set.
    question : dict
        As `questions` has it.
    heads_of : list of callable
        Heads of each model.
    fast : torch.dtype
        Lower precision that the device has; float32 reads no image.
    workers : int
        Processes that read images.

    Returns
    -------
    list of torch.dtype
    """
    if fast == FLOAT32:
        return [FLOAT32] * len(models)
    labelled = torch.from_numpy(np.flatnonzero(question["labels"] != OUT))
    positions = labelled[precision.sample_positions(len(labelled))]
    labels = torch.from_numpy(question["labels"])[positions]
    images, device = stream.open_images([tar]), models[0].model.logit_scale.device
    parts = positions.split(stream.evaluation_batch_size(BATCH, device))
    found: dict[tuple[int, torch.dtype], list[torch.Tensor]] = {}
    for batch in stream.iter_at(images, parts, _resized(models), workers):
        for number, model in enumerate(models):
            for dtype in (FLOAT32, fast):
                seen = clip.image_features(model, batch.images, dtype)
                found.setdefault((number, dtype), []).append(seen)

    def choose(number: int, name: str, model: clip.Clip) -> torch.dtype:
        heads = heads_of[number](tuple(question["names"]), tuple(question["templates"]))
        return precision.choose(
            name,
            lambda dtype: clip.logits(model, torch.cat(found[number, dtype]), heads),
            labels,
            fast,
        )

    return [
        choose(i, name, model) for i, (name, model) in enumerate(zip(names, models, strict=True))
    ]


def answers(model: clip.Clip, seen: torch.Tensor, asked: list[dict], heads_of) -> list[dict]:
    """Rows of a model on a set: for each question over all its images (class_id None), and for each
    of its classes.

    seen: features (N, embed_dim). heads_of(names, templates): heads of the model.
    """
    rows = []
    for question in asked:
        labels = torch.from_numpy(question["labels"])
        kept, heads = (
            labels != OUT,
            heads_of(tuple(question["names"]), tuple(question["templates"])),
        )
        tally = Tally(
            question["evaluation"], int(kept.sum()), labels.unique() if question["masked"] else None
        )
        for own, of in zip(seen[kept].split(BATCH), labels[kept].split(BATCH), strict=True):
            tally.add(clip.logits(model, own, heads), of)
        found = pd.DataFrame(tally.rows())
        found["class_id"] = found["class_id"].map(
            lambda place, ids=question["ids"]: ids[int(place)], na_action="ignore"
        )
        rows += [row | {"logit_scale": model.scale.item()} for row in found.to_dict("records")]
    return rows


def _load(settings: dict, folder: Path, device: torch.device) -> dict[str, clip.Clip]:
    """Return the model of each run. Raises SystemExit if a run has none."""
    paths = {run["name"]: folder / f"{run['name']}.safetensors" for run in settings["runs"]}
    for name, path in paths.items():
        if not path.exists():
            raise SystemExit(f"{path}: no such file, so run {name} has not been trained")
    return {name: clip.load(path, device) for name, path in paths.items()}


def evaluate(
    settings: dict,
    classes: pd.DataFrame,
    models: Path,
    tars: list[str],
    device: torch.device,
    workers: int = 0,
    state: str | Path | None = None,
    fast: torch.dtype | None = None,
) -> pd.DataFrame:
    """Evaluate the CLIP models of a batch on all sets and tasks.

    Parameters
    ----------
    settings : dict
        `clip_evaluation_settings`.
    classes : DataFrame
        Table of the study's classes.
    models : Path
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
        A row for each run, set or task, and class.

    Raises
    ------
    SystemExit
        If a run has no model, or a question cannot be asked.
    """
    loaded = _load(settings, models, device)
    names, clips = list(loaded), list(loaded.values())
    fast = precision.fast_dtype(device) if fast is None else fast
    finished = FinishedSets(state, identity(settings, models, device))
    heads_of = [
        cache(lambda names, templates, model=model: clip.heads(model, list(names), list(templates)))
        for model in clips
    ]

    def precisions(tar: str, question: dict, key: str) -> list[torch.dtype]:
        chosen = finished.load("precisions", key)
        if chosen is None:
            found = choose_precisions(names, clips, tar, question, heads_of, fast, workers)
            chosen = [str(dtype).removeprefix("torch.") for dtype in found]
            finished.add("precisions", chosen, key)
        return [getattr(torch, name) for name in chosen]

    dtypes: list[torch.dtype] = []
    rows: list[list[dict]] = [[] for _ in clips]
    for evaluation, tar in zip(settings["evaluation"], tars, strict=True):
        asked = questions(settings, classes, evaluation, pd.read_parquet(shards.manifest_path(tar)))
        key = json.dumps(
            [set_identity(tar), str(fast), *([q["names"], q["templates"], q["ids"]] for q in asked)]
        )
        dtypes = dtypes or precisions(tar, asked[0], key)
        key = f"{key} {dtypes}"
        found = finished.load(evaluation, key)
        if found is None:
            seen = features(clips, tar, workers, dtypes)
            found = [
                answers(*each)
                for each in zip(clips, seen, [asked] * len(clips), heads_of, strict=True)
            ]
            finished.add(evaluation, found, key)
        for of_model, more in zip(rows, found, strict=True):
            of_model += more
    keys = ("source", "guidance", "architecture", "size", "seed")
    table = [
        {key: run[key] for key in keys} | row
        for run, of_model in zip(settings["runs"], rows, strict=True)
        for row in of_model
    ]
    return pd.DataFrame(table).astype({"class_id": "Int64", "guidance": "Float64"})


def main(arguments: list[str] | None = None) -> None:
    """Evaluate the CLIP models that the command line names."""
    parser = models_parser(__doc__)
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    args, settings = cli.parse(parser, arguments, clip_evaluation_settings)
    classes, device = class_table.read(args.classes), deterministic(args.threads)
    table = evaluate(
        settings, classes, Path(args.models), args.sets, device, args.threads - 1, args.state
    )
    write(table, args.output, args.state)


if __name__ == "__main__":
    main()
