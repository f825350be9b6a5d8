"""Checks of CLIP models and of their zero-shot tasks."""

from collections.abc import Iterator

from synscale.study import class_table
from synscale.study.checks.messages import (
    architecture_errors,
    input_size_errors,
    name_errors,
    shorten,
    template_errors,
)


def check_architectures(clip, classifiers, image_size) -> Iterator[str]:
    """Check that architectures fit the image size and differ from classifiers in name."""
    if clip is None:
        return
    seen = clip.image_size or image_size
    yield from input_size_errors("clip", seen, image_size)
    for name, row in clip.architectures.items():
        key = f"clip.architectures.{name}"
        if name in classifiers.architectures:
            yield f"{key}: also the name of a classifier; rename one"
        yield from architecture_errors(key, row, seen, "image_size")


def check_crops(clip) -> Iterator[str]:
    """Check that ranges of the random crop have the smaller number first."""
    for key in ("crop_scale", "crop_ratio") if clip else ():
        low, high = getattr(clip, key)
        if low > high:
            yield f"clip.{key} = {[low, high]}: must begin with the smaller; use {[high, low]}"


def check_templates(clip) -> Iterator[str]:
    """Check that each template has the name of the class once."""
    if clip is None:
        return
    if not isinstance(clip.templates, str):
        yield from template_errors("clip.templates", clip.templates)
    for name, task in clip.tasks.items():
        yield from template_errors(f"clip.tasks.{name}.templates", task.templates)


def check_tasks(clip, data, classes) -> Iterator[str]:
    """Check that tasks have an evaluation set, and at least two texts with known classes."""
    if clip is None:
        return
    count = class_table.count(classes)
    for name, task in clip.tasks.items():
        key = f"clip.tasks.{name}"
        sets = data.evaluation
        yield from name_errors(f"{key}.evaluation", task.evaluation, sets, "evaluation set")
        if name in sets:
            yield f"{key}: also the name of an evaluation set; rename the task"
        if (task.classes is None) == (task.captions is None):
            yield f"{key}: give either classes or captions"
        ids = [class_id for row in (task.classes or {}).values() for class_id in row]
        if len(set(ids)) < len(ids) or any(class_id >= count for class_id in ids):
            yield (
                f"{key}.classes = {shorten(task.classes)}: must contain class ids from 0 to "
                f"{count - 1}, each in one text only"
            )
        if len(task.classes or task.captions or {}) == 1:
            yield f"{key}: one text (expected 2 or more); add another"


CHECKS = [check_architectures, check_crops, check_templates, check_tasks]
