"""Settings of the jobs that write prompts."""

from dataclasses import dataclass

from synscale.study.models import Study
from synscale.study.models.base import HubModel
from synscale.study.models.recipes import Recipe
from synscale.workflow.settings import Settings
from synscale.workflow.settings.generation import HubWeights, hub_weights


@dataclass(frozen=True)
class PromptSettings(Settings):
    """Settings of `write_prompts`, `write_sentences` and `caption_images`: a recipe by name."""

    name: str
    recipe: Recipe


def prompt_settings(study: Study, recipe: str) -> PromptSettings:
    """Return the settings of the prompts of a recipe."""
    return PromptSettings(recipe, study.recipes[recipe])


def language_model_settings(study: Study, recipe: str) -> HubWeights:
    """Return the settings of the download of a recipe's model."""
    row = study.recipes[recipe]
    assert isinstance(row, HubModel)
    return hub_weights(row, "language")
