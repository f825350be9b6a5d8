"""The images that a training set is composed of, from the study's sources."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TrainingPart:
    """Consecutive images of one source, from number `start` on.

    Parameters
    ----------
    source : str
    guidance : float or None
        None for real images.
    images : int
    start : int
        First image, in the order of the source.
    weight : float
        Weight of the loss of its images.
    """

    source: str
    guidance: float | None
    images: int
    start: int = 0
    weight: float = 1.0

    @property
    def stop(self) -> int:
        """Number of the image after the last one."""
        return self.start + self.images


def resolve_mixture(
    sources: dict, source: str, guidance: float | None, size: int, seed: int = 0
) -> list[TrainingPart]:
    """Return the parts of a training set.

    Parameters
    ----------
    sources : dict
        The study's sources by name.
    source : str
    guidance : float or None
    size : int
        Images of the training set.
    seed : int
        Seed of the run, which selects the draw of the images.

    Returns
    -------
    list of TrainingPart
        A larger set of the same seed begins with the same images.
    """
    row = sources[source]
    if row.kind != "mixture":
        return _drawn_parts(sources, source, guidance, size, seed)
    left = size
    images: dict[int, int] = {}
    for place, part in enumerate(row.parts):
        if part.images is not None:
            images[place] = min(part.images, left)
            left -= images[place]
    share = left // max(1, len(row.parts) - len(images))
    counts = [images.get(place, share) for place in range(len(row.parts))]
    return [
        drawn if part.weight == 1 else replace(drawn, weight=part.weight)
        for part, count in zip(row.parts, counts, strict=True)
        if count
        for drawn in _drawn_parts(sources, part.source, part.guidance, count, seed)
    ]


def _drawn_parts(
    sources: dict, source: str, guidance: float | None, images: int, seed: int
) -> list[TrainingPart]:
    """Return the first images of a draw: one part, or two if they go beyond the last image."""
    row = sources.get(source)
    draw = seed % getattr(row, "draws", 1)
    if not draw:
        return [TrainingPart(source, guidance, images)]
    per_draw = images_in_draw(row, guidance)
    start = draw * per_draw
    last = row.draws * per_draw
    if not row.draws_overlap or start + images <= last:
        return [TrainingPart(source, guidance, images, start)]
    rest = start + images - last
    return [
        TrainingPart(source, guidance, last - start, start),
        TrainingPart(source, guidance, rest),
    ]


def images_in_draw(source, guidance: float | None) -> int:
    """Return how many images each draw of a source has at a guidance scale.

    Parameters
    ----------
    source : Source
        Row of the study.
    guidance : float or None
        None for real images.

    Returns
    -------
    int
        0 if the source has no images at this scale.
    """
    images = source.images.get(guidance, 0) if source.kind == "synthetic" else source.images
    return images // getattr(source, "draws", 1)


def images_of_each_part(
    sources: dict, source: str, guidance: float | None, size: int
) -> int | None:
    """Return how many images each part of a training set has.

    For a mixture of real and synthetic pairs this is the number of captions.

    Parameters
    ----------
    sources : dict
        The study's sources by name.
    source : str
    guidance : float or None
    size : int
        Images of the training set.

    Returns
    -------
    int or None
        None if the parts differ, or if there are none.
    """
    images = {part.images for part in resolve_mixture(sources, source, guidance, size)}
    return images.pop() if len(images) == 1 else None
