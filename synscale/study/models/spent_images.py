"""Real images that the generator behind a source was fine-tuned on."""

from collections.abc import Iterator, Mapping

from synscale.study.models.generators import FinetunedGenerator, Generator
from synscale.study.models.sources import Source


def real_images_spent(
    sources: Mapping[str, Source], generators: Mapping[str, Generator], source: str
) -> int:
    """Return how many real images fine-tuned the generators of a source; 0 if none is fine-tuned.

    Every fine-tuning takes the first images of the study's source of real images. Therefore a
    mixture of two fine-tuned generators spends the larger of both numbers.

    Parameters
    ----------
    sources : mapping of str to Source
        Sources of the study, by name.
    generators : mapping of str to Generator
        Generators of the study, by name.
    source : str
        Name of a source; a mixture spends what its parts spend, selected images what those that
        they are selected from spend.
    """
    rows = [generators[name] for name in _generators_behind(sources, source)]
    return max((row.data.images for row in rows if isinstance(row, FinetunedGenerator)), default=0)


def _generators_behind(sources: Mapping[str, Source], name: str) -> Iterator[str]:
    row = sources[name]
    if row.kind == "mixture":
        for part in row.parts:
            yield from _generators_behind(sources, part.source)
    elif row.kind == "selected":
        yield from _generators_behind(sources, row.source)
    elif row.kind == "synthetic":
        yield row.generator
