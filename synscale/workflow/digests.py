"""Digests of the settings of every rule, for `params`: a job runs again if its digest changes.

A function has the name of its rule; `prompts` serves the three rules that work for one recipe.
"""

from synscale.study.models import Study
from synscale.workflow.settings import claims, figures, mixed_figures, tables
from synscale.workflow.settings.author_checkpoints import (
    author_checkpoint_settings,
    author_checkpoint_table_settings,
    conversion_settings,
)
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.settings.evaluation import (
    clip_evaluation_settings,
    evaluation_settings,
    reference_settings,
    score_settings,
)
from synscale.workflow.settings.finetuning import finetuning_settings
from synscale.workflow.settings.generation import (
    checker_settings,
    fetch_settings,
    flag_settings,
    generation_settings,
    generator_settings,
)
from synscale.workflow.settings.joint_law import joint_law_settings
from synscale.workflow.settings.laws import law_settings
from synscale.workflow.settings.prompts import language_model_settings, prompt_settings
from synscale.workflow.settings.provenance import provenance_settings
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
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
def index_shards(study: Study, wildcards, input) -> str:
    """Digest of `index_shards`.

    As it takes `input`, Snakemake passes it on but does not compare it: an index whose shards are
    the same is not written again.
    """
    return shard_index_settings(study, wildcards.source, wildcards.shard).digest()


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
def fetch_reference(study: Study, wildcards) -> str:
    """Digest of `fetch_reference`."""
    return reference_settings(study).digest()


@study_input
def score(study: Study, wildcards) -> str:
    """Digest of `score`."""
    return score_settings(study, wildcards.source).digest()


@study_input
def convert_author_checkpoint(study: Study, wildcards) -> str:
    """Digest of `convert_author_checkpoint`."""
    return conversion_settings(study, wildcards.checkpoint).digest()


@study_input
def evaluate_author_checkpoint(study: Study, wildcards) -> str:
    """Digest of `evaluate_author_checkpoint`."""
    return author_checkpoint_settings(study, wildcards.checkpoint).digest()


@study_input
def tabulate_author_checkpoints(study: Study, wildcards) -> str:
    """Digest of `tabulate_author_checkpoints`."""
    return author_checkpoint_table_settings(study).digest()


@study_input
def fit_laws(study: Study, wildcards) -> str:
    """Digest of `fit_laws`."""
    return law_settings(study, wildcards.law).digest()


@study_input
def plot_samples(study: Study, wildcards) -> str:
    """Digest of `plot_samples`."""
    return figures.samples_settings(study).digest()


@study_input
def plot_recognizability_diversity(study: Study, wildcards) -> str:
    """Digest of `plot_recognizability_diversity`."""
    return figures.plane_settings(study).digest()


@study_input
def plot_configuration_sweep(study: Study, wildcards) -> str:
    """Digest of `plot_configuration_sweep`."""
    return figures.sweep_settings(study).digest()


@study_input
def plot_scores(study: Study, wildcards) -> str:
    """Digest of `plot_scores`."""
    return figures.scores_settings(study).digest()


@study_input
def plot_per_class(study: Study, wildcards) -> str:
    """Digest of `plot_per_class`."""
    return figures.per_class_settings(study).digest()


@study_input
def plot_scaling(study: Study, wildcards) -> str:
    """Digest of `plot_scaling`."""
    return figures.panels_settings(study, wildcards.scaling).digest()


@study_input
def plot_beyond_the_law(study: Study, wildcards) -> str:
    """Digest of `plot_beyond_the_law`."""
    return figures.beyond_settings(study).digest()


@study_input
def plot_exchange_rate(study: Study, wildcards) -> str:
    """Digest of `plot_exchange_rate`."""
    return figures.exchange_settings(study).digest()


@study_input
def plot_limited_real(study: Study, wildcards) -> str:
    """Digest of `plot_limited_real`."""
    return mixed_figures.limited_settings(study).digest()


@study_input
def plot_joint_law(study: Study, wildcards) -> str:
    """Digest of `plot_joint_law`."""
    return joint_law_settings(study).digest()


@study_input
def plot_clip_transfer(study: Study, wildcards) -> str:
    """Digest of `plot_clip_transfer`."""
    return mixed_figures.transfer_settings(study).digest()


@study_input
def plot_training_curves(study: Study, wildcards) -> str:
    """Digest of `plot_training_curves`."""
    return mixed_figures.training_curves_settings(study).digest()


@study_input
def plot_teaser(study: Study, wildcards) -> str:
    """Digest of `plot_teaser`."""
    return figures.teaser_settings(study).digest()


@study_input
def tabulate_prompts(study: Study, wildcards) -> str:
    """Digest of `tabulate_prompts`."""
    return tables.prompts_settings(study).digest()


@study_input
def tabulate_configurations(study: Study, wildcards) -> str:
    """Digest of `tabulate_configurations`."""
    return tables.configurations_settings(study).digest()


@study_input
def tabulate_metrics(study: Study, wildcards) -> str:
    """Digest of `tabulate_metrics`."""
    return tables.table_settings(study, wildcards.table).digest()


@study_input
def tabulate_hyperparameters(study: Study, wildcards) -> str:
    """Digest of `tabulate_hyperparameters`."""
    return tables.hyperparameters_settings(study).digest()


@study_input
def tabulate_laws(study: Study, wildcards) -> str:
    """Digest of `tabulate_laws`."""
    return tables.laws_settings(study).digest()


@study_input
def tabulate_claims(study: Study, wildcards) -> str:
    """Digest of `tabulate_claims`."""
    return claims.claims_settings(study).digest()


@study_input
def tabulate_versus_paper(study: Study, wildcards) -> str:
    """Digest of `tabulate_versus_paper`."""
    return tables.versus_settings(study).digest()


@study_input
def write_provenance(study: Study, wildcards) -> str:
    """Digest of `write_provenance`."""
    return provenance_settings(study).digest()
