"""What must hold of generators with released weights and of how images are stored. As in
`checks.py`, a line for each fault.
"""

import json
import re
from pathlib import Path

from synscale.study.checks.figures import NUMBERS, published_numbers
from synscale.study.checks.sources import short, unknown
from synscale.study.models.data import evaluations

HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def pretrained_models_can_be_had(generators):
    faults = []
    for name, generator in generators.items():
        stages = {
            f"generators.{name}": generator,
            f"generators.{name}.upscaler": getattr(generator, "upscaler", None),
        }
        for key, stage in stages.items():
            if stage is None or not hasattr(stage, "model"):
                continue
            faults += _files_faults(key, stage)
            if stage.size % 8:
                faults.append(
                    f"{key}.size = {stage.size}: not a multiple of 8, which latents need; use {stage.size - stage.size % 8 or 8}"
                )
        upscaler = getattr(generator, "upscaler", None)
        if upscaler and upscaler.size <= generator.size:
            told = f"generators.{name}.upscaler.size = {upscaler.size}"
            faults.append(
                f"{told}: no larger than generators.{name}.size = {generator.size}: mend one of them"
            )
    return faults


def trained_generators_can_be_built(generators):
    """The text encoder has two heads, the UNet groups of 8 channels (models/small_generators.py)."""
    faults = []
    for name, generator in generators.items():
        if generator.kind == "pretrained":
            continue
        shared = [("text_width", generator.text_width, 2)]
        shared += [
            (f"channels.{i}", width, 8)
            for i, width in enumerate(getattr(generator, "channels", []))
        ]
        faults += [
            f"generators.{name}.{key} = {width}: not a multiple of {by}"
            for key, width, by in shared
            if width % by
        ]
    return faults


def the_safety_checker_can_be_had(safety_checker):
    return _files_faults("safety_checker", safety_checker) if safety_checker else []


def _files_faults(key, released) -> list[str]:
    return (
        _folder_faults(key, released)
        if released.is_folder
        else _unmarked_folder(key, released) or _hub_faults(key, released)
    )


def _unmarked_folder(key, own) -> list[str]:
    """A folder that lies here and would be looked for on the hub."""
    if own.revision is not None or not Path(own.model).is_dir():
        return []
    return [
        f"{key}.model = {short(own.model)}: a folder of that name lies here: write './{own.model}', or of a model of the hub its revision"
    ]


def _folder_faults(key, generator) -> list[str]:
    folder, faults = Path(generator.model), []
    index = folder / "model_index.json"
    if not folder.is_dir():
        faults.append(
            f"{key}.model = {short(generator.model)}: no such folder; mend the path, or name a model of the hub as owner/name"
        )
    elif not index.is_file():
        faults.append(
            f"{key}.model = {short(generator.model)}: holds no model_index.json; name the folder of a pipeline that diffusers saved"
        )
    elif not _is_index(index):
        faults.append(
            f"{key}.model = {short(generator.model)}: its model_index.json names no _class_name; save the pipeline anew with diffusers"
        )
    if generator.revision is not None:
        faults.append(
            f"{key}.revision = {short(generator.revision)}: a folder has none; remove the key (hashes of its files are recorded)"
        )
    return faults


def _is_index(path: Path) -> bool:
    try:
        return "_class_name" in json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False


def _hub_faults(key, generator) -> list[str]:
    faults = []
    if not HUB.fullmatch(generator.model):
        faults.append(
            f"{key}.model = {short(generator.model)}: neither owner/name nor a path that starts with / or .; write one of them"
        )
    if not re.fullmatch(r"[0-9a-f]{40}", generator.revision or ""):
        told = (
            "missing" if generator.revision is None else f"{short(generator.revision)}, no commit"
        )
        faults.append(
            f"{key}.revision = {told}: branches and tags move; give the 40 hex digits of a commit of {generator.model}"
        )
    return faults


def storage_has_its_quality(storage):
    if storage.format == "png" and storage.quality is not None:
        return [
            f"storage.quality = {storage.quality}: png loses nothing and has none; remove the key, or use format jpeg or webp"
        ]
    if storage.format != "png" and storage.quality is None:
        return [f"storage.quality: missing; {storage.format} needs one of 1 to 100, such as 95"]
    return []


def models_can_be_had(scores, recipes):
    named = {"scores.reference": scores.reference} | {
        f"recipes.{name}": recipe for name, recipe in recipes.items()
    }
    return [
        fault
        for key, own in named.items()
        if hasattr(own, "is_folder")
        for fault in _model_faults(key, own)
    ]


def _model_faults(key, own) -> list[str]:
    told, folder = f"{key}.model = {short(own.model)}", Path(own.model)
    if not own.is_folder:
        if unmarked := _unmarked_folder(key, own):
            return unmarked
        return (
            []
            if HUB.fullmatch(own.model)
            else [
                f"{told}: neither owner/name nor a path that starts with / or .; write one of them"
            ]
        )
    if own.revision:
        return [
            f"{key}.revision = {own.revision!r}: a folder has none; remove the key (hashes of its files are recorded)"
        ]
    if not folder.is_dir():
        return [f"{told}: no such folder; mend the path, or name a model of the hub as owner/name"]
    if not (folder / "config.json").is_file():
        return [
            f"{told}: holds no config.json; name a folder in which timm or transformers has saved a model"
        ]
    return []


def released_models_are_judged_on_what_exists(released, data, clip):
    faults = []
    for name, own in released.items():
        if own.kind == "clip" and clip is None:
            faults.append(
                f"released.{name}.kind = 'clip': the study has no clip, so nothing says what to ask it; add them or remove it"
            )
        for number, measured in own.numbers.items():
            key = f"released.{name}.numbers.{number}"
            faults += unknown(key, number, published_numbers(), f"id in {NUMBERS}")
            faults += unknown(
                f"{key}.evaluation",
                measured.evaluation,
                evaluations(data, clip=own.kind == "clip"),
                "evaluation set",
            )
    return faults


CHECKS = [
    trained_generators_can_be_built,
    released_models_are_judged_on_what_exists,
    pretrained_models_can_be_had,
    the_safety_checker_can_be_had,
    storage_has_its_quality,
    models_can_be_had,
]
