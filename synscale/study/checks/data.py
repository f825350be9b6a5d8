"""Checks of data sets, and of sources and experiments that use them.

A job reports missing data before it reads them (data/datasets), as a study may be planned on any
machine.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from synscale.study import class_table
from synscale.study.checks.messages import (
    RELATIVE,
    image_number_errors,
    name_errors,
    template_file_errors,
)
from synscale.study.models import expand_curves
from synscale.study.models.base import NAME, is_path, place_of
from synscale.study.models.data import MisreadImages, ShiftedSet, unmasked

DIGITS_SPLITS = ("generator_training", "classifier_training")


def check_class_table(classes) -> list[str]:
    """Check that the class table has the columns that prompt recipes read."""
    return class_table.errors("classes", classes, class_table.REQUIRED + class_table.TEXTS)


def check_digits_splits(data) -> Iterator[str]:
    """Check that a form in a training split is in no other split or evaluation set."""
    if data.kind != "sklearn_digits":
        return
    training = DIGITS_SPLITS
    sets = {name: getattr(data, name) for name in training}
    for name, row in data.evaluation.items():
        sets[f"evaluation.{name}"] = getattr(row, "forms", [])
    owner: dict[int, str] = {}
    for name, forms in sets.items():
        if not forms and name in training:
            yield f"data.{name} = []: empty; name at least one form"
        for form in forms:
            if owner.get(form, name) != name:
                fix = "an image may be in one split only"
                yield f"data.{name} = {forms}: form {form} is also in data.{owner[form]}; {fix}"
            if name in training:  # evaluation sets may share forms
                owner.setdefault(form, name)
    for name in set(data.evaluation) & set(training):
        yield f"data.evaluation.{name}: the name of a training split; rename the evaluation set"


def check_training_splits(sources, data) -> Iterator[str]:
    """Check that real sources name a training split, which has either classes or texts."""
    users: dict[str, dict[str, str]] = {}
    for name, source in sources.items():
        if source.kind not in ("real", "pairs"):
            continue
        key = f"sources.{name}"
        if data.kind == "files":
            if source.data is None:
                splits = ", ".join(data.training)
                yield f"{key}.data: missing; name a training split of data.training: {splits}"
            else:
                yield from name_errors(f"{key}.data", source.data, data.training, "training split")
                users.setdefault(source.data, {})[source.kind] = name
        elif source.kind == "pairs":
            yield f"{key}.kind = 'pairs': the digits have no pairs; use data.kind 'files'"
        elif source.data not in (None, "classifier_training"):
            yield (
                f"{key}.data = {source.data!r}: real digits are those of classifier_training; "
                "remove the key"
            )
    for split, names in users.items():
        if len(names) == 2:
            yield (
                f"sources.{names['real']}.data = {split!r}: also the data of "
                f"sources.{names['pairs']}, with texts and no classes; use another split"
            )


def check_images_elsewhere(sources, data) -> Iterator[str]:
    """Check the folders of images that were generated elsewhere, and that no split has their name.

    Whether a folder exists is checked before the first job that reads it.
    """
    training = data.training if data.kind == "files" else DIGITS_SPLITS
    for name, source in sources.items():
        if source.kind != "images":
            continue
        key = f"sources.{name}"
        if not is_path(source.folder) and not re.fullmatch(NAME, source.folder):
            yield (
                f"{key}.folder = {source.folder!r}: neither a path with a / in it nor a name in "
                f"config.yaml's paths; for a path write './{source.folder}'"
            )
        for section, names in (
            ("a training split", training),
            ("an evaluation set", data.evaluation),
        ):
            if name in names:
                yield f"{key}: also the name of {section}; rename one"
        if source.skip is not None and not Path(source.skip).is_file():
            yield f"{key}.skip = {source.skip!r}: no such file; {RELATIVE}"


def check_file_sets(data, clip, sources) -> Iterator[str]:
    """Check that names of evaluation sets are unique, and the files that they name exist.

    Only CLIP models are evaluated on sets with other classes, so their files are checked only if
    the study has `clip`.
    """
    if data.kind != "files":
        return
    pairs = {source.data for source in sources.values() if source.kind == "pairs"}
    for name, row in data.evaluation.items():
        key = f"data.evaluation.{name}"
        if row.classes and getattr(row, "captions", None):
            yield f"{key}.captions: only for sets of the study's classes; remove the key"
        if name in data.training:
            yield f"{key}: also the name of a training split; rename one"
        if any(name == unmasked(other) for other in data.evaluation):
            yield f"{key}: the name of another set's metrics on all classes; rename it"
        if clip is None:
            continue
        if row.classes:
            yield from class_table.errors(f"{key}.classes", row.classes)
            yield from template_file_errors(f"{key}.templates", row.templates, row.dataset)
        elif row.templates:
            yield (
                f"{key}.templates = {row.templates!r}: the set has the study's classes, whose "
                "templates are clip.templates; remove the key"
            )
    for name, row in data.training.items():
        if row.captions and name in pairs:
            yield f"data.training.{name}.captions: pairs have texts already; remove the key"
        if row.skip is not None and not Path(row.skip).is_file():
            yield (f"data.training.{name}.skip = {row.skip!r}: no such file; {RELATIVE}")


def check_held_out_sets(data, sources) -> Iterator[str]:
    """Check that held-out sets name a training set with classes, each data set once."""
    if data.kind != "files":
        return
    pairs = {source.data for source in sources.values() if source.kind == "pairs"}
    first: dict[str, str] = {}  # first held-out set of each data set
    for name, row in data.evaluation.items():
        if row.kind != "held_out":
            continue
        key = f"data.evaluation.{name}"
        if row.of not in data.training:
            yield from name_errors(f"{key}.of", row.of, data.training, "training set")
            continue
        if row.of in pairs:
            yield f"{key}.of = {row.of!r}: pairs have no classes to evaluate; name another set"
        other = first.setdefault(place_of(data.training[row.of].dataset), name)
        if other != name:
            yield (
                f"{key}.of = {row.of!r}: data.evaluation.{other} is held out of the same data "
                "set; remove one"
            )


def check_shifted_sets(data, sources) -> Iterator[str]:
    """Check that shifted sets name a set of the study's classes that is not shifted."""
    pairs = {source.data for source in sources.values() if source.kind == "pairs"}
    for name, row in data.evaluation.items():
        if not isinstance(row, ShiftedSet):
            continue
        key = f"data.evaluation.{name}"
        other = data.evaluation.get(row.of)
        if other is None:
            yield from name_errors(f"{key}.of", row.of, data.evaluation, "evaluation set")
        elif isinstance(other, ShiftedSet):
            fix = "name a set of kind files or held_out"
            yield f"{key}.of = {row.of!r}: its images are taken from {other.of!r}; {fix}"
        elif other.classes:
            fix = "name a set of the study's classes"
            yield f"{key}.of = {row.of!r}: has other classes than the study; {fix}"
        if not isinstance(row, MisreadImages):
            continue
        if row.trained_on not in data.training:
            names = data.training
            yield from name_errors(f"{key}.trained_on", row.trained_on, names, "training set")
            continue
        if row.trained_on in pairs:
            fix = "name a training set with classes"
            yield f"{key}.trained_on = {row.trained_on!r}: pairs have no classes to learn; {fix}"
        yield from image_number_errors(key, row.images, row.trained_on, data.training)


