"""Names of shards, the images in each, and kinds of sources."""

import math

from synscale.study.models import Study, names_class
from synscale.study.models.data import HeldOutSet, MisreadImages, ShiftedSet
from synscale.study.models.generators import TrainedGenerator, sampled_generator
from synscale.study.models.selection import SelectedSource

SHARDS_PER_INDEX = 200  # shards


def _prefix(scale: float) -> str:
    return f"g{scale:g}-".replace(".", "_")


def images_per_shard(study: Study, source: str) -> int:
    """Return the number of image indices in a shard of a source; of a selected one, of images."""
    row = study.sources[source]
    if isinstance(row, SelectedSource):
        shard = images_per_shard(study, row.source)
        return row.selected_from(shard, shard)
    return getattr(row, "images_per_shard", None) or study.images_per_shard


def last_shards(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Return the name of the last shard of each series that contains the first images of a source.

    A shard contains its range of image indices at every guidance scale, or at one if the study's
    `guidance_per_shard` is "one". Then its name has the scale, and the shards of one scale are a
    series.

    Parameters
    ----------
    study : Study
    source : str
    images : int or None
        Number of image indices; None is all of them.
    guidance : float or None
        One guidance scale; None is all of them.
    """
    available = study.sources[source].images
    size = images_per_shard(study, source)
    if isinstance(available, int):  # images without guidance scales
        series = {"": available}
    else:
        scales = available if guidance is None else [guidance]
        counts = {_prefix(scale): available[scale] for scale in scales}
        series = counts if study.guidance_per_shard == "one" else {"": max(counts.values())}
    last = {prefix: math.ceil(min(images or n, n) / size) - 1 for prefix, n in series.items()}
    return [f"{prefix}{number:05d}" for prefix, number in last.items()]


def shards_until(last: str) -> list[str]:
    """Return the names of the shards of a series, from its first to `last`."""
    return [f"{last[:-5]}{number:05d}" for number in range(int(last[-5:]) + 1)]


def shard_names(
    study: Study, source: str, images: int | None = None, guidance: float | None = None
) -> list[str]:
    """Return the names of all shards, with the parameters of `last_shards`."""
    series = last_shards(study, source, images, guidance)
    return [shard for last in series for shard in shards_until(last)]


def guidance_ranges(study: Study, source: str, shard: str) -> dict[float, list[int]]:
    """Return the half-open range of image indices of a shard at each guidance scale."""
    size = images_per_shard(study, source)
    start = int(shard[-5:]) * size
    every_scale = study.guidance_per_shard == "all"
    return {
        scale: [start, min(start + size, count)]
        for scale, count in study.sources[source].images.items()
        if count > start and (every_scale or shard.startswith(_prefix(scale)))
    }


def images_behind(study: Study, source: str, images: int) -> int:
    """Return how many images are generated for the first images of a source.

    More than these if they are selected.

    Parameters
    ----------
    study : Study
    source : str
    images : int
        Number of images.
    """
    row = study.sources[source]
    if not isinstance(row, SelectedSource):
        return images
    return row.generated_for(images, images_per_shard(study, row.source))


def is_real(source) -> bool:
    """Return whether a source has images of the study's data: with classes, or pairs with texts."""
    return source.kind in ("real", "pairs")


def is_prepared(source) -> bool:
    """Return whether the shards of a source are prepared from existing images, not generated."""
    return is_real(source) or source.kind == "images"


def split_of(study: Study, source: str) -> str:
    """Return the split that contains the images of a source that is prepared.

    Images that were generated elsewhere are a split of the source's name.
    """
    row = study.sources[source]
    return source if row.kind == "images" else row.data or "classifier_training"


def study_of_images(study: Study, source: str) -> str:
    """Return the name of the study whose results have the images of a source."""
    return getattr(study.sources[source], "images_of", None) or study.name


def is_elsewhere(study: Study, split: str) -> bool:
    """Return whether a split consists of images that were generated elsewhere."""
    return split in study.sources and study.sources[split].kind == "images"


def shift_of(study: Study, split: str) -> ShiftedSet | None:
    """Return how an evaluation set differs from the one that its images are taken from, if any."""
    row = study.data.evaluation.get(split)
    return row if isinstance(row, ShiftedSet) else None


def is_in_files(study: Study, split: str) -> bool:
    """Return whether the images of a split are files of the user."""
    is_shifted = shift_of(study, split) is not None
    return (study.data.kind == "files" and not is_shifted) or is_elsewhere(study, split)


def held_out_of(study: Study, split: str) -> str | None:
    """Return the training split that the images of an evaluation set are held out of, if any."""
    row = study.data.evaluation.get(split)
    return row.of if isinstance(row, HeldOutSet) else None


def sources_of_split(study: Study, split: str) -> list[str]:
    """Return the sources whose images a training split contains."""
    return [
        name
        for name, source in study.sources.items()
        if is_prepared(source) and split_of(study, name) == split
    ]


def real_sources(study: Study) -> list[str]:
    """Return the source of real images. There is one: the checks of a study refuse a second."""
    return [name for name, source in study.sources.items() if source.kind == "real"]


def synthetic_sources(
    study: Study, generators: list[str] | None = None, recipes: list[str] | None = None
) -> list[str]:
    """Return the synthetic sources whose images show a named class.

    Parameters
    ----------
    study : Study
    generators, recipes : list of str or None
        Only sources with one of these; None is any.
    """
    return [
        name
        for name, source in study.sources.items()
        if source.kind == "synthetic"
        and names_class(source, study.recipes)
        and (generators is None or source.generator in generators)
        and (recipes is None or source.recipe in recipes)
    ]


def is_pairs(study: Study, split: str) -> bool:
    """Return whether a training split has texts instead of classes."""
    return any(source.kind == "pairs" and source.data == split for source in study.sources.values())


def split_of_generator(study: Study, generator: str) -> str:
    """Return the training split of a generator that the workflow trains."""
    row = study.generators[generator]
    assert isinstance(row, TrainedGenerator)
    return row.data or "generator_training"


def images_of_generator(study: Study, generator: str) -> int | None:
    """Return on how many images of its split a generator is trained; None is all, as of digits."""
    images = study.generators[generator].images
    if study.data.kind != "files":
        return images
    return images or _images_of_part(study, split_of_generator(study, generator))


def _images_of_part(study: Study, split: str) -> int:
    """Return the number of images of a training split that is a part of a data set."""
    part = study.data.training[split].part
    assert part and part[1]  # as the checks require without `images`
    return part[1] - part[0]


def images_of_shift(study: Study, split: str) -> int:
    """Return on how many training images the model behind an evaluation set is trained."""
    shift = shift_of(study, split)
    if not isinstance(shift, MisreadImages):
        return 0
    return shift.images or _images_of_part(study, shift.trained_on)


def shards_of_split(study: Study, split: str, images: int) -> list[str]:
    """Return the names of the shards that contain the first images of a training split.

    Parameters
    ----------
    study : Study
    split : str
    images : int
        Number of images.
    """
    count = math.ceil(images / images_per_shard_of_split(study, split))
    return [f"{number:05d}" for number in range(count)]


def shards_of_generator(study: Study, generator: str) -> list[str]:
    """Return the names of the shards that a generator is trained on."""
    images = images_of_generator(study, generator)
    return shards_of_split(study, split_of_generator(study, generator), images or 1)


def generators_of_split(study: Study, split: str) -> list[str]:
    """Return the generators that the workflow trains on a split of a data set in files."""
    return [
        name
        for name, row in study.generators.items()
        if isinstance(row, TrainedGenerator) and split_of_generator(study, name) == split
    ]


def images_per_shard_of_split(study: Study, split: str) -> int:
    """Return the number of images in a shard of a training split, which may have no source."""
    # The checks let no two sources of a split differ.
    sources = sources_of_split(study, split)
    return images_per_shard(study, sources[0]) if sources else study.images_per_shard


def images_needed(study: Study, split: str) -> int:
    """Return how many images of a training split the study uses: sources and trained models."""
    counts: list[int] = [study.sources[name].images for name in sources_of_split(study, split)]  # type: ignore[misc]
    if study.data.kind == "files":
        names = generators_of_split(study, split)
        counts += [images_of_generator(study, name) for name in names]  # type: ignore[misc]
        for name, row in study.data.evaluation.items():
            if isinstance(row, MisreadImages) and row.trained_on == split:
                counts.append(images_of_shift(study, name))
    return max(counts, default=0)


def classes_file(study: Study, split: str) -> str | None:
    """Return the class table of a split: the study's, or that of an evaluation set.

    Image-text pairs have none, so that no shard of them depends on it.
    """
    if is_pairs(study, split):
        return None
    return getattr(study.data.evaluation.get(split), "classes", None) or study.classes


def skipped_file(study: Study, split: str) -> str | None:
    """Return the list of the images of a data set in files that are left out, if there is one."""
    if is_elsewhere(study, split):
        return study.sources[split].skip
    if study.data.kind != "files":
        return None
    sets = study.data.training | study.data.evaluation
    return getattr(sets[held_out_of(study, split) or split], "skip", None)


def is_pretrained(study: Study, source: str) -> bool:
    """Return whether the pipeline of a source is downloaded, not trained by the workflow."""
    return sampled_generator(study.generators, study.sources[source].generator).kind == "pretrained"
