"""Scores of a source in one feature space (`feature_measures`), at each of its guidance scales."""

from synscale.evaluation.feature_measures import FeatureSets, compare
from synscale.evaluation.feature_spaces import FeatureSpace
from synscale.runtime.time_left import Stopwatch
from synscale.training import stream
from synscale.workflow.settings.feature_scores import FeatureScoreSettings, column


def score_features(
    settings: FeatureScoreSettings,
    tars: list[str],
    real_tar: str,
    training_tars: list[str],
    space: FeatureSpace,
    workers: int = 0,
) -> list[dict]:
    """Score the images of a source at each of its guidance scales.

    Parameters
    ----------
    settings : FeatureScoreSettings
    tars : list of str
        Tars of the source, in order.
    real_tar : str
        Tar of the evaluation set that images are compared with.
    training_tars : list of str
        Tars of the training images of the generator; empty if they are not needed or not known.
    space : FeatureSpace
    workers : int
        Processes that read images.

    Returns
    -------
    list of dict
        Source, guidance scale and a value for each measure.
    """

    def features(*opened):
        return space.features(stream.open_images(*opened), workers).to(space.device)

    real = features([real_tar])
    training = None
    if training_tars:
        training = features(training_tars, None, settings.training_images)
    entries = []
    stopwatch = Stopwatch(len(settings.guidance))
    for scale in settings.guidance:
        images = features(tars, scale, settings.images)
        values = compare(FeatureSets(images, real, training), list(settings.measures))
        named = {column(name, settings.feature): value for name, value in values.items()}
        entries.append({"source": settings.source, "guidance": scale, **named})
        left = stopwatch.left(len(entries))
        print(f"set {len(entries)} of {len(settings.guidance)} is compared, {left}", flush=True)
    return entries
