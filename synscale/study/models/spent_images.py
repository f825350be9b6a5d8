"""Real images that the generator behind a source was fine-tuned on."""

from collections.abc import Mapping

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
        Name of a source; a mixture spends what its parts spend.
    """
    row = sources[source]
    parts = [part.source for part in row.parts] if row.kind == "mixture" else [source]
    rows = [generators[sources[name].generator] for name in parts if _is_synthetic(sources[name])]
    return max((row.data.images for row in rows if isinstance(row, FinetunedGenerator)), default=0)


def _is_synthetic(row: Source) -> bool:
    return row.kind == "synthetic"
