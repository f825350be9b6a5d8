"""Checks of experiments, scores and laws."""

from collections.abc import Iterator

from synscale.study import class_table
from synscale.study.checks.messages import (
    architecture_errors,
    curve_errors,
    input_size_errors,
    name_errors,
)
from synscale.study.checks.sources import count_images, is_unbalanced, round_down
from synscale.study.models import expand_curves, names_class, resolve_mixture
from synscale.study.models.data import evaluations
from synscale.study.models.training_parts import images_in_draw


def check_classifiers(classifiers, image_size) -> Iterator[str]:
    """Check that architectures of classifiers fit the size of images."""
    seen = classifiers.image_size or image_size
    key = "classifiers.image_size" if classifiers.image_size else "image_size"
    yield from input_size_errors("classifiers", seen, image_size)
    for name, row in classifiers.architectures.items():
        yield from architecture_errors(f"classifiers.architectures.{name}", row, seen, key)


def check_labels_of_classifiers(experiments, sources, recipes, classifiers) -> Iterator[str]:
    """Check that classifiers are trained on images of a known class."""
    for name, experiment in experiments.items():
        if not set(experiment.architectures) & set(classifiers.architectures):
            continue
        for source, _ in expand_curves(experiment.curves, sources):
            row = sources[source]
            parts = [part.source for part in row.parts] if row.kind == "mixture" else [source]
            rows = [sources[part] for part in parts if part in sources]
            known = [row for row in rows if getattr(row, "recipe", None) in recipes]
            if not all(names_class(row, recipes) for row in known):
                yield (
                    f"experiments.{name}.curves = {source!r}: alt texts need not name the class, "
                    "so no classifier can be trained on them; remove it here"
                )


def check_experiments(experiments, sources, classifiers, clip, classes, data) -> Iterator[str]:
    """Check that experiments have known architectures and curves, and trainable sizes."""
    class_count = class_table.count(classes)
    recipes = {name: ("classifiers", classifiers) for name in classifiers.architectures}
    recipes |= {name: ("clip", clip) for name in (clip.architectures if clip else [])}
    for name, experiment in experiments.items():
        key = f"experiments.{name}"
        names = experiment.architectures
        yield from name_errors(f"{key}.architectures", names, recipes, "architecture")
        for label in ("sizes", "seeds"):
            values = getattr(experiment, label)
            ordered = sorted(set(values))
            if values != ordered:
                yield f"{key}.{label} = {values}: must increase without repetition; use {ordered}"
        used = dict(recipes[name] for name in experiment.architectures if name in recipes)
        yield from _size_errors(key, experiment, used, sources, class_count, data)
        errors = list(curve_errors(f"{key}.curves", experiment.curves, sources))
        yield from errors or _supply_errors(key, experiment, sources, class_count, data)


def _size_errors(key, experiment, recipes, sources, class_count, data) -> Iterator[str]:
    """Yield errors of sizes that are not balanced, or that have no number of iterations.

    `recipes`: `classifiers` or `clip` -> training recipe, of the experiment's architectures.
    """
    free = all(is_unbalanced(sources.get(curve.source), data) for curve in experiment.curves)
    for size in experiment.sizes:
        if size % class_count and not free:
            yield (
                f"{key}.sizes = {size}: not nested: no prefix of {size} images is balanced over "
                f"{class_count} classes; use {round_down(size, class_count)}"
            )
        for section, recipe in recipes.items():
            if size not in recipe.iterations:
                fix = f"add {size} to {section}.iterations"
                yield f"{key}.sizes = {size}: no training iterations for it; {fix}"


def _supply_errors(key, experiment, sources, class_count, data) -> Iterator[str]:
    """Yield errors of sizes that sources have too few images for, or that mixtures cannot split."""
    largest = experiment.sizes[-1]
    for source, scale in expand_curves(experiment.curves, sources):
        for part in resolve_mixture(sources, source, scale, largest):
            yield from _part_errors(f"{key}.sizes = {largest}", part, sources)
        for size in experiment.sizes if sources[source].kind == "mixture" else []:
            parts = resolve_mixture(sources, source, scale, size)
            uneven = any(
                part.images % class_count and not is_unbalanced(sources.get(part.source), data)
                for part in parts
            )
            if uneven or sum(part.images for part in parts) != size:
                yield (
                    f"{key}.sizes = {size}: the parts of sources.{source} cannot be balanced over "
                    f"{class_count} classes at this size; remove it"
                )


