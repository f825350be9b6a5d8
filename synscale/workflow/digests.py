"""Digests of the settings of every rule, for `params`: a job runs again if its digest changes.

A function has the name of its rule; `prompts` serves the three rules that work for one recipe:
`write_sentences`, `caption_images` and `write_prompts`.
"""

from collections.abc import Callable

from synscale.study.models import Study
from synscale.workflow.settings import Settings, claims, figures, mixed_figures, tables
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
from synscale.workflow.studies import from_wildcards, study_input


def digest_of(settings_of: Callable[..., Settings], *names: str) -> Callable[..., str]:
    """Return a function that returns the digest of settings. Parameters as of `from_wildcards`."""
    return from_wildcards(lambda *values: settings_of(*values).digest(), *names)


index_data = digest_of(index_settings, "split")
prepare_data = digest_of(data_settings, "split", "shard")
fetch_model = digest_of(language_model_settings, "recipe")
prompts = digest_of(prompt_settings, "recipe")
train_generator = digest_of(generator_settings, "generator")
fetch_generator = digest_of(fetch_settings, "generator")
generate = digest_of(generation_settings, "source", "shard")
fetch_safety_checker = digest_of(checker_settings)
flag_images = digest_of(flag_settings, "source")
train_classifiers = digest_of(classifier_settings, "source", "group")
train_clip = digest_of(clip_settings, "source", "group")
evaluate = digest_of(evaluation_settings, "source", "group")
evaluate_clip = digest_of(clip_evaluation_settings, "source", "group")
fetch_reference = digest_of(reference_settings)
score = digest_of(score_settings, "source")
convert_author_checkpoint = digest_of(conversion_settings, "checkpoint")
evaluate_author_checkpoint = digest_of(author_checkpoint_settings, "checkpoint")
tabulate_author_checkpoints = digest_of(author_checkpoint_table_settings)
fit_laws = digest_of(law_settings, "law")
plot_samples = digest_of(figures.samples_settings)
plot_recognizability_diversity = digest_of(figures.plane_settings)
plot_configuration_sweep = digest_of(figures.sweep_settings)
plot_scores = digest_of(figures.scores_settings)
plot_per_class = digest_of(figures.per_class_settings)
plot_scaling = digest_of(figures.panels_settings, "scaling")
plot_beyond_the_law = digest_of(figures.beyond_settings)
plot_exchange_rate = digest_of(figures.exchange_settings)
plot_limited_real = digest_of(mixed_figures.limited_settings)
plot_clip_transfer = digest_of(mixed_figures.transfer_settings)
plot_teaser = digest_of(figures.teaser_settings)
tabulate_prompts = digest_of(tables.prompts_settings)
tabulate_configurations = digest_of(tables.configurations_settings)
tabulate_metrics = digest_of(tables.table_settings, "table")
tabulate_hyperparameters = digest_of(tables.hyperparameters_settings)
tabulate_laws = digest_of(tables.laws_settings)
tabulate_claims = digest_of(claims.claims_settings)
tabulate_versus_paper = digest_of(tables.versus_settings)
write_provenance = digest_of(provenance_settings)


@study_input
def index_shards(study: Study, wildcards, input) -> str:
    """Digest of `index_shards`.

    As it takes `input`, Snakemake passes it on but does not compare it: an index whose shards are
    the same is not written again.
    """
    return shard_index_settings(study, wildcards.source, wildcards.shard).digest()
