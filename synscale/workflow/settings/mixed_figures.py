"""Settings of the figures of mixtures, of CLIP models of comparable sizes, and of trainings."""

from dataclasses import dataclass

from synscale.study.models import Study, images_of_each_part
from synscale.workflow.runs import Run, training_runs
from synscale.workflow.settings import Settings
from synscale.workflow.settings.curves import Curve, CurveStyle, curve_style, labelled
from synscale.workflow.settings.figures import part_of
from synscale.workflow.settings.laws import ExperimentSettings, experiment_settings
from synscale.workflow.shards import real_sources
from synscale.workflow.targets import NotInStudy


@dataclass(frozen=True)
class FewRealMixture:
    """A mixture of a fixed number of real images and a growing number of synthetic ones."""

    source: str
    label: str
    real_images: int
    style: CurveStyle | None = None


@dataclass(frozen=True)
class FewRealSettings(Settings):
    """Figure `limited_real`. real: the source of the real images."""

    architecture: str
    evaluation: str
    experiments: list[ExperimentSettings]
    real: str
    mixtures: list[FewRealMixture]


@dataclass(frozen=True)
class TransferModel:
    """A CLIP model of figure `clip_transfer`.

    Attributes
    ----------
    curve : Curve
    size : int
        Training images.
    each : int
        Training images of each part of the source.
    extra : bool
        Whether it is trained on more images than the models that are compared.
    """

    curve: Curve
    size: int
    each: int
    extra: bool = False


@dataclass(frozen=True)
class TransferSettings(Settings):
    """Figure `clip_transfer`. evaluations: name of each set or task in the figure."""

    evaluations: dict[str, str]
    experiments: list[ExperimentSettings]
    models: list[TransferModel]


@dataclass(frozen=True)
class TrainingCurvesSettings(Settings):
    """Figure `training_curves`."""

    runs: list[Run]


def training_curves_settings(study: Study) -> TrainingCurvesSettings:
    """Return the settings of figure `training_curves`."""
    figure = part_of(study, "training_curves", study.figures.training_curves)
    return TrainingCurvesSettings(training_runs(study, figure.experiments))


def limited_settings(study: Study) -> FewRealSettings:
    """Return the settings of figure `limited_real`."""
    figure = part_of(study, "limited_real", study.figures.limited_real)
    rows = [(name, study.sources[name]) for name in figure.mixtures]
    return FewRealSettings(
        architecture=figure.architecture,
        evaluation=figure.evaluation,
        experiments=experiment_settings(study, figure.experiments),
        real=real_sources(study)[0],
        mixtures=[
            FewRealMixture(
                name, row.label, row.parts[0].images or 0, curve_style(study, name, None)
            )
            for name, row in rows
        ],
    )


def _even_sizes(study: Study, curve: Curve, experiments: list[str]) -> dict[int, int]:
    """Return the sizes of a curve that have equally many images of each part, by that number."""
    sizes = {
        run.size
        for run in training_runs(study, experiments)
        if (run.source, run.guidance, run.architecture) == curve.key
    }
    by_images = {}
    for size in sorted(sizes):
        each = images_of_each_part(study.sources, curve.source, curve.guidance, size)
        if each is not None:
            by_images[each] = size
    return by_images


def transfer_settings(study: Study) -> TransferSettings:
    """Return the settings of figure `clip_transfer`.

    Every curve is shown at the size at which all have as many images of each part as possible;
    synthetic ones are shown again at their largest size. Raise NotInStudy if no number of images of
    each part is common to all curves.
    """
    figure = part_of(study, "clip_transfer", study.figures.clip_transfer)
    curves = labelled(study, figure.curves, [figure.architecture])
    sizes = [_even_sizes(study, curve, figure.experiments) for curve in curves]
    common = set.intersection(*map(set, sizes))
    if not common:
        raise NotInStudy(
            "figures.clip_transfer: its curves share no number of images of each part; "
            "add sizes to its experiments"
        )
    each = max(common)
    models = [
        TransferModel(curve, by_images[each], each)
        for curve, by_images in zip(curves, sizes, strict=True)
    ]
    for curve, by_images in zip(curves, sizes, strict=True):
        most = max(by_images)
        if study.sources[curve.source].kind == "synthetic" and most > each:
            models.append(TransferModel(curve, by_images[most], most, extra=True))
    experiments = experiment_settings(study, figure.experiments)
    return TransferSettings(figure.evaluations, experiments, models)
