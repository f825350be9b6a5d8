"""Questions that a CLIP model is asked about the images of an evaluation set: its classes, and each
task.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from synscale.models import clip
from synscale.study import class_table

OUT = -1  # the label of an image that a task leaves out


def by_class(groups: list[list[int]], manifest: pd.DataFrame) -> np.ndarray:
    """Labels (N,): which of the texts, by position, stands for the class of each image. groups:
    class ids of each text.
    """
    position = {class_id: i for i, own in enumerate(groups) for class_id in own}
    return manifest["class_id"].map(position).fillna(OUT).to_numpy(int, copy=True)


def by_caption(captions: dict[str, str], manifest: pd.DataFrame) -> np.ndarray:
    """Labels (N,): the text, by position, whose word stands in the caption of each image; images
    with several, or none, are left out.
    """
    found = np.array(
        [
            [word in caption.split(", ") for word in captions.values()]
            for caption in manifest["caption"].fillna("")
        ]
    )
    return np.where(found.sum(1) == 1, found.argmax(1), OUT)


def classes_of(
    settings: dict, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame
) -> dict:
    """The question which class each image of a set shows: of the study's `classes`, or of the set's
    own.
    """
    templates, own = clip.templates(settings["templates"]), settings.get("sets", {}).get(evaluation)
    if own:
        classes = class_table.read(own["classes"])
        templates = yaml.safe_load(Path(own["templates"]).read_text(encoding="utf-8"))[
            own["dataset"]
        ]
    labels = by_class([[class_id] for class_id in classes["class_id"]], manifest)
    if (labels == OUT).any():
        strange = sorted(set(manifest["class_id"][labels == OUT]))
        raise SystemExit(
            f"{evaluation}: images of classes {strange}, which its table of {len(classes)} classes does not have"
        )
    masked = bool(settings.get("masked")) and not own
    return {
        "names": classes["name"].tolist(),
        "templates": templates,
        "labels": labels,
        "ids": classes["class_id"].tolist(),
        "masked": masked,
    }


def questions(
    settings: dict, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame
) -> list[dict]:
    """What is asked of the images of an evaluation set: its own classes, and each of its tasks.

    A question: `evaluation` (its name), `names` and `templates` of its texts, `labels` (N,), `ids`,
    what class_id each text gets in the table: the class's own in the first question, its position
    in a task's; `masked`: whether classes that the set lacks are no answers. Raises SystemExit
    where a task has no image to ask about.
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
        asked.append(
            {
                "evaluation": name,
                "names": names,
                "templates": task["templates"],
                "labels": labels,
                "ids": list(range(len(names))),
                "masked": False,
            }
        )
    return asked