def _part_errors(where, part, sources) -> Iterator[str]:
    """Yield an error if a source has fewer images than a part of a training set needs."""
    row = sources.get(part.source)
    available = images_in_draw(row, part.guidance) if row and row.kind != "mixture" else 0
    draws = getattr(row, "draws", 1)
    if getattr(row, "draws_overlap", False):
        available *= draws
    if part.images <= available:
        return
    place = f"sources.{part.source}.images"
    if part.guidance is not None:
        place += f".{part.guidance}"
    fix = "raise that, remove the size, or put the curve into another experiment"
    if draws > 1 and not row.draws_overlap:
        place += f" in each of its {draws} draws"
        fix += f"; or set sources.{part.source}.draws_overlap"
    yield f"{where}: more than the {available} of {place}; {fix}"


def check_scores(scores, experiments, sources, data, classes, recipes) -> Iterator[str]:
    """Check that scores have an evaluation set, a reference, and enough images."""
    names = data.evaluation
    yield from name_errors("scores.evaluation", scores.evaluation, names, "evaluation set")
    class_count = class_table.count(classes)
    if scores.images < 2 * class_count:
        yield (
            f"scores.images = {scores.images}: diversity needs at least two images of each of the "
            f"{class_count} classes; use {2 * class_count} or more"
        )
    for name, source in sources.items():
        if source.kind != "synthetic" or not names_class(source, recipes):
            continue
        for scale, count in count_images(source).items():
            if count < scores.images:
                yield (
                    f"scores.images = {scores.images}: more than the {count} of "
                    f"sources.{name}.images.{scale}; lower the one or raise the other"
                )
    run = scores.reference
    if run.kind == "run" and not any(_trains(row, run, sources) for row in experiments.values()):
        yield (
            f"scores.reference = {run.model_dump()}: no experiment trains it on real images; "
            "name a run of an experiment, or add its experiment"
        )


def _trains(experiment, run, sources) -> bool:
    return (
        (run.source, None) in expand_curves(experiment.curves, sources)
        and run.architecture in experiment.architectures
        and run.size in experiment.sizes
        and run.seed in experiment.seeds
    )


def check_laws(laws, experiments, sources, data, classifiers, clip) -> Iterator[str]:
    """Check that laws have known experiments and evaluations of one kind of model."""
    clip_architectures = set(clip.architectures) if clip else set()
    for name, law in laws.items():
        key = f"laws.{name}"
        yield from name_errors(f"{key}.experiments", law.experiments, experiments, "experiment")
        rows = [experiments[e] for e in law.experiments if e in experiments]
        architectures = {architecture for row in rows for architecture in row.architectures}
        if architectures & clip_architectures and architectures - clip_architectures:
            yield (
                f"laws.{name}.experiments = {law.experiments}: have both classifiers and CLIP "
                "models; write a law for each"
            )
        known = evaluations(data, clip=True)
        if architectures and architectures <= clip_architectures:
            known = [*known, *clip.tasks]
        yield from name_errors(f"{key}.evaluation", law.evaluation, known, "evaluation set")
        yield from _law_size_errors(name, law, rows, sources)


def _law_size_errors(name, law, experiments, sources) -> list[str]:
    """Return an error, once for equal sizes, if a curve has less than three sizes in the law."""
    sizes: dict[tuple, set[int]] = {}
    for experiment in experiments:
        for source, guidance in expand_curves(experiment.curves, sources):
            for architecture in experiment.architectures:
                sizes.setdefault((source, guidance, architecture), set()).update(experiment.sizes)
    errors: dict[str, str] = {}
    for (source, guidance, architecture), trained in sizes.items():
        inside = [size for size in trained if law.sizes[0] <= size <= law.sizes[1]]
        if len(inside) < 3:
            scale = "" if guidance is None else f" at {guidance:g}"
            where = f"laws.{name}.sizes = {list(law.sizes)}"
            where += f": contains {len(inside)} sizes of {sorted(trained)}"
            message = f"{where} ({source}{scale} on {architecture}); a law needs at least 3"
            errors.setdefault(where, message)
    return list(errors.values())


CHECKS = [
    check_classifiers,
    check_labels_of_classifiers,
    check_experiments,
    check_scores,
    check_laws,
]
