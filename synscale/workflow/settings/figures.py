"""Settings of the jobs that draw figures: what each figure shows."""

from dataclasses import dataclass
from typing import TypeVar

from synscale.study import class_table
from synscale.study.models import Study, expand_curves
from synscale.study.models.base import StrictModel
from synscale.study.models.figures import SweepFigure
from synscale.workflow.paths import image_files
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import ELSEWHERE, Curve, Label, figure_labels, labelled
from synscale.workflow.settings.laws import (
    ExperimentSettings,
    LawSettings,
    experiment_settings,
    law_settings,
)
from synscale.workflow.shards import is_elsewhere, real_sources, synthetic_sources
from synscale.workflow.targets import NotInStudy

Part = TypeVar("Part", bound=StrictModel)


def part_of(study: Study, name: str, part: Part | None) -> Part:
    """Return the study's key of the figure or table `name`. Raise NotInStudy if it has none.

    Parameters
    ----------
    study : Study
    name : str
    part : StrictModel, or None if the study has no such key
    """
    if part is None:
        raise NotInStudy(
            f"{study.title}: the study has no figure or table {name!r}; "
            f"add figures.{name} or tables.{name} to its file"
        )
    return part


def names_of(part) -> list[str]:
    """Return the names of the figures or tables that a study has."""
    return [name for name in type(part).model_fields if getattr(part, name) is not None]


def experiments_of_laws(study: Study, laws: list[str]) -> list[str]:
    """Return the experiments that some laws are fitted to, each once."""
    return list(dict.fromkeys(name for law in laws for name in study.laws[law].experiments))


# -- samples ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SamplesSettings(Settings):
    """Figure `samples`. rows: number of shards of each recipe that has a row."""

    guidance: list[float]
    rows: dict[str, int]
    columns: int
    classes: list[int] | None


def samples_sources(study: Study) -> list[str]:
    """Return the source of each recipe in the figure."""
    figure = part_of(study, "samples", study.figures.samples)
    return [synthetic_sources(study, [figure.generator], [recipe])[0] for recipe in figure.recipes]


def samples_tars(study: Study) -> list[str]:
    """Return the shards with the first image of each class."""
    count = class_table.count(study.classes)
    return [tar for source in samples_sources(study) for tar in image_files(study, source, count)]


def samples_of_real(study: Study) -> list[str]:
    """Return the shards with as many real images of each class as there are columns."""
    count = class_table.count(study.classes) * len(samples_settings(study).guidance)
    return [tar for source in real_sources(study) for tar in image_files(study, source, count)]


def samples_settings(study: Study) -> SamplesSettings:
    """Return the settings of figure `samples`."""
    figure = part_of(study, "samples", study.figures.samples)
    sources = samples_sources(study)
    count = class_table.count(study.classes)
    rows = {
        recipe: len(image_files(study, source, count))
        for recipe, source in zip(figure.recipes, sources, strict=True)
    }
    scales = sorted({scale for source in sources for scale in study.sources[source].images})
    return SamplesSettings(scales, rows, figure.columns, figure.classes)


# -- configurations --------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlaneSettings(Settings):
    """Figure `recognizability_diversity`."""

    generators: list[str]
    recipes: list[str]
    labels: list[Label]


@dataclass(frozen=True)
class ConfigurationSettings(Settings):
    """Figures `configuration_sweep` and `scores`: every configuration of one experiment."""

    experiments: list[ExperimentSettings]
    architecture: str
    evaluation: str
    generators: list[str]
    recipes: list[str]
    labels: list[Label]


def plane_sources(study: Study) -> list[str]:
    """Return the sources whose scores figure `recognizability_diversity` shows."""
    figure = study.figures.recognizability_diversity
    generators = part_of(study, "recognizability_diversity", figure).generators
    elsewhere = [name for name in study.sources if is_elsewhere(study, name)]
    return real_sources(study) + synthetic_sources(study, generators) + elsewhere


def plane_settings(study: Study) -> PlaneSettings:
    """Return the settings of figure `recognizability_diversity`."""
    sources = plane_sources(study)
    labels = [label for label in figure_labels(study) if label.source in sources]
    figure = study.figures.recognizability_diversity
    generators = part_of(study, "recognizability_diversity", figure).generators
    recipes = [label for label in labels if label.generator != ELSEWHERE]
    return PlaneSettings(generators, _names(recipes, "recipe"), labels)


def _names(labels: list[Label], key: str) -> list[str]:
    """Return the distinct generators or recipes of some labels, without real images."""
    names = dict.fromkeys(getattr(label, key) for label in labels)
    return [name for name in names if name != "real"]


