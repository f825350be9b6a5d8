"""Checks of generators that are fine-tuned: their base, and the real images that they spend."""

import json
from collections.abc import Iterator
from pathlib import Path

from synscale.study import class_table
from synscale.study.checks.messages import name_errors
from synscale.study.checks.sources import is_unbalanced, round_down
from synscale.study.models.generators import FinetunedGenerator, Generator, TrainedGenerator

TUNABLE = "StableDiffusionPipeline"  # the class of pipelines that can be fine-tuned


def _finetuned(generators) -> Iterator[tuple[str, FinetunedGenerator]]:
    for name, row in generators.items():
        if isinstance(row, FinetunedGenerator):
            yield f"generators.{name}", row


def check_bases(generators) -> Iterator[str]:
    """Check that a fine-tuned generator has a base of a kind that can be fine-tuned."""
    for key, row in _finetuned(generators):
        if row.base not in generators:
            yield from name_errors(f"{key}.base", row.base, generators, "generator")
        elif problem := _problem(generators[row.base]):
            yield f"{key}.base = {row.base!r}: {problem}"


def _problem(base: Generator) -> str | None:
    """Return why a generator cannot be a base, and what to do; None if it can."""
    if base.kind in ("finetuned", "masked_token"):
        fix = "name a generator of kind diffusion or pretrained"
        return f"fine-tuning is not supported (kind {base.kind!r}); {fix}"
    if base.kind != "pretrained":
        return None
    if base.lora:
        return "it has LoRA weights, and a second update is not supported; name one without lora"
    index = Path(base.model) / "model_index.json"
    if base.is_folder and index.is_file():
        kind = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
        if kind != TUNABLE:
            fix = "name a Stable Diffusion 1 or 2 model"
            return f"fine-tuning is not supported ({kind}, expected {TUNABLE}); {fix}"
    return None


def check_tuning_images(generators, sources, classes, data) -> Iterator[str]:
    """Check that the real images exist, are balanced, and are new to the base."""
    for key, row in _finetuned(generators):
        where, name, images = f"{key}.data", row.data.source, row.data.images
        source = sources.get(name)
        if source is None:
            yield from name_errors(f"{where}.source", name, sources, "source")
            continue
        if source.kind != "real":
            fix = "name the source of real images"
            yield f"{where}.source = {name!r}: not real (kind {source.kind!r}); {fix}"
            continue
        if images > source.images:
            fix = f"use at most {source.images}, or raise sources.{name}.images"
            yield f"{where}.images = {images}: more than sources.{name} has; {fix}"
        unit = 1 if is_unbalanced(source, data) else class_table.count(classes)
        if images % unit:
            fix = f"use {round_down(images, unit)}"
            yield f"{where}.images = {images}: not a multiple of the {unit} classes; {fix}"
        base = generators.get(row.base)
        if data.kind == "files" and isinstance(base, TrainedGenerator) and base.data == source.data:
            fix = "train the base on another part of the data"
            yield (
                f"{where}.source = {name!r}: generators.{row.base} is trained on the same images "
                f"(data {base.data!r}), so their number would be wrong; {fix}"
            )


CHECKS = [check_bases, check_tuning_images]
