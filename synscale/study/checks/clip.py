"""What must hold of CLIP models and of what they are asked about. As in `checks.py`, a line for
each fault.
"""

from pathlib import Path

import yaml

from synscale.study import class_table
from synscale.study.checks.sources import short, unknown


def architectures_fit_together(clip, classifiers, image_size):
    if clip is None:
        return []
    seen = clip.image_size or image_size
    faults = (
        [
            f"clip.image_size = {seen}: more than the {image_size} that images are kept at (image_size)"
        ]
        if seen > image_size
        else []
    )
    for name, architecture in clip.architectures.items():
        key = f"clip.architectures.{name}"
        if name in classifiers.architectures:
            faults.append(f"{key}: the name of a classifier too; rename one")
        if seen % architecture.patch_size:
            faults.append(
                f"{key}.patch_size = {architecture.patch_size}: does not divide image_size = {seen}"
            )
        for width, heads in (("width", "heads"), ("text_width", "text_heads")):
            if getattr(architecture, width) % getattr(architecture, heads):
                faults.append(
                    f"{key}.{width} = {getattr(architecture, width)}: not a multiple of {heads} = {getattr(architecture, heads)}"
                )
    return faults


def crops_are_ranges(clip):
    if clip is None:
        return []
    faults = []
    for key in ("crop_scale", "crop_ratio"):
        low, high = getattr(clip, key)
        if low > high:
            faults.append(f"clip.{key} = {[low, high]}: the smaller comes first; use {[high, low]}")
    return faults


def _named_once(key: str, templates: list[str]) -> list[str]:
    return [
        f"{key}.{i} = {short(text)}: must hold {{name}} once"
        for i, text in enumerate(templates)
        if text.count("{name}") != 1
    ]


def templates_name_the_class(clip):
    if clip is None:
        return []
    listed = {} if isinstance(clip.templates, str) else {"clip.templates": clip.templates}
    listed |= {f"clip.tasks.{name}.templates": task.templates for name, task in clip.tasks.items()}
    return [fault for key, own in listed.items() for fault in _named_once(key, own)]


def sets_of_other_classes_can_be_asked_about(clip, data):
    """Only CLIP is judged on them."""
    if clip is None or data.kind != "files":
        return []
    faults = []
    for name, own in data.evaluation.items():
        key = f"data.evaluation.{name}"
        if own.classes:
            faults += class_table.faults(f"{key}.classes", own.classes) + _template_faults(key, own)
        elif own.templates:
            faults.append(
                f"{key}.templates = {own.templates!r}: of a set with the study's classes, which clip.templates are for; remove it"
            )
    return faults


def _template_faults(key: str, own) -> list[str]:
    if own.templates is None:
        return [
            f"{key}.templates: missing; CLIP asks about classes of a set's own in texts of its own: add a YAML file, {own.dataset} -> list of texts"
        ]
    if not Path(own.templates).is_file():
        return [
            f"{key}.templates = {own.templates!r}: no such file; give a YAML file, data set -> list of texts with {{name}} in them"
        ]
    held = yaml.safe_load(Path(own.templates).read_text(encoding="utf-8"))
    listed = held.get(own.dataset) if isinstance(held, dict) else None
    if (
        not isinstance(listed, list)
        or not listed
        or not all(isinstance(text, str) for text in listed)
    ):
        return [
            f"{key}.templates = {own.templates!r}: no list of texts under {own.dataset}; add it"
        ]
    return [f"{own.templates}: {fault}" for fault in _named_once(own.dataset, listed)]


def tasks_ask_about_what_exists(clip, data, classes):
    if clip is None:
        return []
    n, faults = class_table.count(classes), []
    for name, task in clip.tasks.items():
        key = f"clip.tasks.{name}"
        faults += unknown(f"{key}.evaluation", task.evaluation, data.evaluation, "evaluation set")
        if name in data.evaluation:
            faults.append(f"{key}: the name of an evaluation set too; rename the task")
        if (task.classes is None) == (task.captions is None):
            faults.append(f"{key}: give either classes or captions")
        named = [c for own in (task.classes or {}).values() for c in own]
        if len(set(named)) < len(named) or any(c >= n for c in named):
            faults.append(
                f"{key}.classes = {short(task.classes)}: a class id must be under {n} and stand under one text only"
            )
        if len(task.classes or task.captions or {}) == 1:
            faults.append(f"{key}: one text alone: a task needs two at least to choose from")
    return faults


CHECKS = [
    architectures_fit_together,
    crops_are_ranges,
    templates_name_the_class,
    sets_of_other_classes_can_be_asked_about,
    tasks_ask_about_what_exists,
]
