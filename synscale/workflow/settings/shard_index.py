"""Settings of the jobs that index shards."""

from dataclasses import dataclass
from pathlib import Path

from synscale.study.models import Study
from synscale.study.models.data import EvaluationSet
from synscale.study.models.selection import SelectedSource
from synscale.workflow.paths import indexed_tars, selecting_run, unselected_shard
from synscale.workflow.runs import group_of
from synscale.workflow.settings import Settings
from synscale.workflow.settings.data import IndexSettings, data_settings, training_data
from synscale.workflow.settings.finetuning import weights_settings
from synscale.workflow.settings.generation import generation_settings
from synscale.workflow.settings.prompts import PromptSettings, prompt_settings
from synscale.workflow.settings.selection import selection_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
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
        the class table; None for real images. For selected images, weights are the training of the
        model that selects; None if it is downloaded.
    unselected
        Settings of the index of the images that these are selected from.
    """

    shards: int
    data: tuple[IndexSettings | EvaluationSet, ...]
    ends: tuple[Settings, ...]
    weights: Settings | None = None
    prompts: PromptSettings | None = None
    pairs: "ShardIndexSettings | None" = None
    classes: str | None = None
    unselected: "ShardIndexSettings | None" = None


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
    if isinstance(row, SelectedSource):
        return ShardIndexSettings(
            len(names),
            data,
            tuple(selection_settings(study, source, shard) for shard in ends),
            _selecting_training(study, source),
            unselected=shard_index_settings(
                study, row.source, unselected_shard(study, source, last)
            ),
        )
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


def _selecting_training(study: Study, source: str) -> Settings | None:
    """Return the settings of the training whose model selects the images of a source."""
    run = selecting_run(study, source)
    if run is None:
        return None
    settings_of = clip_settings if study.sources[source].clip else classifier_settings
    return settings_of(study, run.source, group_of(study, run))
