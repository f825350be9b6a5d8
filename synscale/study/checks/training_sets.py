"""Checks of data sets and their parts, and of generators that are trained on them."""

import re
from collections.abc import Iterator

from synscale.study.checks.messages import image_number_errors, name_errors
from synscale.study.models.base import NAME, is_path, place_of
from synscale.study.models.generators import TrainedGenerator

LARGEST = 64  # pixels a side that generators of pixels are for
UNIT = 8  # the pipeline of `diffusion` refuses sides that are not multiples of it


def check_places(data) -> Iterator[str]:
    """Check that data sets in files are named by a path, or by a name of config.yaml's paths."""
    if data.kind != "files":
        return
    for section in ("training", "evaluation"):
        for name, row in getattr(data, section).items():
            dataset = getattr(row, "dataset", None)
            if dataset and not is_path(dataset) and not re.fullmatch(NAME, dataset):
                yield (
                    f"data.{section}.{name}.dataset = {dataset!r}: neither a path with a / in it "
                    "nor a name (small letters, digits and _) in config.yaml's paths; for a path "
                    f"write './{dataset}'"
                )


def check_parts(data, sources) -> Iterator[str]:
    """Check that parts have images, and that two parts of a data set do not overlap."""
    if data.kind != "files":
        return
    pairs = {source.data for source in sources.values() if source.kind == "pairs"}
    sets = list(data.training.items())
    for place, (name, row) in enumerate(sets):
        key = f"data.training.{name}.part"
        start, stop = row.part or (0, None)
        if stop is not None and stop <= start:
            yield f"{key} = {[start, stop]}: no images; the second number must be larger"
        if row.part and name in pairs:
            yield f"{key} = {[start, stop]}: pairs have no classes to balance; remove the key"
        for other, before in sets[:place]:
            if place_of(before.dataset) == place_of(row.dataset) and _overlap(row, before):
                value = list(row.part) if row.part else "missing"
                other_part = list(before.part) if before.part else "no part"
                yield (
                    f"{key} = {value}: overlaps data.training.{other} of the same data set "
                    f"({other_part}); give both a part, such as [0, 1000] and [1000, null]"
                )


def _overlap(one, other) -> bool:
    """Whether two sets of a data set share images; sets that are equal may, as they are one set."""
    if one.part == other.part:
        return False
    (first, end), (second, other_end) = (row.part or (0, None) for row in (one, other))
    return (other_end is None or first < other_end) and (end is None or second < end)


def _trained(generators) -> dict:
    return {name: row for name, row in generators.items() if isinstance(row, TrainedGenerator)}


def check_data_of_generators(generators, data) -> Iterator[str]:
    """Check that generators name a training set of files and a number of its images."""
    for name, row in _trained(generators).items():
        key = f"generators.{name}"
        if data.kind != "files":
            if row.data not in (None, "generator_training"):
                fix = "generators of digits are trained on generator_training; remove the key"
                yield f"{key}.data = {row.data!r}: {fix}"
            if row.images:
                fix = "generators of digits are trained on all of generator_training"
                yield f"{key}.images = {row.images}: {fix}; remove the key"
            continue
        if row.data is None:
            yield f"{key}.data: missing; name a training set of data.training: " + ", ".join(
                data.training
            )
            continue
        if row.data not in data.training:
            yield from name_errors(f"{key}.data", row.data, data.training, "training set")
            continue
        yield from image_number_errors(key, row.images, row.data, data.training)


def check_shapes_of_generators(generators, data, image_size, channels) -> Iterator[str]:
    """Check that generators that are trained here can generate images of the study's shape."""
    for name, row in _trained(generators).items():
        key = f"generators.{name}"
        if row.kind == "masked_token":
            if channels == 3:
                fix = "use kind: diffusion, or channels: 1 for grey images"
                yield f"{key}.kind = 'masked_token': its tokens are grey levels, not RGB; {fix}"
            if data.kind == "files" and row.levels is None:
                yield f"{key}.levels: missing; give the number of grey levels, such as 16"
            unit = 2  # its convolutions halve the sides
        else:
            unit = max(UNIT, 2 ** (len(row.channels) - 1))  # each level but the last halves them
        if image_size > LARGEST:
            fix = f"lower image_size, or use a pretrained generator for more than {LARGEST} pixels"
            yield f"{key}: generates too many pixels (image_size = {image_size}); {fix}"
        elif image_size % unit:
            fix = f"use {max(unit, image_size - image_size % unit)}"
            yield f"image_size = {image_size}: not a multiple of {unit}, which {key} needs; {fix}"


CHECKS = [
    check_places,
    check_parts,
    check_data_of_generators,
    check_shapes_of_generators,
]
