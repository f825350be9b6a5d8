"""Images and texts that an evaluation reads: counts, from the study and the tables of its data
sets.

Classifiers are evaluated on the sets that have the study's classes, CLIP on all sets.
"""

from functools import cache
from pathlib import Path

import yaml

from synscale.data.datasets import registry
from synscale.study import class_table
from synscale.study.models import Study
from synscale.study.models.data import classified

ASSUMED_IMAGES = 1000  # of an evaluation set of which nothing is known
DIGITS_PER_FORM = 130
OPENAI_TEMPLATES = 80  # of `templates: openai_imagenet`


def known_images(dataset: str) -> int:
    """Return the number of images of a data set in data/datasets.csv."""
    return int(registry.row_of(dataset).get("images") or ASSUMED_IMAGES)


def digits(split: dict) -> int:
    """Return the number of images of a split of the digits, as far as its settings determine it."""
    return DIGITS_PER_FORM * len(split["forms"]) if split.get("forms") else ASSUMED_IMAGES


def evaluation_images(study: Study, name: str) -> int:
    """Return the number of images of an evaluation set, as far as it is known before it is read.

    Parameters
    ----------
    study : Study
    name : str
        Key of `data.evaluation`.

    Returns
    -------
    int
    """
    split = study.data.evaluation[name]
    is_files = study.data.kind == "files"
    return known_images(split.dataset) if is_files else digits(split.model_dump())


def total_images(study: Study, is_clip: bool) -> int:
    """Return the number of images that one model is evaluated on.

    Parameters
    ----------
    study : Study
    is_clip : bool
        Whether it is a CLIP model, which is also evaluated on sets with other classes.

    Returns
    -------
    int
    """
    names = study.data.evaluation if is_clip else classified(study.data)
    return sum(evaluation_images(study, name) for name in names)


@cache
def _templates(path: str, dataset: str) -> int:
    return len(yaml.safe_load(Path(path).read_text(encoding="utf-8"))[dataset])


@cache
def _classes(path: str) -> int:
    return class_table.count(path)


def clip_texts(study: Study) -> int:
    """Return the number of texts that a CLIP model encodes for all sets and tasks.

    A text is a template with the name of a class. A set with classes of its own has templates of
    its own.
    """
    templates = study.clip.templates
    count = OPENAI_TEMPLATES if isinstance(templates, str) else len(templates)
    total = _classes(study.classes) * count
    for split in study.data.evaluation.values():
        if getattr(split, "classes", None):
            total += _classes(split.classes) * _templates(split.templates, split.dataset)
    for task in study.clip.tasks.values():
        names = len(task.captions or task.classes or ()) or _classes(study.classes)
        total += names * len(task.templates)
    return total
