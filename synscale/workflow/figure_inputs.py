"""Input files of fits, figures and tables: which metrics, scores, laws and images each one reads.

Functions are named after the figure or table and the kind of file.
"""

from collections.abc import Callable, Iterable
from typing import Any

from synscale.planning import dag
from synscale.study.models import Study
from synscale.workflow.paths import metric_files
from synscale.workflow.settings import claims, figures, tables
from synscale.workflow.settings.figures import part_of
from synscale.workflow.studies import from_wildcards, study_input


def score_files(study: Study, sources: Iterable[str]) -> list[str]:
    """Return the scores of sources."""
    return [f"results/{study.name}/scores/{source}.json" for source in sources]


def law_files(study: Study, laws: Iterable[str]) -> list[str]:
    """Return the fits of laws."""
    return [f"results/{study.name}/laws/{law}.json" for law in laws]


def metrics_of_laws(study: Study, laws: list[str]) -> list[str]:
    """Return the metrics of every run that laws are fitted to."""
    return metric_files(study, figures.experiments_of_laws(study, laws))


def experiment_scores(study: Study, settings) -> list[str]:
    """Return the scores of the sources of a figure of one experiment."""
    return score_files(study, figures.configuration_sources(settings))


def files_of(
    paths: Callable[[Study, Any], list[str]], parts: Callable[..., Any], *names: str
) -> Callable:
    """Return a function for a rule: the files of the parts of a study that a function names.

    Parameters
    ----------
    paths : callable
        Files, given the study and what `parts` returns, such as `score_files`.
    parts : callable
        Sources, laws, experiments or settings, given the study and the values of some wildcards.
    *names : str
        Names of these wildcards.
    """

    def files(study: Study, *values: str) -> list[str]:
        """Return the files of the parts."""
        return paths(study, parts(study, *values))

    return from_wildcards(files, *names)


# -- fits ----------------------------------------------------------------------------------------


@study_input
def fitted_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics that a law is fitted to."""
    return metric_files(study, study.laws[wildcards.law].experiments)


# -- figures -------------------------------------------------------------------------------------


# Shards with one real image of each class for every column.
samples_real = from_wildcards(figures.samples_of_real)
# The shards with the first image of each class, source after source.
samples_images = from_wildcards(figures.samples_tars)
# The scores of real images and of the figure's generators.
recognizability_diversity_scores = files_of(score_files, figures.plane_sources)
# The scores of the sources of the figure's experiment.
configuration_sweep_scores = files_of(experiment_scores, figures.sweep_settings)


@study_input
def configuration_sweep_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiment."""
    return metric_files(
        study, [part_of(study, "configuration_sweep", study.figures.configuration_sweep).experiment]
    )


# The scores of the sources of the figure's experiment.
scores_scores = files_of(experiment_scores, figures.scores_settings)


@study_input
def scores_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiment."""
    return metric_files(study, [part_of(study, "scores", study.figures.scores).experiment])


# The first images of the curve whose classes are shown.
per_class_images = from_wildcards(figures.per_class_tars)
# The scores of the sources of the figure's curves.
per_class_scores = files_of(score_files, figures.per_class_sources)


@study_input
def per_class_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's law."""
    return metrics_of_laws(study, [part_of(study, "per_class", study.figures.per_class).law])


# The metrics of the laws of a scaling figure's panels.
scaling_metrics = files_of(metrics_of_laws, figures.panel_laws, "scaling")
# The fits of the laws of a scaling figure's panels.
scaling_laws = files_of(law_files, figures.panel_laws, "scaling")


@study_input
def beyond_the_law_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the laws of the figure's panels."""
    return metrics_of_laws(study, figures.panel_laws(study, "beyond_the_law"))


@study_input
def exchange_rate_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's law."""
    return metrics_of_laws(
        study, [part_of(study, "exchange_rate", study.figures.exchange_rate).law]
    )


@study_input
def limited_real_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiments."""
    return metric_files(
        study, part_of(study, "limited_real", study.figures.limited_real).experiments
    )


@study_input
def clip_transfer_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiments."""
    return metric_files(
        study, part_of(study, "clip_transfer", study.figures.clip_transfer).experiments
    )


# The fits of the laws of the figure's panels.
teaser_laws = files_of(law_files, figures.teaser_laws)


# -- tables --------------------------------------------------------------------------------------


@study_input
def prompts_pools(study: Study, wildcards) -> list[str]:
    """Return the prompts of every recipe that has a pool of them."""
    recipes = tables.prompts_settings(study).recipes
    return [f"results/{study.name}/prompts/{recipe}.parquet" for recipe in recipes]


# The scores of the sources of the table's experiment.
configurations_scores = files_of(experiment_scores, tables.configurations_settings)


@study_input
def configurations_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the table's experiment."""
    return metric_files(
        study, [part_of(study, "configurations", study.tables.configurations).experiment]
    )


@study_input
def evaluation_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of all CLIP models for the table `clip`, else those of all classifiers."""
    folder = "clip_metrics" if wildcards.table == "clip" else "metrics"
    return [path for path in metric_files(study) if f"/{folder}/" in path]


@study_input
def all_laws(study: Study, wildcards) -> list[str]:
    """Return the fits of every law."""
    return law_files(study, study.laws)


# The metrics of the experiments that claims are tested on.
claims_metrics = files_of(metric_files, claims.claims_experiments)
# The scores of the sources that claims compare.
claims_scores = files_of(score_files, claims.claims_sources)
# The fits of the laws that have a published exponent.
versus_paper_laws = files_of(law_files, tables.versus_laws)
# The metrics of the laws that have a published top-1 or cross-entropy.
versus_paper_metrics = files_of(metrics_of_laws, tables.level_laws)


@study_input
def all_results(study: Study, wildcards) -> list[str]:
    """Return the csv of every figure and table."""
    folders = {"figures": study.figures, "tables": study.tables}
    return [
        f"{folder}/{study.name}/{name}.csv"
        for folder, part in folders.items()
        for name in figures.names_of(part)
    ]


# The files of a figure, a table or `all` to plan.
planned_targets = from_wildcards(dag.targets, "name")
