"""The work of jobs that score and select images."""

from synscale.planning.evaluation_images import digits_images, evaluation_images
from synscale.planning.image_sizes import MANIFEST_ROW
from synscale.planning.work_units import SMALL_FILE, Work
from synscale.study.models import Study
from synscale.study.models.scores import NEIGHBOURS
from synscale.workflow.settings.feature_scores import feature_score_settings
from synscale.workflow.settings.selection import selection_settings


def score_work(study: Study, source: str) -> Work:
    """Return the work of scoring a source by the reference.

    Parameters
    ----------
    study : Study
    source : str
    """
    row, images = study.sources[source], study.scores.images
    units: dict[str, float] = {"job": 1, "image": images}
    if row.kind != "real":
        # Distances of real images to each other, of those of each set, and between both.
        sets = len(row.images) if row.kind == "synthetic" else 1
        real = evaluation_images(study, study.scores.evaluation)
        distances = real**2 + sets * (images**2 + images * real)
        units |= {"image": sets * images, "pair": distances}
    return Work(units, outputs=SMALL_FILE, gpus=study.gpus)


def score_features_work(study: Study, source: str, feature: str) -> Work:
    """Return the work of comparing a source in a feature space: features, and distances.

    Parameters
    ----------
    study : Study
    source, feature : str
    """
    settings = feature_score_settings(study, source, feature)
    real = evaluation_images(study, study.scores.evaluation)
    sets, images = len(settings.guidance), settings.images
    training = 0
    if settings.generator:
        training = settings.training_images or digits_images(study.data.generator_training)
    pairs = sets * training * (images + real)
    if NEIGHBOURS.keys() & set(settings.measures):
        pairs += sets * (2 * real**2 + images**2 + 3 * images * real)
    units: dict[str, float] = {"job": 1, "image": sets * images + real + training, "pair": pairs}
    return Work(units, feature, outputs=SMALL_FILE, gpus=study.gpus)


def select_images_work(study: Study, source: str, shard: str) -> Work:
    """Return the work of selecting from a shard: a score of each image of its windows.

    Parameters
    ----------
    study : Study
    source, shard : str
    """
    settings = selection_settings(study, source, shard)
    images = -(-settings.images // settings.per_window) * settings.window
    outputs = MANIFEST_ROW * settings.images
    return Work({"job": 1, "image": images}, outputs=outputs, gpus=study.gpus)
