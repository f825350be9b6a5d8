"""Settings of the figures that show every configuration of one experiment."""

from dataclasses import dataclass, replace

from synscale.study.models import Study, expand_curves
from synscale.study.models.figures import SweepFigure
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import Label, figure_labels
from synscale.workflow.settings.feature_scores import score_columns
from synscale.workflow.settings.figures import label_names, part_of
from synscale.workflow.settings.laws import ExperimentSettings, experiment_settings


@dataclass(frozen=True)
class ConfigurationSettings(Settings):
    """Figures `configuration_sweep` and `scores`: every configuration of one experiment.

    measures: columns of the additional measures of figure `scores`.
    """

    experiments: list[ExperimentSettings]
    architecture: str
    evaluation: str
    generators: list[str]
    recipes: list[str]
    labels: list[Label]
    measures: tuple[str, ...] = ()


def _configurations(study: Study, figure: SweepFigure) -> ConfigurationSettings:
    curves = set(expand_curves(study.experiments[figure.experiment].curves, study.sources))
    labels = [label for label in figure_labels(study) if (label.source, label.guidance) in curves]
    return ConfigurationSettings(
        experiments=experiment_settings(study, [figure.experiment]),
        architecture=figure.architecture,
        evaluation=figure.evaluation,
        generators=label_names(labels, "generator"),
        recipes=label_names(labels, "recipe"),
        labels=labels,
    )


def sweep_settings(study: Study) -> ConfigurationSettings:
    """Return the settings of figure `configuration_sweep`."""
    figure = study.figures.configuration_sweep
    return _configurations(study, part_of(study, "configuration_sweep", figure))


def scores_settings(study: Study) -> ConfigurationSettings:
    """Return the settings of figure `scores`."""
    settings = _configurations(study, part_of(study, "scores", study.figures.scores))
    return replace(settings, measures=score_columns(study))
