"""Checks of generators, of other pretrained models, and of the storage of images."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from synscale.study.checks.figures import NUMBERS, published_numbers
from synscale.study.checks.messages import name_errors, shorten
from synscale.study.models.base import HubModel
from synscale.study.models.data import evaluations
from synscale.study.models.generators import DiffusionGenerator, LoraWeights, MaskedTokenGenerator
from synscale.study.models.scores import ClipFeatures

HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_safety_checker(safety_checker) -> Iterator[str]:
    """Check that the safety checker has a folder or a commit of the hub."""
    if safety_checker:
        yield from _pipeline_errors("safety_checker", safety_checker)


def check_pipelines(generators) -> Iterator[str]:
    """Check that pipelines have a folder or a commit of the hub, and sizes that fit."""
    for name, generator in generators.items():
        if generator.kind != "pretrained":
            continue
        key, upscaler = f"generators.{name}", generator.upscaler
        for where, stage in ((key, generator), (f"{key}.upscaler", upscaler)):
            if stage is None:
                continue
            yield from _pipeline_errors(where, stage)
            if stage.size % 8:
                size = stage.size - stage.size % 8 or 8
                fix = f"use {size}"
                yield f"{where}.size = {stage.size}: not a multiple of 8, which latents need; {fix}"
        if generator.lora:
            yield from _lora_errors(f"{key}.lora", generator.lora)
        if upscaler and upscaler.size <= generator.size:
            yield (
                f"{key}.upscaler.size = {upscaler.size}: no larger than {key}.size = "
                f"{generator.size}; raise the first or lower the second"
            )


def check_trained_generators(generators) -> Iterator[str]:
    """Check that widths suit the text encoder's two heads and the UNet's groups of 8 channels."""
    for name, generator in generators.items():
        if not isinstance(generator, DiffusionGenerator | MaskedTokenGenerator):
            continue
        channels = enumerate(getattr(generator, "channels", []))
        widths = [(f"channels.{i}", width, 8) for i, width in channels]
        for key, width, unit in [("text_width", generator.text_width, 2), *widths]:
            if width % unit:
                yield f"generators.{name}.{key} = {width}: must be a multiple of {unit}"


def _lora_errors(key: str, lora: LoraWeights) -> Iterator[str]:
    """Yield errors of LoRA weights: a folder that has the file, or a model of the hub."""
    yield from _model_errors(key, lora, lora.file, "LoRA weights, and the file as `file`")
    if not lora.is_folder and lora.revision is None and not Path(lora.model).is_dir():
        yield f"{key}.revision: missing (branches and tags move); {_commit_of(lora.model)}"


def _commit_of(model: str) -> str:
    return f"give the 40 hex digits of a commit of {model}"


def _pipeline_errors(key: str, model: HubModel) -> Iterator[str]:
    """Yield errors of a pipeline: a folder of diffusers, or a model of the hub with a commit."""
    yield from _model_errors(key, model, "model_index.json", "a pipeline that diffusers saved")
    index = Path(model.model) / "model_index.json"
    if model.is_folder and index.is_file() and not _has_class(index):
        yield (
            f"{key}.model = {shorten(model.model)}: its model_index.json has no _class_name; "
            "save the pipeline with diffusers again"
        )
    if not model.is_folder and model.revision is None and not Path(model.model).is_dir():
        yield f"{key}.revision: missing (branches and tags move); {_commit_of(model.model)}"


def _has_class(index: Path) -> bool:
    try:
        return "_class_name" in json.loads(index.read_text(encoding="utf-8"))
    except ValueError:
        return False


def _model_errors(key: str, model: HubModel, file: str, content: str) -> list[str]:
    """Return errors of a model: a folder that has a certain file, or owner/name of the hub."""
    where, folder = f"{key}.model = {shorten(model.model)}", Path(model.model)
    if not model.is_folder:
        if model.revision is None and folder.is_dir():
            return [
                f"{where}: a folder of that name exists here; write './{model.model}', "
                "or give the revision of a model of the hub"
            ]
        if not HUB.fullmatch(model.model):
            return [
                f"{where}: neither owner/name nor a path that starts with / or .; write one of them"
            ]
        return []
    errors = []
    if not folder.is_dir():
        errors.append(
            f"{where}: no such folder; fix the path, or name a model of the hub as owner/name"
        )
    elif not (folder / file).is_file():
        errors.append(f"{where}: has no {file}; name the folder of {content}")
    if model.revision is not None:
        fix = "remove the key (hashes of its files are recorded)"
        errors.append(f"{key}.revision = {shorten(model.revision)}: a folder has none; {fix}")
    return errors


def check_storage(storage) -> Iterator[str]:
    """Check that formats with losses have a quality, png has none."""
    if storage.format == "png" and storage.quality is not None:
        fix = "remove the key, or use format jpeg or webp"
        yield f"storage.quality = {storage.quality}: png is lossless and has none; {fix}"
    if storage.format != "png" and storage.quality is None:
        yield f"storage.quality: missing; {storage.format} needs one of 1 to 100, such as 95"


def check_other_models(scores, recipes) -> Iterator[str]:
    """Check that the reference classifier and models of recipes have a valid location."""
    models = {"scores.reference": scores.reference}
    models |= {f"recipes.{name}": recipe for name, recipe in recipes.items()}
    content = "a model that timm or transformers saved"
    for key, model in models.items():
        if isinstance(model, HubModel):
            yield from _model_errors(key, model, "config.json", content)
    for place, row in enumerate(scores.features):
        if isinstance(row, HubModel):
            is_clip = isinstance(row, ClipFeatures)
            file = "open_clip_config.json" if is_clip else "config.json"
            library = "open_clip" if is_clip else "timm"
            key, content = f"scores.features.{place}", f"a model that {library} saved"
            yield from _model_errors(key, row, file, content)


def check_author_checkpoints(author_checkpoints, data, clip) -> Iterator[str]:
    """Check that checkpoints of the authors are evaluated on existing sets."""
    for name, row in author_checkpoints.items():
        if row.kind == "clip" and clip is None:
            yield (
                f"author_checkpoints.{name}.kind = 'clip': the study has no clip, which has the "
                "templates to evaluate it with; add clip or remove the checkpoint"
            )
        known = evaluations(data, clip=row.kind == "clip")
        for number, measured in row.numbers.items():
            key = f"author_checkpoints.{name}.numbers.{number}"
            yield from name_errors(key, number, published_numbers(), f"id in {NUMBERS}")
            evaluation = measured.evaluation
            yield from name_errors(f"{key}.evaluation", evaluation, known, "evaluation set")


CHECKS = [
    check_trained_generators,
    check_author_checkpoints,
    check_pipelines,
    check_safety_checker,
    check_storage,
    check_other_models,
]
