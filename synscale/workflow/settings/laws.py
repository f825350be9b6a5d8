"""Settings of the jobs that fit laws, and of every job that reads the metrics of experiments."""

from dataclasses import dataclass

from synscale.study.models import Study, expand_curves
from synscale.workflow.settings import Settings


@dataclass(frozen=True)
class ExperimentSettings:
    """The training runs of an experiment: every curve at every size with every seed.

    Attributes
    ----------
    curves : list of (str, float or None)
        Source and guidance scale.
    architectures : list of str
    sizes, seeds : list of int
    """

    curves: list[tuple[str, float | None]]
    architectures: list[str]
    sizes: list[int]
    seeds: list[int]


@dataclass(frozen=True)
class LawSettings(Settings):
    """What a law is fitted to.

    Attributes
    ----------
    experiments : list of ExperimentSettings
    evaluation : list of str
        Evaluation sets or tasks; of several, the mean loss.
    sizes : tuple of int
        Smallest and largest size of the fit.
    """

    experiments: list[ExperimentSettings]
    evaluation: list[str]
    sizes: tuple[int, int]


def experiment_settings(study: Study, experiments: list[str]) -> list[ExperimentSettings]:
    """Return the training runs of some experiments of a study."""
    return [
        ExperimentSettings(
            expand_curves(e.curves, study.sources), e.architectures, e.sizes, e.seeds
        )
        for e in (study.experiments[name] for name in experiments)
    ]


def law_settings(study: Study, law: str) -> LawSettings:
    """Return what a law of a study is fitted to."""
    row = study.laws[law]
    return LawSettings(experiment_settings(study, row.experiments), row.evaluation, row.sizes)
