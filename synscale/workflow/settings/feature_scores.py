"""Settings of the jobs that compare images in further feature spaces."""

from dataclasses import dataclass

from synscale.study.models import Study
from synscale.study.models.selection import ClipRun
from synscale.workflow import targets
from synscale.workflow.paths import generator_images, reference_run
from synscale.workflow.runs import Run, group_of
from synscale.workflow.settings import Settings
from synscale.workflow.settings.evaluation import reference_settings, scored_scales
from synscale.workflow.settings.generation import HubWeights, hub_weights
from synscale.workflow.shards import images_of_generator


@dataclass(frozen=True)
class FeatureScoreSettings(Settings):
    """What the measures of a source in a feature space depend on.

    Parameters
    ----------
    source : str
    guidance : tuple of float or None
        Guidance scales; (None,) for images without one.
    images : int
        Images at each guidance scale.
    feature : str
        Name of the feature space.
    model : Run or HubWeights
        Model of the feature space.
    measures : tuple of str
    generator : str or None
        Generator whose training images are compared with; None if they are not needed or not known.
    training_images : int or None
        Number of its training images; None for all images of its split.
    """

    source: str
    guidance: tuple[float | None, ...]
    images: int
    feature: str
    model: Run | HubWeights
    measures: tuple[str, ...]
    generator: str | None
    training_images: int | None


def column(measure: str, feature: str) -> str:
    """Return the name of a measure in a feature space, in files of scores.

    Parameters
    ----------
    measure, feature : str
    """
    return f"{measure}_{feature}"


def score_columns(study: Study) -> tuple[str, ...]:
    """Return the names of the measures of a study in all its feature spaces."""
    return tuple(column(measure, feature) for measure, feature in study.scores.pairs)


def feature_names(study: Study) -> list[str]:
    """Return the feature spaces in which something is measured."""
    return list(dict.fromkeys(feature for _, feature in study.scores.pairs))


def feature_run(study: Study, feature: str) -> Run | None:
    """Return the run that trains the model of a feature space; None if it is downloaded.

    Parameters
    ----------
    study : Study
    feature : str
    """
    row = study.scores.feature_spaces[feature]
    if row.kind == "reference":
        return reference_run(study)
    if isinstance(row, ClipRun):
        return Run(row.source, None, row.architecture, row.size, row.seed)
    return None


def feature_weights(study: Study, feature: str) -> HubWeights:
    """Return the weights that are downloaded for a feature space.

    Parameters
    ----------
    study : Study
    feature : str

    Raises
    ------
    NotInStudy
        If nothing is downloaded for it.
    """
    row = study.scores.feature_spaces[feature]
    if row.kind == "reference":
        return reference_settings(study)
    if isinstance(row, ClipRun):
        where = f"{study.title}: scores.features: {feature}"
        raise targets.NotInStudy(f"{where} is a run of the study; nothing is downloaded for it")
    return hub_weights(row, "open_clip" if feature == "clip" else "classifier")


def feature_folder(study: Study, feature: str) -> str:
    """Return the folder of the model of a feature space.

    Parameters
    ----------
    study : Study
    feature : str
    """
    run = feature_run(study, feature)
    if run is None:
        folder = "reference" if feature == "reference" else f"feature_models/{feature}"
    else:
        kind = "clip" if feature == "clip" else "classifiers"
        folder = f"{kind}/{run.source}/{group_of(study, run)}"
    return f"results/{study.name}/{folder}"


def remembered_generator(study: Study, source: str) -> str | None:
    """Return the generator of a source if its training images are known.

    Parameters
    ----------
    study : Study
    source : str
    """
    row = study.sources[source]
    row = study.sources[row.source] if row.kind == "selected" else row
    if row.kind != "synthetic" or study.generators[row.generator].kind == "pretrained":
        return None
    return row.generator


def remembered_images(study: Study, source: str, feature: str) -> list[str]:
    """Return the tars of the training images that a source is compared with.

    Parameters
    ----------
    study : Study
    source, feature : str
    """
    generator = feature_score_settings(study, source, feature).generator
    return generator_images(study, generator) if generator else []


def feature_score_settings(study: Study, source: str, feature: str) -> FeatureScoreSettings:
    """Return the settings that compare a source in a feature space.

    Parameters
    ----------
    study : Study
    source, feature : str
    """
    measures = tuple(study.scores.measures_in(feature))
    generator = remembered_generator(study, source) if "memorisation" in measures else None
    return FeatureScoreSettings(
        source=source,
        guidance=scored_scales(study, source),
        images=study.scores.images,
        feature=feature,
        model=feature_run(study, feature) or feature_weights(study, feature),
        measures=measures,
        generator=generator,
        training_images=images_of_generator(study, generator) if generator else None,
    )
