"""Settings of figure `repetition`: unique images and epochs of each run."""

from dataclasses import dataclass

from synscale.study.models import Study
from synscale.workflow.runs import iterations_of
from synscale.workflow.settings import Settings
from synscale.workflow.settings.figures import part_of
from synscale.workflow.settings.laws import ExperimentSettings, experiment_settings


@dataclass(frozen=True)
class SeenImages:
    """Images that a run sees, with repetitions."""

    architecture: str
    size: int
    images: int


@dataclass(frozen=True)
class RepetitionSettings(Settings):
    """Figure `repetition`.

    Attributes
    ----------
    experiments : list of ExperimentSettings
    source, evaluation : str
    guidance : float or None
    seen : list of SeenImages
        Of every architecture and size.
    """

    experiments: list[ExperimentSettings]
    source: str
    guidance: float | None
    evaluation: str
    seen: list[SeenImages]


def repetition_settings(study: Study) -> RepetitionSettings:
    """Return the settings of figure `repetition`."""
    figure = part_of(study, "repetition", study.figures.repetition)
    batch_size = study.classifiers.batch_size
    rows = [study.experiments[name] for name in figure.experiments]
    pairs = {
        (architecture, size)
        for row in rows
        for architecture in row.architectures
        if architecture in figure.architectures
        for size in row.sizes
    }
    return RepetitionSettings(
        experiments=experiment_settings(study, figure.experiments),
        source=figure.source,
        guidance=figure.guidance,
        evaluation=figure.evaluation,
        seen=[
            SeenImages(*pair, iterations_of(study, *pair) * batch_size) for pair in sorted(pairs)
        ],
    )
