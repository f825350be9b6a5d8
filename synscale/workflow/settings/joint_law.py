"""Settings of figure `joint_law`: numbers of real and of synthetic images, and prices."""

from dataclasses import dataclass

from synscale.study.models import Study
from synscale.study.models.mixed_figures import Prices
from synscale.study.models.two_kinds import count_images, two_kinds
from synscale.workflow.settings import Settings
from synscale.workflow.settings.figures import part_of
from synscale.workflow.settings.laws import ExperimentSettings, experiment_settings


@dataclass(frozen=True)
class TrainingSet:
    """The images of both kinds in the training sets of one curve and size."""

    source: str
    guidance: float | None
    size: int
    real: int
    synthetic: int


@dataclass(frozen=True)
class JointLawSettings(Settings):
    """Figure `joint_law`.

    Attributes
    ----------
    experiments : list of ExperimentSettings
    architecture, evaluation : str
    synthetic : str
        Source of the synthetic images.
    guidance : float or None
        Their guidance scale.
    labels : dict of str to str
        Names of the mixtures in the figure.
    sets : list of TrainingSet
    prices : Prices
    """

    experiments: list[ExperimentSettings]
    architecture: str
    evaluation: str
    synthetic: str
    guidance: float | None
    labels: dict[str, str]
    sets: list[TrainingSet]
    prices: Prices


def joint_law_settings(study: Study) -> JointLawSettings:
    """Return the settings of figure `joint_law`."""
    figure = part_of(study, "joint_law", study.figures.joint_law)
    pair = two_kinds(study.sources, figure.mixtures[0])
    assert pair is not None  # the checks of a study refuse other mixtures
    rows = [study.experiments[name] for name in figure.experiments]
    curves = pair.curves(figure.mixtures)
    numbers = count_images(study.sources, rows, figure.architecture, curves)
    return JointLawSettings(
        experiments=experiment_settings(study, figure.experiments),
        architecture=figure.architecture,
        evaluation=figure.evaluation,
        synthetic=pair.synthetic,
        guidance=pair.guidance,
        labels={name: study.sources[name].label for name in figure.mixtures},
        sets=[TrainingSet(*key, *images) for key, images in numbers.items()],
        prices=figure.prices,
    )
