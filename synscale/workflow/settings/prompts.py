"""Settings of the jobs that write prompts."""

from synscale.study.models import Study
from synscale.workflow.settings.generation import HubWeights, hub_weights


def prompt_settings(study: Study, recipe: str) -> dict:
    return {"recipe": recipe} | study.recipes[recipe].model_dump()


def language_model_settings(study: Study, recipe: str) -> HubWeights:
    return hub_weights(study.recipes[recipe], "language")
