"""Digests of the settings of the rules of scores; a function has the name of its rule."""

from synscale.study.models import Study
from synscale.workflow.settings.evaluation import reference_settings, score_settings
from synscale.workflow.settings.feature_scores import feature_score_settings, feature_weights
from synscale.workflow.studies import study_input


@study_input
def fetch_reference(study: Study, wildcards) -> str:
    """Digest of `fetch_reference`."""
    return reference_settings(study).digest()


@study_input
def score(study: Study, wildcards) -> str:
    """Digest of `score`."""
    return score_settings(study, wildcards.source).digest()


@study_input
def fetch_feature_model(study: Study, wildcards) -> str:
    """Digest of `fetch_feature_model`."""
    return feature_weights(study, wildcards.feature).digest()


@study_input
def score_features(study: Study, wildcards) -> str:
    """Digest of `score_features`."""
    return feature_score_settings(study, wildcards.source, wildcards.feature).digest()
