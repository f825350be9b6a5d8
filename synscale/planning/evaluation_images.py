"""Number of images and texts that an evaluation reads, from the study and its data sets.

Classifiers are evaluated on the sets that have the study's classes, CLIP on all sets.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml

from synscale.data.datasets import registry, subset
from synscale.study import class_table
from synscale.study.models import Study
from synscale.study.models.data import FileSet, ShiftedSet, classified

ASSUMED_IMAGES = 1000  # in an evaluation set of unknown size
DIGITS_PER_FORM = 130
OPENAI_TEMPLATES = 80  # those of `templates: openai_imagenet`


@cache
def known_images(dataset: str) -> int:
    """Return the number of images of a data set in data/datasets.csv."""
    return int(registry.row_of(dataset).get("images") or ASSUMED_IMAGES)


def _images_of_classes(dataset: str, table: str) -> int:
    """Return the number of images of a data set that are of the classes of a table."""
    return round(known_images(dataset) * subset.share(dataset, table))


def digits_images(forms: Sequence[int]) -> int:
    """Return the number of scans of handwritten digits on forms; a guess if there are no forms."""
    return DIGITS_PER_FORM * len(forms) or ASSUMED_IMAGES


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
    if isinstance(split, ShiftedSet):  # how many are misread is not known
        return evaluation_images(study, split.of)
    if split.kind == "held_out":
        dataset = study.data.training[split.of].dataset
        return max(1, round(split.fraction * _images_of_classes(dataset, study.classes)))
    if study.data.kind == "files":
        return _images_of_classes(split.dataset, split.classes or study.classes)
    return digits_images(getattr(split, "forms", ()))


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


_classes = cache(class_table.count)


def clip_texts(study: Study) -> int:
    """Return the number of texts that a CLIP model encodes for all sets and tasks.

    A text is a template with the name of a class. A set with other classes than the study's has
    other templates, too.
    """
    templates = study.clip.templates
    count = OPENAI_TEMPLATES if isinstance(templates, str) else len(templates)
    total = _classes(study.classes) * count
    for split in study.data.evaluation.values():
        if isinstance(split, FileSet) and split.classes and split.templates:
            total += _classes(split.classes) * _templates(split.templates, split.dataset)
    for task in study.clip.tasks.values():
        names = len(task.captions or task.classes or ()) or _classes(study.classes)
        total += names * len(task.templates)
    return total
