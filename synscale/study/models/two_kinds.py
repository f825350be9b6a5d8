"""Numbers of real and of synthetic images in training sets: what a joint law is fitted to."""

from typing import NamedTuple

from synscale.study.models.sources import Experiment, expand_curves
from synscale.study.models.training_parts import resolve_mixture


class TwoKinds(NamedTuple):
    """The two sources of a mixture."""

    real: str
    synthetic: str
    guidance: float | None

    def curves(self, mixtures: list[str]) -> list[tuple[str, float | None]]:
        """Return source and guidance scale of each source by itself, and of mixtures of them."""
        single = [(self.real, None), (self.synthetic, self.guidance)]
        return single + [(name, None) for name in mixtures]


def two_kinds(sources: dict, mixture: str) -> TwoKinds | None:
    """Return the sources of a mixture of one real and one synthetic source, else None.

    Synthetic images that were generated elsewhere count. Images of both must have equal weights.

    Parameters
    ----------
    sources : dict of str to Source
    mixture : str
        Name of a source.
    """
    row = sources[mixture]
    parts = [part for part in getattr(row, "parts", ()) if part.source in sources]
    kinds = {sources[part.source].kind: part for part in parts}
    synthetic = kinds.get("synthetic") or kinds.get("images")
    if len(parts) != 2 or "real" not in kinds or synthetic is None:
        return None
    if kinds["real"].weight != synthetic.weight:
        return None
    return TwoKinds(kinds["real"].source, synthetic.source, synthetic.guidance)


def count_images(
    sources: dict,
    experiments: list[Experiment],
    architecture: str,
    curves: list[tuple[str, float | None]],
) -> dict[tuple[str, float | None, int], tuple[int, int]]:
    """Return how many real and how many synthetic images each training set has.

    Parameters
    ----------
    sources : dict
        The study's sources by name.
    experiments : list of Experiment
    architecture : str
    curves : list of (str, float or None)
        Source and guidance scale of the curves that count.

    Returns
    -------
    dict
        Source, guidance scale and size -> numbers of real and of synthetic images.
    """
    numbers = {}
    for row in experiments:
        if architecture not in row.architectures:
            continue
        for curve in expand_curves(row.curves, sources):
            for size in row.sizes if curve in curves else []:
                parts = resolve_mixture(sources, *curve, size)
                real = sum(p.images for p in parts if sources[p.source].kind == "real")
                total = sum(part.images for part in parts)
                numbers[(*curve, size)] = real, total - real
    return numbers
