"""Settings of the jobs that index shards."""

from dataclasses import dataclass
from pathlib import Path

from synscale.study.models import Study
from synscale.study.models.data import EvaluationSet
from synscale.workflow.paths import indexed_tars
from synscale.workflow.settings import Settings
from synscale.workflow.settings.data import IndexSettings, data_settings, training_data
from synscale.workflow.settings.finetuning import weights_settings
from synscale.workflow.settings.generation import generation_settings
from synscale.workflow.settings.prompts import PromptSettings, prompt_settings
from synscale.workflow.shards import is_elsewhere, is_prepared, split_of


@dataclass(frozen=True)
class ShardIndexSettings(Settings):
    """Settings of `index_shards`: everything that determines the images of the shards of an index.

    Attributes
    ----------
    shards : int
        Number of shards that are not in the index before.
    data : tuple
        Settings of the real training images; none for images that were generated elsewhere.
    ends : tuple
        Settings of the first and the last of the shards; those between are like them.
    weights, prompts, pairs, classes
        Settings of the generator, of the recipe and of the index of the pairs that give texts, and
        the class table; None for real images.
    """

    shards: int
    data: tuple[IndexSettings | EvaluationSet, ...]
    ends: tuple[Settings, ...]
    weights: Settings | None = None
    prompts: PromptSettings | None = None
    pairs: "ShardIndexSettings | None" = None
    classes: str | None = None


def shard_index_settings(study: Study, source: str, last: str) -> ShardIndexSettings:
    """Return the settings of the index of the shards of a source up to `last`.

    Parameters
    ----------
    study : Study
    source : str
        Source of real or synthetic images.
    last : str
        Name of the last shard.
    """
    names = [Path(tar).stem for tar in indexed_tars(study, source, last)]
    ends = (names[0], names[-1])
    row = study.sources[source]
    data = () if is_elsewhere(study, source) else training_data(study)
    if is_prepared(row):
        split = split_of(study, source)
        shards = tuple(data_settings(study, split, shard) for shard in ends)
        return ShardIndexSettings(len(names), data, shards)
    recipe = study.recipes[row.recipe]
    has_pairs = recipe.kind == "pair_texts"
    return ShardIndexSettings(
        len(names),
        data,
        tuple(generation_settings(study, source, shard) for shard in ends),
        weights_settings(study, row.generator),
        prompt_settings(study, row.recipe),
        shard_index_settings(study, recipe.source, last[-5:]) if has_pairs else None,
        study.classes,
    )
