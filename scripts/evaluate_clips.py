"""Evaluate the CLIP models of one batch zero-shot: on every evaluation set, and on tasks that read other labels off the same images.

Top-1 and cross-entropy as in `evaluate`; logits are cosines times the learned scale, as in the paper's evaluation code. A set with classes of
its own is asked about those, in texts of its own. What CLIP reports of some of them, top-1 as a mean over the classes (`mean_per_class` in
data/downstream/sets.csv), is the mean of its rows of classes.

An image is resized to what the models see by Pillow's bicubic filter, as the paper's evaluation code does, from what is stored of it.
"""

from functools import cache
from pathlib import Path

from scripts.lib.torch_setup import deterministic

import numpy as np
import pandas as pd
import torch
import yaml

from scripts.lib import class_table, clip, command, jobs, shards, stream
from scripts.lib.files import whole
from scripts.lib.images import as_stored
from scripts.lib.tally import Tally

OUT = -1  # the label of an image that a task leaves out
BATCH = 512


def by_class(groups: list[list[int]], manifest: pd.DataFrame) -> np.ndarray:
    """Labels (N,): which of the texts, by position, stands for the class of each image. groups: class ids of each text."""
    position = {class_id: i for i, own in enumerate(groups) for class_id in own}
    return manifest["class_id"].map(position).fillna(OUT).to_numpy(int, copy=True)


def by_caption(captions: dict[str, str], manifest: pd.DataFrame) -> np.ndarray:
    """Labels (N,): the text, by position, whose word stands in the caption of each image; images with several, or none, are left out."""
    found = np.array([[word in caption.split(", ") for word in captions.values()] for caption in manifest["caption"].fillna("")])
    return np.where(found.sum(1) == 1, found.argmax(1), OUT)


def classes_of(settings: dict, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame) -> dict:
    """The question which class each image of a set shows: of the study's `classes`, or of the set's own."""
    templates, own = clip.templates(settings["templates"]), settings.get("sets", {}).get(evaluation)
    if own:
        classes = class_table.read(own["classes"])
        templates = yaml.safe_load(Path(own["templates"]).read_text(encoding="utf-8"))[own["dataset"]]
    labels = by_class([[class_id] for class_id in classes["class_id"]], manifest)
    if (labels == OUT).any():
        strange = sorted(set(manifest["class_id"][labels == OUT]))
        raise SystemExit(f"{evaluation}: images of classes {strange}, which its table of {len(classes)} classes does not have")
    masked = bool(settings.get("masked")) and not own
    return {"names": classes["name"].tolist(), "templates": templates, "labels": labels, "ids": classes["class_id"].tolist(), "masked": masked}


def questions(settings: dict, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame) -> list[dict]:
    """What is asked of the images of an evaluation set: its own classes, and each of its tasks.

    A question: `evaluation` (its name), `names` and `templates` of its texts, `labels` (N,), `ids`, what class_id each text gets in the
    table: the class's own in the first question, its position in a task's; `masked`: whether classes that the set lacks are no answers.
    Raises SystemExit where a task has no image to ask about.
    """
    own = classes_of(settings, classes, evaluation, manifest)
    asked = [{"evaluation": evaluation} | own]
    for name, task in settings["tasks"].items():
        if task["evaluation"] != evaluation:
            continue
        if task["captions"] and "caption" not in manifest:
            raise SystemExit(f"task {name}: the images of {evaluation} have no captions")
        names = list(task["captions"] or task["classes"] or own["names"])
        labels = by_caption(task["captions"], manifest) if task["captions"] else own["labels"]
        if task["classes"]:
            labels = by_class(list(task["classes"].values()), manifest)
        if (labels == OUT).all():
            raise SystemExit(f"task {name}: no image of {evaluation} has one of its labels")
        asked.append({"evaluation": name, "names": names, "templates": task["templates"], "labels": labels, "ids": list(range(len(names))), "masked": False})
    return asked


