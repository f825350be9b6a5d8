"""CurveSelection of figures and tables: which runs, under which label, drawn in which style."""

from dataclasses import dataclass
from typing import Any

from synscale.study.models import CurveSelection, Study, expand_curves, names_class
from synscale.study.models.spent_images import real_images_spent
from synscale.workflow.runs import training_recipe
from synscale.workflow.shards import images_per_shard, is_real

# In place of the generator in labels: images that were generated elsewhere, or selected.
ELSEWHERE = "elsewhere"
SELECTED = "selected"


@dataclass(frozen=True)
class CurveStyle:
    """Numbers that determine the colour, marker and line of a curve, the same in every figure.

    Attributes
    ----------
    kind : str
        `real`, `synthetic` or `mixture`.
    hue : int or None
        Position of the recipe; None for real images and mixtures.
    dash : int
        Position of the generator.
    rank, ranks : int
        Position of the guidance scale, or of the mixture, and the number of positions.
    weight : int
        Position of the architecture; of one that starts from a run, that of the run's.
    start : int
        Position among the architectures that start from weights, from 1; 0 for random weights.
    """

    kind: str
    hue: int | None = None
    dash: int = 0
    rank: int = 0
    ranks: int = 1
    weight: int = 0
    start: int = 0


@dataclass(frozen=True)
class Windows:
    """Windows of consecutive images that those of a source are selected from.

    Attributes
    ----------
    images : int
        Images of a window.
    per_window : int
        Images that it keeps.
    """

    images: int
    per_window: int

    def generated(self, sizes: Any) -> Any:
        """Return how many images are generated for a number, or an array, of selected ones."""
        return -(-sizes // self.per_window) * self.images


@dataclass(frozen=True)
class Curve:
    """Runs of one source at one guidance scale with one architecture.

    windows: of selected images; None for others.
    real_images_spent: real images that fine-tuned the generator of the source.
    """

    source: str
    guidance: float | None
    architecture: str
    label: str = ""
    style: CurveStyle | None = None
    windows: Windows | None = None
    real_images_spent: int = 0

    @property
    def key(self) -> tuple[str, float | None, str]:
        """Source, guidance scale and architecture: what identifies it in metrics and laws."""
        return self.source, self.guidance, self.architecture


@dataclass(frozen=True)
class Label:
    """How a figure or table names a source at a guidance scale (None if it has none)."""

    source: str
    guidance: float | None
    generator: str
    recipe: str
    style: CurveStyle | None = None


def curve_style(
    study: Study, source: str, guidance: float | None, architecture: str | None = None
) -> CurveStyle:
    """Return the style of a curve.

    Hue by recipe, dash by generator, shade and marker by guidance scale, weight by architecture.
    Real images have no hue; all mixtures share one. Images that were generated elsewhere have the
    hues after those of the recipes, and selected images those after them.

    Parameters
    ----------
    study : Study
    source : str
    guidance : float or None
    architecture : str, optional
    """
    row = study.sources[source]
    synthetic = [other for other in study.sources.values() if other.kind == "synthetic"]
    scales = sorted({scale for other in synthetic for scale in other.images})
    weight, start = _weight_and_start(study, architecture) if architecture else (0, 0)
    if row.kind == "mixture":
        mixtures = [name for name, other in study.sources.items() if other.kind == "mixture"]
        rank = mixtures.index(source)
        ranks = len(mixtures)
        return CurveStyle("mixture", rank=rank, ranks=ranks, weight=weight, start=start)
    if row.kind == "synthetic":
        return CurveStyle(
            "synthetic",
            hue=list(study.recipes).index(row.recipe),
            dash=list(study.generators).index(row.generator),
            rank=scales.index(guidance) if guidance in scales else 0,
            ranks=len(scales),
            weight=weight,
            start=start,
        )
    if row.kind in ("images", "selected"):
        others = [name for name, other in study.sources.items() if other.kind == "images"]
        others += [name for name, other in study.sources.items() if other.kind == "selected"]
        hue = len(study.recipes) + others.index(source)
        return CurveStyle("synthetic", hue=hue, weight=weight, start=start)
    return CurveStyle("real", ranks=len(scales), weight=weight, start=start)


def _weight_and_start(study: Study, architecture: str) -> tuple[int, int]:
    """Return `weight` and `start` of the style of an architecture's curves."""
    rows = training_recipe(study, architecture).architectures
    started = [name for name, row in rows.items() if getattr(row, "start", None)]
    place = started.index(architecture) + 1 if architecture in started else 0
    while run := getattr(rows[architecture], "start_run", None):
        architecture = run.architecture
    return list(rows).index(architecture), place


def figure_labels(study: Study) -> list[Label]:
    """Return the labels of every configuration whose images show a named class, with styles."""
    shown = [
        CurveSelection(source=name)
        for name, source in study.sources.items()
        if names_class(source, study.recipes)
    ]
    labels = []
    for source, guidance in expand_curves(shown, study.sources):
        row = study.sources[source]
        names = _configuration(source, row)
        labels.append(Label(source, guidance, *names, curve_style(study, source, guidance)))
    return labels


def _configuration(source: str, row) -> tuple[str, str]:
    """Return the names of generator and recipe of a source whose images show a named class."""
    if row.kind == "synthetic":
        return row.generator, row.recipe
    generators = {"images": ELSEWHERE, "selected": SELECTED}
    if row.kind in generators:
        return generators[row.kind], row.label or source
    return "real", "real"


def table_labels(study: Study) -> list[Label]:
    """Return the labels of every source at each of its guidance scales, mixtures too."""
    labels = []
    every_source = [CurveSelection(source=name) for name in study.sources]
    names: tuple[str, str]
    for source, guidance in expand_curves(every_source, study.sources):
        row = study.sources[source]
        if is_real(row):
            names = "real", row.kind
        elif row.kind == "mixture":
            names = "mixture", row.label
        else:
            names = _configuration(source, row)
        labels.append(Label(source, guidance, *names))
    return labels


def labelled(study: Study, curves: list[CurveSelection], architectures: list[str]) -> list[Curve]:
    """Return every curve on every architecture, with a label and a style.

    A label has those of generator, recipe, guidance scale and architecture that differ among the
    curves; real images keep their name, and images that were generated elsewhere or selected
    that of their source.

    Parameters
    ----------
    study : Study
    curves : list of CurveSelection
        Curves of a figure or table.
    architectures : list of str
        Names of architectures.
    """
    curve_keys = [
        (*pair, architecture)
        for pair in expand_curves(curves, study.sources)
        for architecture in architectures
    ]
    rows = [study.sources[source] for source, _, _ in curve_keys]
    all_names = [_names(row, scale) for row, (_, scale, _) in zip(rows, curve_keys, strict=True)]
    synthetic = [
        names for row, names in zip(rows, all_names, strict=True) if row.kind == "synthetic"
    ]
    differing = [place for place in range(3) if len({names[place] for names in synthetic}) > 1]
    several_architectures = len(set(architectures)) > 1
    several_kinds = len({row.kind for row in rows}) > 1
    named = []
    for key, row, names in zip(curve_keys, rows, all_names, strict=True):
        source, scale, architecture = key
        texts = [names[place] for place in differing if names[place]]
        if not texts and (several_kinds or not several_architectures):
            texts = ["real" if is_real(row) else row.kind]
        if row.kind in ("mixture", "images", "selected"):
            texts = [row.label or source]
        if several_architectures:
            texts.append(training_recipe(study, architecture).architectures[architecture].label)
        style = curve_style(study, source, scale, architecture)
        spent = real_images_spent(study.sources, study.generators, source)
        named.append(Curve(*key, ", ".join(texts), style, _windows(study, row), spent))
    return named


def _windows(study: Study, row) -> Windows | None:
    if row.kind != "selected":
        return None
    shard = images_per_shard(study, row.source)
    return Windows(row.window or shard, row.per_window(shard))


def _names(row, scale: float | None) -> tuple[str, str, str]:
    """Return generator, recipe and guidance scale of a source as texts; empty if it has none."""
    guidance = "" if scale is None else f"guidance {scale:g}"
    if row.kind != "synthetic":
        return "", "", guidance
    return row.generator, row.recipe, guidance
