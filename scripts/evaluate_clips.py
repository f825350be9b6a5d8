"""Evaluate the CLIP models of one batch zero-shot: on every evaluation set, and on tasks that read other labels off the same images.

Top-1 and cross-entropy as in `evaluate`; logits are cosines times the learned scale, as in the paper's evaluation code.
"""

from pathlib import Path

from scripts.lib.torch_setup import deterministic

import numpy as np
import pandas as pd
import torch

from scripts.lib import classifier, clip, command, jobs, shards
from scripts.lib.files import whole
from scripts.lib.tally import Tally

OUT = -1  # the label of an image that a task leaves out


def by_class(classes: dict[str, list[int]], manifest: pd.DataFrame) -> np.ndarray:
    """Labels (N,): which of the texts, by position, stands for the class of each image."""
    position = {class_id: i for i, own in enumerate(classes.values()) for class_id in own}
    return manifest["class_id"].map(position).fillna(OUT).to_numpy(int, copy=True)


def by_caption(captions: dict[str, str], manifest: pd.DataFrame) -> np.ndarray:
    """Labels (N,): the text, by position, whose word stands in the caption of each image; images with several, or none, are left out."""
    found = np.array([[word in caption.split(", ") for word in captions.values()] for caption in manifest["caption"].fillna("")])
    return np.where(found.sum(1) == 1, found.argmax(1), OUT)


def questions(settings: dict, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame) -> list[dict]:
    """What is asked of the images of an evaluation set: its own classes, and each of its tasks.

    A question: `evaluation` (its name), `names` and `templates` of its texts, `labels` (N,), and `ids`, what class_id each text gets in the
    table: the class's own in the first question, its position in a task's.
    Raises SystemExit where a task has no image to ask about.
    """
    own = {name: [class_id] for name, class_id in zip(classes["name"], classes["class_id"], strict=True)}
    asked = [
        {
            "evaluation": evaluation,
            "names": list(own),
            "templates": settings["templates"],
            "labels": by_class(own, manifest),
            "ids": classes["class_id"].tolist(),
        }
    ]
    for name, task in settings["tasks"].items():
        if task["evaluation"] != evaluation:
            continue
        if task["captions"] and "caption" not in manifest:
            raise SystemExit(f"task {name}: the images of {evaluation} have no captions")
        texts = task["captions"] or task["classes"] or own
        labels = by_caption(texts, manifest) if task["captions"] else by_class(texts, manifest)
        if (labels == OUT).all():
            raise SystemExit(f"task {name}: no image of {evaluation} has one of its labels")
        asked.append({"evaluation": name, "names": list(texts), "templates": task["templates"], "labels": labels, "ids": list(range(len(texts)))})
    return asked


def answers(model: clip.Clip, images: torch.Tensor, asked: list[dict]) -> list[dict]:
    """Rows of a model: for each question over all its images (class_id None), and for each of its classes. images: normalised (N, C, H, W)."""
    features, rows = clip.image_features(model, images), []
    for question in asked:
        kept = torch.from_numpy(question["labels"] != OUT)
        logits = clip.logits(model, features[kept], clip.heads(model, question["names"], question["templates"]))
        tally = Tally(question["evaluation"])
        tally.add(logits, torch.from_numpy(question["labels"])[kept])
        for row in tally.rows():
            class_id = None if row["class_id"] is None else question["ids"][row["class_id"]]
            rows.append(row | {"class_id": class_id, "logit_scale": model.scale.item()})
    return rows


def evaluate(settings: dict, classes: pd.DataFrame, models: Path, tars: list[str], device: torch.device) -> pd.DataFrame:
    """The table of metrics. settings: jobs.clip_evaluation_settings. Raises SystemExit where a run has no model."""
    paths = {run["name"]: models / f"{run['name']}.safetensors" for run in settings["runs"]}
    for name, path in paths.items():
        if not path.exists():
            raise SystemExit(f"{path}: no such file, so run {name} has not been trained")
    sets, rows = [], []
    for evaluation, tar in zip(settings["evaluation"], tars, strict=True):
        images, manifest = shards.read(tar)
        sets.append((classifier.normalise(images), questions(settings, classes, evaluation, manifest)))
    for run in settings["runs"]:
        model = clip.load(paths[run["name"]], device)
        own = {key: run[key] for key in ("source", "guidance", "architecture", "size", "seed")}
        rows += [own | row for images, asked in sets for row in answers(model, images, asked)]
    return pd.DataFrame(rows).astype({"class_id": "Int64", "guidance": "Float64"})


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "batch")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--models", required=True, help="folder of the batch")
    parser.add_argument("--sets", required=True, nargs="+", help="tars of the evaluation sets, in the order of settings.evaluation")
    parser.add_argument("--output", required=True, help="parquet, a row for each run, evaluation set or task, and class")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.clip_evaluation_settings)
    table = evaluate(settings, pd.read_csv(args.classes), Path(args.models), args.sets, deterministic(args.threads))
    with whole(args.output) as (part,):
        table.to_parquet(part, index=False)


if __name__ == "__main__":
    main()