def features(models: list[clip.Clip], tar: str, workers: int = 0) -> list[torch.Tensor]:
    """Features (N, embed_dim) of all images of a set, of each model. An image is decoded and resized once; a batch of them is held."""
    size, images, device = models[0].image_size, stream.find([tar]), models[0].model.logit_scale.device
    if different := {model.image_size for model in models} - {size}:
        raise SystemExit(f"models that see {size} and {different.pop()} pixels a side in one batch: evaluate them apart")

    def seen(image: torch.Tensor) -> torch.Tensor:
        pixels = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
        resized = as_stored(pixels, size, len(image))
        return torch.tensor(resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1))

    found = [[] for _ in models]
    for batch in stream.ordered(images, stream.at_once(BATCH, device), seen, workers):
        for model, own in zip(models, found, strict=True):
            own.append(clip.image_features(model, batch.images))
    return [torch.cat(own) for own in found]


def answers(model: clip.Clip, seen: torch.Tensor, asked: list[dict], heads_of) -> list[dict]:
    """Rows of a model on a set: for each question over all its images (class_id None), and for each of its classes.

    seen: features (N, embed_dim). heads_of(names, templates): heads of the model.
    """
    rows = []
    for question in asked:
        labels = torch.from_numpy(question["labels"])
        kept, heads = labels != OUT, heads_of(tuple(question["names"]), tuple(question["templates"]))
        tally = Tally(question["evaluation"], int(kept.sum()), labels.unique() if question["masked"] else None)
        for own, of in zip(seen[kept].split(BATCH), labels[kept].split(BATCH), strict=True):
            tally.add(clip.logits(model, own, heads), of)
        found = pd.DataFrame(tally.rows())
        found["class_id"] = found["class_id"].map(lambda place, ids=question["ids"]: ids[int(place)], na_action="ignore")
        rows += [row | {"logit_scale": model.scale.item()} for row in found.to_dict("records")]
    return rows


def evaluate(settings: dict, classes: pd.DataFrame, models: Path, tars: list[str], device: torch.device, workers: int = 0) -> pd.DataFrame:
    """The table of metrics. settings: jobs.clip_evaluation_settings. Raises SystemExit where a run has no model."""
    paths = {run["name"]: models / f"{run['name']}.safetensors" for run in settings["runs"]}
    for name, path in paths.items():
        if not path.exists():
            raise SystemExit(f"{path}: no such file, so run {name} has not been trained")
    loaded = [clip.load(path, device) for path in paths.values()]
    heads_of = [cache(lambda names, templates, model=model: clip.heads(model, list(names), list(templates))) for model in loaded]
    rows = [[] for _ in loaded]
    for evaluation, tar in zip(settings["evaluation"], tars, strict=True):
        asked = questions(settings, classes, evaluation, pd.read_parquet(shards.manifest_path(tar)))
        for model, seen, heads, own in zip(loaded, features(loaded, tar, workers), heads_of, rows, strict=True):
            own += answers(model, seen, asked, heads)
    keys = ("source", "guidance", "architecture", "size", "seed")
    table = [{key: run[key] for key in keys} | row for run, own in zip(settings["runs"], rows, strict=True) for row in own]
    return pd.DataFrame(table).astype({"class_id": "Int64", "guidance": "Float64"})


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--models", required=True, help="folder of the batch")
    parser.add_argument("--sets", required=True, nargs="+", help="tars of the evaluation sets, in the order of settings.evaluation")
    parser.add_argument("--output", required=True, help="parquet, a row for each run, evaluation set or task, and class")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.clip_evaluation_settings)
    table = evaluate(settings, class_table.read(args.classes), Path(args.models), args.sets, deterministic(args.threads), args.threads - 1)
    with whole(args.output) as (part,):
        table.to_parquet(part, index=False)


if __name__ == "__main__":
    main()
