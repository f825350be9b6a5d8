"""Sources that use the images of another study: `images_of` in a study file."""

from collections.abc import Iterator

from synscale.study.checks.messages import suggest
from synscale.study.models import Study
from synscale.workflow.settings import identity_of
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.shards import images_per_shard, last_shards


def shared_image_errors(studies: dict[str, Study]) -> Iterator[str]:
    """Yield an error for each source that cannot use the images of the study that it names.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    """
    for name, study in studies.items():
        for source, row in study.sources.items():
            if row.kind != "synthetic" or row.images_of is None:
                continue
            where = f"studies/{name}.yaml: sources.{source}.images_of = {row.images_of!r}"
            if problem := _problem(study, source, row.images_of, studies):
                yield f"{where}: {problem}"


def _problem(study: Study, source: str, lender: str, studies: dict[str, Study]) -> str | None:
    row = study.sources[source]
    if lender == study.name:
        return "the study itself; remove the key"
    if lender not in studies:
        known = f"known: {', '.join(studies)}"
        return f"no such study; {suggest(lender, studies, known)}"
    other = studies[lender]
    theirs = other.sources.get(source)
    if theirs is None or theirs.kind != "synthetic":
        return f"it has no synthetic source {source!r}; use the same name in both studies"
    if theirs.images_of is not None:
        return f"it uses those of {theirs.images_of!r}; name that study"
    for scale, images in row.images.items():
        if images > theirs.images.get(scale, 0):
            numbers = f"{theirs.images.get(scale, 0)}, the source takes {images}"
            return f"it has too few images at guidance {scale:g} ({numbers}); raise it there"
    return _difference(study, other, source)


def _difference(study: Study, other: Study, source: str) -> str | None:
    """Return the first setting of the images that differs between two studies."""
    for mine, theirs in zip(_settings(study, source), _settings(other, source), strict=False):
        if key := next(differences(mine, theirs), None):
            path, value, expected = key
            return f"{path} differs ({value!r}, expected {expected!r} as there); make them equal"
    return None


def _settings(study: Study, source: str) -> list[dict]:
    """Return the sizes of shards, and what each series of them depends on but for numbers."""
    settings: list[dict] = [
        {
            "images_per_shard": images_per_shard(study, source),
            "guidance_per_shard": study.guidance_per_shard,
        }
    ]
    for last in last_shards(study, source):
        content = identity_of(shard_index_settings(study, source, last))
        content.pop("shards")
        content["shard"] = content.pop("ends")[0]
        content["shard"].pop("guidance")
        settings.append(content)
    return settings


def differences(mine, theirs, path: str = "") -> Iterator[tuple]:
    """Yield key and values of each difference of two nested values.

    Parameters
    ----------
    mine, theirs : object
        Values; dictionaries are compared key by key.
    path : str
        Key of the values, with the keys above it.
    """
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in [*mine, *(key for key in theirs if key not in mine)]:
            where = f"{path}.{key}" if path else str(key)
            yield from differences(mine.get(key), theirs.get(key), where)
    elif mine != theirs:
        yield path, mine, theirs
