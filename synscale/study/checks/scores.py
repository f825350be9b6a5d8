"""Checks of the feature spaces and the measures of scores."""

from collections.abc import Iterator

from synscale.study.checks.selection import trains_clip
from synscale.study.models.scores import NEIGHBOURS, ClipRunFeatures


def check_feature_spaces(scores, clip, experiments, sources) -> Iterator[str]:
    """Check that feature spaces have measures, different names, and models that exist."""
    if bool(scores.features) != bool(scores.measures):
        missing, other = ("measures", "features") if scores.features else ("features", "measures")
        yield f"scores.{missing}: missing; add it, or remove scores.{other}"
    names = [row.kind.removesuffix("_run") for row in scores.features]
    for place, (name, row) in enumerate(zip(names, scores.features, strict=True)):
        key = f"scores.features.{place}"
        if name in names[:place]:
            yield f"{key}: a second feature space {name!r}; remove one"
        if isinstance(row, ClipRunFeatures) and not any(
            clip and trains_clip(experiment, row, sources, clip)
            for experiment in experiments.values()
        ):
            run = row.model_dump(exclude={"kind"})
            yield f"{key} = {run}: no experiment trains it; name a run that one does"


def check_measures(scores, sources, generators) -> Iterator[str]:
    """Check that measures are different, and that the study has what they need."""
    for place, name in enumerate(scores.measures):
        key = f"scores.measures.{place} = {name!r}"
        if name in scores.measures[:place]:
            yield f"{key}: is there twice; remove one"
        if scores.images <= NEIGHBOURS.get(name, 0):
            yield (
                f"{key}: scores.images = {scores.images} images (expected more than its "
                f"{NEIGHBOURS[name]} neighbours); use more images"
            )
    if "cmmd" in scores.measures and scores.features and "clip" not in scores.feature_spaces:
        yield "scores.measures: cmmd is defined for features of CLIP; add clip to scores.features"
    if "memorisation" in scores.measures:
        used = {getattr(row, "generator", None) for row in sources.values()}
        if not any(name in used and row.kind != "pretrained" for name, row in generators.items()):
            yield (
                "scores.measures: memorisation needs the training images of a generator, and no "
                "source has a generator that the study trains; remove it"
            )


CHECKS = [check_feature_spaces, check_measures]