def _configurations(study: Study, figure: SweepFigure) -> ConfigurationSettings:
    curves = set(expand_curves(study.experiments[figure.experiment].curves, study.sources))
    labels = [label for label in figure_labels(study) if (label.source, label.guidance) in curves]
    return ConfigurationSettings(
        experiments=experiment_settings(study, [figure.experiment]),
        architecture=figure.architecture,
        evaluation=figure.evaluation,
        generators=_names(labels, "generator"),
        recipes=_names(labels, "recipe"),
        labels=labels,
    )


def sweep_settings(study: Study) -> ConfigurationSettings:
    """Return the settings of figure `configuration_sweep`."""
    figure = study.figures.configuration_sweep
    return _configurations(study, part_of(study, "configuration_sweep", figure))


def scores_settings(study: Study) -> ConfigurationSettings:
    """Return the settings of figure `scores`."""
    return _configurations(study, part_of(study, "scores", study.figures.scores))


def configuration_sources(settings) -> list[str]:
    """Return the sources that the labels of some settings name, each once."""
    return list(dict.fromkeys(label.source for label in settings.labels))


# -- panels of curves with laws --------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """CurveSelection that share a panel and a law."""

    title: str
    law: str
    curves: list[Curve]


@dataclass(frozen=True)
class PanelsSettings(Settings):
    """Figures `..._scaling` and `beyond_the_law`. laws: the settings of each panel's law."""

    laws: dict[str, LawSettings]
    panels: list[Panel]


@dataclass(frozen=True)
class ExchangeSettings(Settings):
    """Figure `exchange_rate`. real: the source of the real images."""

    law: LawSettings
    architecture: str
    real: str
    curves: list[Curve]


@dataclass(frozen=True)
class TeaserPanel:
    """CurveSelection that share a panel. laws: name of each law in the figure."""

    title: str
    laws: dict[str, str]
    curves: list[Curve]


@dataclass(frozen=True)
class TeaserSettings(Settings):
    """Figure `teaser`."""

    panels: list[TeaserPanel]


def panels_settings(study: Study, name: str) -> PanelsSettings:
    """Return the settings of a figure that consists of panels of curves, each with a law."""
    panels = [
        Panel(panel.title, panel.law, labelled(study, panel.curves, panel.architectures))
        for panel in part_of(study, name, getattr(study.figures, name, None)).panels
    ]
    laws = {panel.law: law_settings(study, panel.law) for panel in panels}
    return PanelsSettings(laws, panels)


def beyond_settings(study: Study) -> PanelsSettings:
    """Return the settings of figure `beyond_the_law`."""
    return panels_settings(study, "beyond_the_law")


def panel_laws(study: Study, name: str) -> list[str]:
    """Return the laws of the panels of a figure, each once."""
    panels = part_of(study, name, getattr(study.figures, name, None)).panels
    return list(dict.fromkeys(panel.law for panel in panels))


def exchange_settings(study: Study) -> ExchangeSettings:
    """Return the settings of figure `exchange_rate`."""
    figure = part_of(study, "exchange_rate", study.figures.exchange_rate)
    return ExchangeSettings(
        law=law_settings(study, figure.law),
        architecture=figure.architecture,
        real=real_sources(study)[0],
        curves=labelled(study, figure.curves, [figure.architecture]),
    )


def teaser_settings(study: Study) -> TeaserSettings:
    """Return the settings of figure `teaser`."""
    panels = [
        TeaserPanel(panel.title, panel.laws, labelled(study, panel.curves, [panel.architecture]))
        for panel in part_of(study, "teaser", study.figures.teaser).panels
    ]
    return TeaserSettings(panels)


def teaser_laws(study: Study) -> list[str]:
    """Return the laws of figure `teaser`, each once."""
    panels = part_of(study, "teaser", study.figures.teaser).panels
    return list(dict.fromkeys(law for panel in panels for law in panel.laws))


# -- classes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PerClassSettings(Settings):
    """Figure `per_class`. Thresholds of groups are as in the study's `figures.per_class`."""

    law: LawSettings
    curves: list[Curve]
    easy_top1: float
    poor_k: float
    examples: int


def per_class_settings(study: Study) -> PerClassSettings:
    """Return the settings of figure `per_class`."""
    figure = part_of(study, "per_class", study.figures.per_class)
    return PerClassSettings(
        law=law_settings(study, figure.law),
        curves=labelled(study, figure.curves, [figure.architecture]),
        easy_top1=figure.easy_top1,
        poor_k=figure.poor_k,
        examples=figure.examples,
    )


def per_class_sources(study: Study) -> list[str]:
    """Return the sources of figure `per_class`, each once."""
    return list(dict.fromkeys(curve.source for curve in per_class_settings(study).curves))


def per_class_tars(study: Study) -> list[str]:
    """Return the first images of the curve whose classes are shown."""
    first = per_class_settings(study).curves[0]
    return image_files(study, first.source, 1, first.guidance)
