"""Checks of sources: their recipes and generators, mixtures, and balance over the classes."""

from collections.abc import Iterator

from synscale.study import class_table
from synscale.study.checks.messages import name_errors


def check_recipes_of_sources(sources, recipes) -> Iterator[str]:
    """Check that synthetic sources have existing recipes."""
    for name, source in sources.items():
        if source.kind == "synthetic":
            yield from name_errors(f"sources.{name}.recipe", source.recipe, recipes, "recipe")


def check_generators_of_sources(sources, generators) -> Iterator[str]:
    """Check that synthetic sources have existing generators."""
    for name, source in sources.items():
        if source.kind == "synthetic":
            key = f"sources.{name}.generator"
            yield from name_errors(key, source.generator, generators, "generator")


def check_sources_differ(sources) -> Iterator[str]:
    """Check that no two sources have the same images."""
    first: dict[tuple, str] = {}
    for name, source in sources.items():
        if source.kind == "mixture":
            continue
        if source.kind == "synthetic":
            identity = (source.generator, source.recipe)
        else:
            where = source.folder if source.kind == "images" else source.data
            identity = (source.kind, where)
        other = first.setdefault(identity, name)
        if other != name:
            fix = "put their guidance scales into one"
            if source.kind != "synthetic":
                fix = "remove one and use the other"
            yield (
                f"sources.{name} = {' x '.join(filter(None, identity))}: the same as "
                f"sources.{other}; {fix}"
            )


def count_images(source) -> dict[float | None, int]:
    """Return the number of images of a source at each guidance scale, None if it has none.

    A mixture has no images itself.
    """
    if source.kind == "mixture":
        return {}
    return source.images if source.kind == "synthetic" else {None: source.images}


def is_unbalanced(source, data) -> bool:
    """Whether classes of a source may have different numbers of images: those in files.

    Parameters
    ----------
    source : Source
    data
        Section of the study.
    """
    if source is None:
        return False
    return source.kind == "images" or (data.kind == "files" and source.kind in ("real", "pairs"))


def round_down(count: int, unit: int) -> int:
    """Return the largest multiple of a unit up to a number, but at least one unit.

    Parameters
    ----------
    count : int
        Number to round.
    unit : int
    """
    return max(unit, count - count % unit)


def check_mixtures(sources, classes, data) -> Iterator[str]:
    """Check that parts of mixtures exist, are balanced over the classes, and can grow."""
    classes = class_table.count(classes)
    for name, mixture in sources.items():
        if mixture.kind != "mixture":
            continue
        for i, part in enumerate(mixture.parts):
            key = f"sources.{name}.parts.{i}"
            yield from name_errors(f"{key}.source", part.source, sources, "source")
            source = sources.get(part.source)
            if source and source.kind == "mixture":
                yield f"{key}.source = {part.source!r}: also a mixture; name the sources in it"
            elif source and part.guidance not in count_images(source):
                scales = [f"{scale:g}" for scale in count_images(source) if scale is not None]
                yield (
                    f"{key}.guidance = {part.guidance}: {part.source!r} has no images at this "
                    f"scale; its guidance scales: {', '.join(scales) or 'none: remove the key'}"
                )
            if part.images and part.images % classes and not is_unbalanced(source, data):
                yield (
                    f"{key}.images = {part.images}: not a multiple of the {classes} classes; "
                    f"use {round_down(part.images, classes)}"
                )
        if all(part.images is not None for part in mixture.parts):
            yield (
                f"sources.{name}.parts: every part has a number of images, so the mixture cannot "
                "grow; remove the number of one"
            )


def check_balance(sources, classes, data) -> Iterator[str]:
    """Check that each draw of a source has the same number of images of every class."""
    class_count = class_table.count(classes)
    for name, source in sources.items():
        per_draw = 1 if is_unbalanced(source, data) else class_count
        draws = getattr(source, "draws", 1)
        unit = per_draw * draws
        factors = [f"the {per_draw} classes"] if per_draw > 1 else []
        factors += [f"the {draws} draws"] if draws > 1 else []
        for scale, count in count_images(source).items():
            if count % unit:
                yield (
                    f"sources.{name}.images{f'.{scale}' if scale else ''} = {count}: not a "
                    f"multiple of {' times '.join(factors)}; use {round_down(count, unit)}"
                )


CHECKS = [
    check_recipes_of_sources,
    check_generators_of_sources,
    check_sources_differ,
    check_mixtures,
    check_balance,
]
