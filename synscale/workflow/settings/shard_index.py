"""Settings of the jobs that index shards."""

from pathlib import Path

from synscale.study.models import Study
from synscale.workflow.paths import indexed_tars
from synscale.workflow.settings.data import data_settings, training_data
from synscale.workflow.settings.generation import (
    fetch_settings,
    generation_settings,
    generator_settings,
)
from synscale.workflow.settings.prompts import prompt_settings
from synscale.workflow.shards import is_pretrained, is_real, split_of


def shard_index_settings(study: Study, source: str, last: str) -> dict:
    """What decides over the images of a list's own shards: settings of its first and last shard,
    those between being like them; and of what they are made from.
    """
    own, row = (
        [Path(tar).stem for tar in indexed_tars(study, source, last)],
        study.sources[source],
    )
    found = {"shards": len(own), "data": training_data(study)}
    if is_real(row):
        return found | {
            "ends": [data_settings(study, split_of(row), shard) for shard in (own[0], own[-1])]
        }
    weights = (fetch_settings if is_pretrained(study, source) else generator_settings)(
        study, row.generator
    )
    texts = study.recipes[row.recipe]
    pairs = (
        shard_index_settings(study, texts.source, last[-5:]) if texts.kind == "pair_texts" else None
    )
    ends = [generation_settings(study, source, shard) for shard in (own[0], own[-1])]
    return found | {
        "ends": ends,
        "weights": weights,
        "prompts": prompt_settings(study, row.recipe),
        "pairs": pairs,
        "classes": study.classes,
    }
