"""Names of shards and the images that each holds; kinds of sources."""

from synscale.study.models import Study, names_class

SHARDS_PER_INDEX = 200  # shards


def _prefix(scale: float) -> str:
    return f"g{scale:g}-".replace(".", "_")


def images_per_shard(study: Study, source: str) -> int:
    return getattr(study.sources[source], "images_per_shard", None) or study.images_per_shard


def last_shards(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Name of the last shard of each series that holds the first `images` image indices (all by
    default) of a source, at one guidance scale or at all.

    A shard holds its range of indices at every scale, or (the study's `guidance_per_shard`) at one,
    which its name then tells: shards of one scale are a series of their own.
    """
    row = study.sources[source]
    counts = (
        {None: row.images}
        if is_real(row)
        else {scale: n for scale, n in row.images.items() if guidance in (None, scale)}
    )
    apart = study.guidance_per_shard == "one" and not is_real(row)
    most = counts if apart else {None: max(counts.values())}
    size = images_per_shard(study, source)
    return [
        f"{_prefix(scale) if apart else ''}{-(-min(images or count, count) // size) - 1:05d}"
        for scale, count in most.items()
    ]


def shards_until(last: str) -> list[str]:
    """Names of the shards of a series, from its first to `last`."""
    return [f"{last[:-5]}{number:05d}" for number in range(int(last[-5:]) + 1)]


def shard_names(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Names of the shards that `last_shards` names the last of."""
    return [
        shard
        for last in last_shards(study, source, images, guidance)
        for shard in shards_until(last)
    ]


def guidance_ranges(study: Study, source: str, shard: str) -> dict[float, list[int]]:
    """The half-open range of image indices that a shard holds at each guidance scale."""
    size = images_per_shard(study, source)
    start = int(shard[-5:]) * size
    held = {
        scale: n
        for scale, n in study.sources[source].images.items()
        if study.guidance_per_shard == "all" or shard.startswith(_prefix(scale))
    }
    return {
        scale: [start, min(start + size, count)] for scale, count in held.items() if count > start
    }


def is_real(source) -> bool:
    """Whether the images of a row of the study's sources come from its data, with classes (`real`)
    or with texts of their own (`pairs`).
    """
    return source.kind in ("real", "pairs")


def split_of(source) -> str:
    """Training split of the study's data that a source of real images is made of."""
    return source.data or "classifier_training"


def real_sources(study: Study) -> list[str]:
    """The source of real images: one, for the checks let no second one pass."""
    return [name for name, source in study.sources.items() if source.kind == "real"]


def synthetic_sources(
    study: Study, generators: list[str] | None = None, recipes: list[str] | None = None
) -> list[str]:
    """Those whose images show a named class."""
    return [
        name
        for name, source in study.sources.items()
        if source.kind == "synthetic"
        and names_class(source, study.recipes)
        and (generators is None or source.generator in generators)
        and (recipes is None or source.recipe in recipes)
    ]


def is_pairs(study: Study, split: str) -> bool:
    """Whether a training split has texts of its own and no classes."""
    return any(source.kind == "pairs" and source.data == split for source in study.sources.values())


def images_needed(study: Study, split: str) -> int:
    """How many images of a training split the study uses."""
    return max(
        (
            source.images
            for source in study.sources.values()
            if is_real(source) and split_of(source) == split
        ),
        default=0,
    )


def classes_file(study: Study, split: str) -> str | None:
    """CSV of the classes of a split: the study's, or an evaluation set's own. Pairs have none, so
    that no shard of them hangs on it.
    """
    if is_pairs(study, split):
        return None
    return getattr(study.data.evaluation.get(split), "classes", None) or study.classes


def is_pretrained(study: Study, source: str) -> bool:
    return study.generators[study.sources[source].generator].kind == "pretrained"
