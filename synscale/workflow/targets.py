"""Report names in a path that the study does not define, each with the nearest one."""

import difflib
from collections.abc import Iterable
from typing import Any

from synscale.study.models import Study
from synscale.study.models.generators import Generator
from synscale.study.models.selection import SelectedSource
from synscale.study.models.sources import SyntheticSource

# Wildcard -> key of the study that defines its values.
PARTS = {
    "source": "sources",
    "recipe": "recipes",
    "generator": "generators",
    "law": "laws",
    "checkpoint": "author_checkpoints",
}
SHOWN = 12  # names in a message
# Folder of generators -> where they come from.
ORIGINS = {
    "generators": "trained by the workflow",
    "models": "downloaded",
    "lora": "fine-tuned by the workflow",
}


class NotInStudy(ValueError):
    """A target that the study does not define."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a message: the nearest name, and the names that exist.

    Parameters
    ----------
    name : str
        The name that does not exist.
    known : iterable of str
        Names that exist, in the order of the study.
    """
    names = list(known)
    if not names:
        return "the study defines none"
    near = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names)
    if len(names) > SHOWN + 2:
        others = len(names) - SHOWN
        listed = f"{', '.join(names[:SHOWN])} and {others:,} more up to {names[-1]}"
    return f"did you mean {near[0]!r}? Known: {listed}" if near else f"known: {listed}"


def check(study: Study, wildcards) -> None:
    """Raise NotInStudy if a wildcard names no part of the study.

    Parameters
    ----------
    study : Study
    wildcards : object
        Wildcards of a rule as attributes.
    """
    for wildcard, part in PARTS.items():
        name, known = getattr(wildcards, wildcard, None), getattr(study, part)
        if name is not None and name not in known:
            fix = f"add {part}.{name} to it; {suggestion(name, known)}"
            raise NotInStudy(f"studies/{study.name}.yaml: no {wildcard} {name!r}; {fix}")


def generator_folder(settings: Generator) -> str:
    """Return the folder of the results of generators of this kind."""
    return {"pretrained": "models", "finetuned": "lora"}.get(settings.kind, "generators")


def generator(study: Study, name: str, folder: str) -> Any:
    """Return the generator of a name.

    Parameters
    ----------
    study : Study
        The study.
    name : str
        Key of its generators.
    folder : {"generators", "models", "lora"}
        Folder of the requested result.

    Raises
    ------
    NotInStudy
        If results of its kind are in another folder.
    """
    settings = study.generators[name]
    actual = generator_folder(settings)
    if actual != folder:
        problem = f"is {ORIGINS[actual]}, not {ORIGINS[folder]}"
        fix = f"request {actual}/{name} instead of {folder}/{name}"
        raise NotInStudy(f"{study.title}: generators.{name}: {problem}; {fix}")
    return settings


def synthetic(study: Study, source: str) -> SyntheticSource:
    """Return the source of a name. Raises NotInStudy if its images are not generated."""
    settings = study.sources[source]
    if settings.kind != "synthetic":
        kind = f"kind {settings.kind!r}, expected 'synthetic'"
        where = f"{study.title}: sources.{source}"
        raise NotInStudy(f"{where}: is not generated ({kind}); request another source")
    return settings


def selected(study: Study, source: str) -> SelectedSource:
    """Return the source of a name. Raises NotInStudy if its images are not selected."""
    settings = study.sources[source]
    if settings.kind != "selected":
        kind = f"kind {settings.kind!r}, expected 'selected'"
        where = f"{study.title}: sources.{source}"
        raise NotInStudy(f"{where}: is not selected ({kind}); request another source")
    return settings
