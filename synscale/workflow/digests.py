"""Digests of the settings of rules, for `params`: a job runs again if its digest changes.

A function has the name of its rule; `prompts` serves the three rules that work for one recipe.
`figure_digests` has those of figures and tables, `score_digests` those of scores.
"""

from synscale.study.models import Study
from synscale.workflow.settings import author_checkpoints
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.settings.evaluation import (
    clip_evaluation_settings,
    evaluation_settings,
)
from synscale.workflow.settings.finetuning import finetuning_settings
from synscale.workflow.settings.generation import (
    checker_settings,
    fetch_settings,
    flag_settings,
    generation_settings,
    generator_settings,
)
from synscale.workflow.settings.laws import law_settings
from synscale.workflow.settings.prompts import language_model_settings, prompt_settings
from synscale.workflow.settings.provenance import provenance_settings
from synscale.workflow.settings.selection import selection_settings
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.settings.training import (
    classifier_settings,
    clip_settings,
    start_settings,
)
from synscale.workflow.studies import study_input


@study_input
def index_data(study: Study, wildcards) -> str:
    """Digest of `index_data`."""
    return index_settings(study, wildcards.split).digest()


@study_input
def prepare_data(study: Study, wildcards) -> str:
    """Digest of `prepare_data`."""
    return data_settings(study, wildcards.split, wildcards.shard).digest()


@study_input
def fetch_model(study: Study, wildcards) -> str:
    """Digest of `fetch_model`."""
    return language_model_settings(study, wildcards.recipe).digest()


@study_input
def prompts(study: Study, wildcards) -> str:
    """Digest of `write_sentences`, `caption_images` and `write_prompts`."""
    return prompt_settings(study, wildcards.recipe).digest()


@study_input
def train_generator(study: Study, wildcards) -> str:
    """Digest of `train_generator`."""
    return generator_settings(study, wildcards.generator).digest()


@study_input
def finetune_generator(study: Study, wildcards) -> str:
    """Digest of `finetune_generator`."""
    return finetuning_settings(study, wildcards.generator).digest()


@study_input
def fetch_generator(study: Study, wildcards) -> str:
    """Digest of `fetch_generator`."""
    return fetch_settings(study, wildcards.generator).digest()


@study_input
def generate(study: Study, wildcards) -> str:
    """Digest of `generate`."""
    return generation_settings(study, wildcards.source, wildcards.shard).digest()


@study_input
def fetch_safety_checker(study: Study, wildcards) -> str:
    """Digest of `fetch_safety_checker`."""
    return checker_settings(study).digest()


@study_input
def flag_images(study: Study, wildcards) -> str:
    """Digest of `flag_images`."""
    return flag_settings(study, wildcards.source).digest()


@study_input
def select_images(study: Study, wildcards) -> str:
    """Digest of `select_images`."""
    return selection_settings(study, wildcards.source, wildcards.shard).digest()


@study_input
def index_shards(study: Study, wildcards, input) -> str:
    """Digest of `index_shards`.

    As it takes `input`, Snakemake passes it on but does not compare it: an index whose shards are
    the same is not written again.
    """
    return shard_index_settings(study, wildcards.source, wildcards.shard).digest()


@study_input
def fetch_start(study: Study, wildcards) -> str:
    """Digest of `fetch_start`."""
    return start_settings(study, wildcards.architecture).digest()


@study_input
def train_classifiers(study: Study, wildcards) -> str:
    """Digest of `train_classifiers`."""
    return classifier_settings(study, wildcards.source, wildcards.group).digest()


@study_input
def train_clip(study: Study, wildcards) -> str:
    """Digest of `train_clip`."""
    return clip_settings(study, wildcards.source, wildcards.group).digest()


@study_input
def evaluate(study: Study, wildcards) -> str:
    """Digest of `evaluate`."""
    return evaluation_settings(study, wildcards.source, wildcards.group).digest()


@study_input
def evaluate_clip(study: Study, wildcards) -> str:
    """Digest of `evaluate_clip`."""
    return clip_evaluation_settings(study, wildcards.source, wildcards.group).digest()


@study_input
def convert_author_checkpoint(study: Study, wildcards) -> str:
    """Digest of `convert_author_checkpoint`."""
    return author_checkpoints.conversion_settings(study, wildcards.checkpoint).digest()


@study_input
def evaluate_author_checkpoint(study: Study, wildcards) -> str:
    """Digest of `evaluate_author_checkpoint`."""
    return author_checkpoints.author_checkpoint_settings(study, wildcards.checkpoint).digest()


@study_input
def tabulate_author_checkpoints(study: Study, wildcards) -> str:
    """Digest of `tabulate_author_checkpoints`."""
    return author_checkpoints.author_checkpoint_table_settings(study).digest()


@study_input
def fit_laws(study: Study, wildcards) -> str:
    """Digest of `fit_laws`."""
    return law_settings(study, wildcards.law).digest()


@study_input
def write_provenance(study: Study, wildcards) -> str:
    """Digest of `write_provenance`."""
    return provenance_settings(study).digest()
