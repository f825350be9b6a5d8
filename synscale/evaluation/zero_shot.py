"""Questions about the images of an evaluation set: its classes, and each task."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from synscale.evaluation.evaluator import OUT
from synscale.models import clip
from synscale.study import class_table
from synscale.study.models.clip import Task
from synscale.workflow.settings.evaluation import ClipEvaluationSettings


@dataclass(frozen=True)
class Question:
    """One label set for the images of an evaluation set.

    Parameters
    ----------
    evaluation : str
        Name of the question's metrics.
    names, templates : tuple of str
        Texts of the labels.
    ids : tuple of int
        class_id of each text in the metrics: that of the class, or the position in a task.
    labels : Tensor, shape (N,), int64
        Position of the right text of each image, or `OUT`.
    masked : bool
        Whether classes that the set lacks are no answers.
    """

    evaluation: str
    names: tuple[str, ...]
    templates: tuple[str, ...]
    ids: tuple[int, ...]
    labels: torch.Tensor
    masked: bool = False


def by_class(groups: list[list[int]], manifest: pd.DataFrame) -> torch.Tensor:
    """Return which text stands for the class of each image.

    Parameters
    ----------
    groups : list of list of int
        Class ids of each text.
    manifest : DataFrame

    Returns
    -------
    Tensor, shape (N,), int64
        Positions of the texts, or `OUT`.
    """
    positions = {class_id: place for place, ids in enumerate(groups) for class_id in ids}
    labels = manifest["class_id"].map(positions).fillna(OUT)
    return torch.from_numpy(labels.to_numpy(int, copy=True))


def by_caption(words: list[str], manifest: pd.DataFrame) -> torch.Tensor:
    """Return which text describes each image.

    Parameters
    ----------
    words : list of str
        Part of a caption that stands for each text.
    manifest : DataFrame

    Returns
    -------
    Tensor, shape (N,), int64
        Positions of the texts; `OUT` if a caption matches none or several.
    """
    captions = [caption.split(", ") for caption in manifest["caption"].fillna("")]
    matches = np.array([[word in parts for word in words] for parts in captions])
    return torch.from_numpy(np.where(matches.sum(1) == 1, matches.argmax(1), OUT))


def _class_question(
    settings: ClipEvaluationSettings, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame
) -> Question:
    """Ask for the class: of the study's classes, or of those of the set."""
    templates = clip.templates(settings.templates)
    if other := settings.sets_of_other_classes.get(evaluation):
        assert other.classes is not None and other.templates is not None  # a set of other classes
        classes = class_table.read(other.classes)
        templates = yaml.safe_load(Path(other.templates).read_text("utf-8"))[other.dataset]
    labels = by_class([[class_id] for class_id in classes["class_id"]], manifest)
    if (labels == OUT).any():
        unknown = sorted(set(manifest["class_id"][labels.numpy() == OUT]))
        raise SystemExit(
            f"{evaluation}: images of classes {unknown}, which its table of {len(classes)} "
            "classes lacks; correct the table or prepare the set again"
        )
    return Question(
        evaluation,
        tuple(classes["name"]),
        tuple(templates),
        tuple(classes["class_id"].tolist()),
        labels,
        settings.masked and not other,
    )


def _task_question(name: str, task: Task, classes: Question, manifest: pd.DataFrame) -> Question:
    names, labels = classes.names, classes.labels
    if task.captions:
        if "caption" not in manifest:
            problem = f"the images of {task.evaluation} have no captions"
            raise SystemExit(f"clip.tasks.{name}: {problem}; name a set with captions")
        names, labels = tuple(task.captions), by_caption(list(task.captions.values()), manifest)
    elif task.classes:
        names, labels = tuple(task.classes), by_class(list(task.classes.values()), manifest)
    if (labels == OUT).all():
        problem = f"no image of {task.evaluation} has one of its labels"
        raise SystemExit(f"clip.tasks.{name}: {problem}; correct its classes or captions")
    return Question(name, names, tuple(task.templates), tuple(range(len(names))), labels)


def questions_about(
    settings: ClipEvaluationSettings, classes: pd.DataFrame, evaluation: str, manifest: pd.DataFrame
) -> list[Question]:
    """Return the questions about the images of an evaluation set.

    Parameters
    ----------
    settings : ClipEvaluationSettings
    classes : DataFrame
        Table of the study's classes.
    evaluation : str
        Name of the set.
    manifest : DataFrame

    Returns
    -------
    list of Question
        The question about classes, then each task of the set.

    Raises
    ------
    SystemExit
        If an image has an unknown class, or a task has no image.
    """
    by_classes = _class_question(settings, classes, evaluation, manifest)
    tasks = [(name, task) for name, task in settings.tasks.items() if task.evaluation == evaluation]
    return [by_classes, *(_task_question(*task, by_classes, manifest) for task in tasks)]
