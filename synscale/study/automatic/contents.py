"""The sections of a study that its automatic figures and tables follow from."""

from dataclasses import dataclass
from typing import Any

from synscale.study.models import expand_curves, names_class
from synscale.study.models.data import classified


@dataclass(frozen=True)
class Contents:
    """The sections of a study. Laws, experiments and sources that they name exist."""

    classes: str
    data: Any
    generators: dict
    recipes: dict
    sources: dict
    classifiers: Any
    clip: Any
    experiments: dict
    laws: dict

    @property
    def evaluation(self) -> str:
        """First evaluation set that has the study's classes."""
        return classified(self.data)[0]

    def laws_of(self, clip: bool) -> list[str]:
        """Return the laws of CLIP models, or those of classifiers, the main one first."""
        architectures = self.clip.architectures if self.clip else {}
        names = [
            name
            for name, law in self.laws.items()
            if clip == (self.experiments[law.experiments[0]].architectures[0] in architectures)
        ]
        return sorted(names, key=lambda name: self.laws[name].evaluation != [self.evaluation])

    def architectures(self, law: str) -> list[str]:
        """Return the architectures of a law."""
        rows = [self.experiments[name] for name in self.laws[law].experiments]
        return list(dict.fromkeys(name for row in rows for name in row.architectures))

    def curves(self, law: str, architecture: str, synthetic: bool = False) -> list[dict]:
        """Return the curves that a law has on an architecture, by source.

        Parameters
        ----------
        law : str
        architecture : str
        synthetic : bool, optional
            Whether only curves of synthetic images count.
        """
        scales: dict[str, list[float | None]] = {}
        for name in self.laws[law].experiments:
            row = self.experiments[name]
            if architecture in row.architectures:
                for source, scale in expand_curves(row.curves, self.sources):
                    scales.setdefault(source, []).append(scale)
        sources = {s: v for s, v in scales.items() if not synthetic or self.is_synthetic(s)}
        curves: list[dict] = []
        for source, values in sources.items():
            numbers = sorted({scale for scale in values if scale is not None})
            curves.append({"source": source} | ({"guidance": numbers} if numbers else {}))
        return curves

    def is_synthetic(self, source: str) -> bool:
        """Whether a source is synthetic images of the classes."""
        row = self.sources[source]
        return row.kind == "synthetic" and names_class(row, self.recipes)

    def sweep(self) -> dict | None:
        """Return the experiment with the most synthetic configurations, and its architecture."""
        counts = {
            name: sum(self.is_synthetic(s) for s, _ in expand_curves(row.curves, self.sources))
            for name, row in self.experiments.items()
            if row.architectures[0] in self.classifiers.architectures
        }
        name = max(counts, key=counts.__getitem__, default=None)
        if name is None or counts[name] < 2:
            return None
        return {"experiment": name, "architecture": self.experiments[name].architectures[0]}