def check_trainable_sources(experiments, sources, data, classifiers, clip) -> Iterator[str]:
    """Check that CLIP models train on images with texts, and classifiers on images of classes."""
    for name, experiment in experiments.items():
        used = {source for source, _ in expand_curves(experiment.curves, sources)}
        for source in list(used):
            used |= {part.source for part in getattr(sources[source], "parts", ())}
        yield from _missing_prompts(f"experiments.{name}.curves", used, experiment, sources, clip)
        if data.kind != "files":
            continue
        kinds = {sources[source].kind: source for source in used if source in sources}
        architectures = set(experiment.architectures)
        key = f"experiments.{name}.curves"
        if "pairs" in kinds and architectures & set(classifiers.architectures):
            yield (
                f"{key} = {kinds['pairs']!r}: pairs have no classes, so classifiers cannot be "
                "trained on them; remove it here"
            )
        if "real" in kinds and clip and architectures & set(clip.architectures):
            split = data.training.get(sources[kinds["real"]].data)
            if split and not split.captions:
                yield (
                    f"{key} = {kinds['real']!r}: images of classes have no texts, so CLIP cannot "
                    "be trained on them; use pairs, or add captions: measured to data.training."
                    f"{sources[kinds['real']].data}"
                )


def _missing_prompts(key: str, used: set[str], experiment, sources, clip) -> Iterator[str]:
    """Yield an error for each source of images without texts that CLIP is to be trained on."""
    if not clip or not set(experiment.architectures) & set(clip.architectures):
        return
    for source in sorted(used & sources.keys()):
        if sources[source].kind == "images" and not sources[source].prompts:
            yield (
                f"{key} = {source!r}: CLIP needs the text of every image; add sources.{source}"
                ".prompts: true if the folder has them, or remove the source here"
            )


def check_sets_of_classifiers(laws, experiments, data, classifiers, scores) -> Iterator[str]:
    """Check that classifiers are evaluated on the study's classes only."""
    others = [name for name, row in data.evaluation.items() if getattr(row, "classes", None)]
    problem = "has other classes than classifiers know; name a set of the study's classes"
    if scores.evaluation in others:
        yield f"scores.evaluation = {scores.evaluation!r}: {problem}"
    for name, law in laws.items():
        rows = [experiments[e] for e in law.experiments if e in experiments]
        architectures = {architecture for row in rows for architecture in row.architectures}
        if architectures & set(classifiers.architectures):
            for evaluation in law.evaluation:
                if evaluation in others:
                    yield f"laws.{name}.evaluation = {evaluation!r}: {problem}"


CHECKS = [
    check_class_table,
    check_digits_splits,
    check_training_splits,
    check_images_elsewhere,
    check_file_sets,
    check_held_out_sets,
    check_shifted_sets,
    check_trainable_sources,
    check_sets_of_classifiers,
]
