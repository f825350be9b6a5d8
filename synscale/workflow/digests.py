"""Digests of the settings of every rule, for `params`: a job runs again if its digest changes.

A function has the name of its rule; `prompts` serves the three rules that work for one recipe.
"""

from synscale.study.models import Study
from synscale.workflow.settings import claims, digest, figures, mixed_figures, tables
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
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
from synscale.workflow.studies import study_input


@study_input
def index_data(study: Study, wildcards) -> str:
    """Digest of `index_data`."""
    return digest(index_settings(study, wildcards.split))


@study_input
def prepare_data(study: Study, wildcards) -> str:
    """Digest of `prepare_data`."""
    return digest(data_settings(study, wildcards.split, wildcards.shard))


@study_input
def fetch_model(study: Study, wildcards) -> str:
    """Digest of `fetch_model`."""
    return digest(language_model_settings(study, wildcards.recipe))


@study_input
def prompts(study: Study, wildcards) -> str:
    """Digest of `write_sentences`, `caption_images` and `write_prompts`."""
    return digest(prompt_settings(study, wildcards.recipe))


@study_input
def train_generator(study: Study, wildcards) -> str:
    """Digest of `train_generator`."""
    return digest(generator_settings(study, wildcards.generator))


@study_input
def fetch_generator(study: Study, wildcards) -> str:
    """Digest of `fetch_generator`."""
    return digest(fetch_settings(study, wildcards.generator))


@study_input
def generate(study: Study, wildcards) -> str:
    """Digest of `generate`."""
    return digest(generation_settings(study, wildcards.source, wildcards.shard))


@study_input
def fetch_safety_checker(study: Study, wildcards) -> str:
    """Digest of `fetch_safety_checker`."""
    return digest(checker_settings(study))


@study_input
def flag_images(study: Study, wildcards) -> str:
    """Digest of `flag_images`."""
    return digest(flag_settings(study, wildcards.source))


@study_input
def index_shards(study: Study, wildcards, input) -> str:
    """Digest of `index_shards`.

    As it takes `input`, Snakemake passes it on but does not compare it: an index whose shards are
    the same is not written again.
    """
    return digest(shard_index_settings(study, wildcards.source, wildcards.shard))


@study_input
def train_classifiers(study: Study, wildcards) -> str:
    """Digest of `train_classifiers`."""
    return digest(classifier_settings(study, wildcards.source, wildcards.group))


@study_input
def train_clip(study: Study, wildcards) -> str:
    """Digest of `train_clip`."""
    return digest(clip_settings(study, wildcards.source, wildcards.group))


@study_input
def evaluate(study: Study, wildcards) -> str:
    """Digest of `evaluate`."""
    return digest(evaluation_settings(study, wildcards.source, wildcards.group))


@study_input
def evaluate_clip(study: Study, wildcards) -> str:
    """Digest of `evaluate_clip`."""
    return digest(clip_evaluation_settings(study, wildcards.source, wildcards.group))


@study_input
def fetch_reference(study: Study, wildcards) -> str:
    """Digest of `fetch_reference`."""
    return digest(reference_settings(study))


@study_input
def score(study: Study, wildcards) -> str:
    """Digest of `score`."""
    return digest(score_settings(study, wildcards.source))


@study_input
def convert_author_checkpoint(study: Study, wildcards) -> str:
    """Digest of `convert_author_checkpoint`."""
    return digest(conversion_settings(study, wildcards.checkpoint))


@study_input
def evaluate_author_checkpoint(study: Study, wildcards) -> str:
    """Digest of `evaluate_author_checkpoint`."""
    return digest(author_checkpoint_settings(study, wildcards.checkpoint))


@study_input
def tabulate_author_checkpoints(study: Study, wildcards) -> str:
    """Digest of `tabulate_author_checkpoints`."""
    return digest(author_checkpoint_table_settings(study))


@study_input
def fit_laws(study: Study, wildcards) -> str:
    """Digest of `fit_laws`."""
    return digest(law_settings(study, wildcards.law))


@study_input
def plot_samples(study: Study, wildcards) -> str:
    """Digest of `plot_samples`."""
    return digest(figures.samples_settings(study))


@study_input
def plot_recognizability_diversity(study: Study, wildcards) -> str:
    """Digest of `plot_recognizability_diversity`."""
    return digest(figures.plane_settings(study))


@study_input
def plot_configuration_sweep(study: Study, wildcards) -> str:
    """Digest of `plot_configuration_sweep`."""
    return digest(figures.sweep_settings(study))


@study_input
def plot_scores(study: Study, wildcards) -> str:
    """Digest of `plot_scores`."""
    return digest(figures.scores_settings(study))


@study_input
def plot_per_class(study: Study, wildcards) -> str:
    """Digest of `plot_per_class`."""
    return digest(figures.per_class_settings(study))


@study_input
def plot_scaling(study: Study, wildcards) -> str:
    """Digest of `plot_scaling`."""
    return digest(figures.panels_settings(study, wildcards.scaling))


@study_input
def plot_beyond_the_law(study: Study, wildcards) -> str:
    """Digest of `plot_beyond_the_law`."""
    return digest(figures.beyond_settings(study))


@study_input
def plot_exchange_rate(study: Study, wildcards) -> str:
    """Digest of `plot_exchange_rate`."""
    return digest(figures.exchange_settings(study))


@study_input
def plot_limited_real(study: Study, wildcards) -> str:
    """Digest of `plot_limited_real`."""
    return digest(mixed_figures.limited_settings(study))


@study_input
def plot_clip_transfer(study: Study, wildcards) -> str:
    """Digest of `plot_clip_transfer`."""
    return digest(mixed_figures.transfer_settings(study))


@study_input
def plot_teaser(study: Study, wildcards) -> str:
    """Digest of `plot_teaser`."""
    return digest(figures.teaser_settings(study))


@study_input
def tabulate_prompts(study: Study, wildcards) -> str:
    """Digest of `tabulate_prompts`."""
    return digest(tables.prompts_settings(study))


@study_input
def tabulate_configurations(study: Study, wildcards) -> str:
    """Digest of `tabulate_configurations`."""
    return digest(tables.configurations_settings(study))


@study_input
def tabulate_metrics(study: Study, wildcards) -> str:
    """Digest of `tabulate_metrics`."""
    return digest(tables.table_settings(study, wildcards.table))


@study_input
def tabulate_hyperparameters(study: Study, wildcards) -> str:
    """Digest of `tabulate_hyperparameters`."""
    return digest(tables.hyperparameters_settings(study))


@study_input
def tabulate_laws(study: Study, wildcards) -> str:
    """Digest of `tabulate_laws`."""
    return digest(tables.laws_settings(study))


@study_input
def tabulate_claims(study: Study, wildcards) -> str:
    """Digest of `tabulate_claims`."""
    return digest(claims.claims_settings(study))


@study_input
def tabulate_versus_paper(study: Study, wildcards) -> str:
    """Digest of `tabulate_versus_paper`."""
    return digest(tables.versus_settings(study))


@study_input
def write_provenance(study: Study, wildcards) -> str:
    """Digest of `write_provenance`."""
    return digest(provenance_settings(study))
