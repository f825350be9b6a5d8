"""What a target names of its study: a word in a path that the study does not have is told as such, before any job."""

from scripts.lib.study import Study

PARTS = {"source": "sources", "recipe": "recipes", "generator": "generators", "law": "laws", "released": "released"}  # wildcard -> key of the study


class NotInStudy(ValueError):
    """Something that a target names and that its study does not have."""


def check(study_name: str, study: Study, wildcards) -> None:
    """Raise NotInStudy where a wildcard names no part of the study."""
    for wildcard, part in PARTS.items():
        name, known = getattr(wildcards, wildcard, None), getattr(study, part)
        if name is not None and name not in known:
            others = f", or use one of: {', '.join(known)}" if known else ""
            raise NotInStudy(f"studies/{study_name}.yaml has no {wildcard} {name!r}: add {part}.{name}{others}")


def generator(study: Study, name: str, released: bool):
    """The generator of that name. Raises NotInStudy where it is trained here but asked for as one that others released, or the other way."""
    found = study.generators[name]
    if released and found.kind != "pretrained":
        raise NotInStudy(f"{study.title}: generators.{name} is trained here, not fetched: ask for generators/{name} instead of models/{name}")
    if not released and found.kind == "pretrained":
        raise NotInStudy(f"{study.title}: generators.{name} is released by others, not trained here: ask for models/{name} instead of generators/{name}")
    return found


def synthetic(study: Study, source: str):
    """The source of that name. Raises NotInStudy where its images are not generated."""
    found = study.sources[source]
    if found.kind != "synthetic":
        raise NotInStudy(f"{study.title}: sources.{source} is of kind {found.kind!r}: images/ and flags/ are of synthetic sources alone")
    return found
