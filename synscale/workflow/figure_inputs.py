"""Input files of fits, figures and tables: which metrics, scores, laws and images each one reads.

Functions are named after the figure or table and the kind of file.
"""

from collections.abc import Iterable

from synscale.planning import dag
from synscale.study.models import Study
from synscale.workflow.paths import history_files, metric_files
from synscale.workflow.published import shown_shards
from synscale.workflow.settings import claims, figures, tables
from synscale.workflow.settings.configuration_figures import scores_settings, sweep_settings
from synscale.workflow.settings.feature_scores import feature_names
from synscale.workflow.settings.figures import part_of
from synscale.workflow.studies import study_input


def score_files(study: Study, sources: Iterable[str]) -> list[str]:
    """Return the scores of sources."""
    return [f"results/{study.name}/scores/{source}.json" for source in sources]


def all_score_files(study: Study, settings) -> list[str]:
    """Return the scores of the sources of an experiment, and their measures in feature spaces.

    Parameters
    ----------
    study : Study
    settings
        Settings of a figure or table of one experiment.
    """
    sources = figures.configuration_sources(settings)
    synthetic = [source for source in sources if study.sources[source].kind != "real"]
    return score_files(study, sources) + [
        f"results/{study.name}/feature_scores/{feature}/{source}.json"
        for feature in feature_names(study)
        for source in synthetic
    ]


def law_files(study: Study, laws: Iterable[str]) -> list[str]:
    """Return the fits of laws."""
    return [f"results/{study.name}/laws/{law}.json" for law in laws]


def metrics_of_laws(study: Study, laws: list[str]) -> list[str]:
    """Return the metrics of every run that laws are fitted to."""
    return metric_files(study, figures.experiments_of_laws(study, laws))


# -- fits ----------------------------------------------------------------------------------------


@study_input
def fitted_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics that a law is fitted to."""
    return metric_files(study, study.laws[wildcards.law].experiments)


# -- figures -------------------------------------------------------------------------------------


@study_input
def samples_real(study: Study, wildcards) -> list[str]:
    """Return shards with one real image of each class for every column."""
    return shown_shards(study, figures.samples_of_real(study))


@study_input
def samples_images(study: Study, wildcards) -> list[str]:
    """Return the shards with the first image of each class, source after source."""
    return shown_shards(study, figures.samples_tars(study))


@study_input
def recognizability_diversity_scores(study: Study, wildcards) -> list[str]:
    """Return the scores of real images and of the figure's generators."""
    return score_files(study, figures.plane_sources(study))


@study_input
def configuration_sweep_scores(study: Study, wildcards) -> list[str]:
    """Return the scores of the sources of the figure's experiment."""
    sources = figures.configuration_sources(sweep_settings(study))
    return score_files(study, sources)


@study_input
def configuration_sweep_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiment."""
    return metric_files(
        study, [part_of(study, "configuration_sweep", study.figures.configuration_sweep).experiment]
    )


@study_input
def scores_scores(study: Study, wildcards) -> list[str]:
    """Return the scores of the sources of the figure's experiment, in all feature spaces."""
    return all_score_files(study, scores_settings(study))


@study_input
def scores_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiment."""
    return metric_files(study, [part_of(study, "scores", study.figures.scores).experiment])


@study_input
def per_class_images(study: Study, wildcards) -> list[str]:
    """Return the first images of the curve whose classes are shown."""
    return shown_shards(study, figures.per_class_tars(study))


@study_input
def per_class_scores(study: Study, wildcards) -> list[str]:
    """Return the scores of the sources of the figure's curves."""
    return score_files(study, figures.per_class_sources(study))


@study_input
def per_class_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's law."""
    return metrics_of_laws(study, [part_of(study, "per_class", study.figures.per_class).law])


@study_input
def scaling_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the laws of a scaling figure's panels."""
    return metrics_of_laws(study, figures.panel_laws(study, wildcards.scaling))


@study_input
def scaling_laws(study: Study, wildcards) -> list[str]:
    """Return the fits of the laws of a scaling figure's panels."""
    return law_files(study, figures.panel_laws(study, wildcards.scaling))


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
def joint_law_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiments."""
    return metric_files(study, part_of(study, "joint_law", study.figures.joint_law).experiments)


@study_input
def repetition_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiments."""
    return metric_files(study, part_of(study, "repetition", study.figures.repetition).experiments)


@study_input
def selection_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's law."""
    return metrics_of_laws(study, [part_of(study, "selection", study.figures.selection).law])


@study_input
def selection_laws(study: Study, wildcards) -> list[str]:
    """Return the fit of the figure's law."""
    return law_files(study, [part_of(study, "selection", study.figures.selection).law])


@study_input
def clip_transfer_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the figure's experiments."""
    return metric_files(
        study, part_of(study, "clip_transfer", study.figures.clip_transfer).experiments
    )


@study_input
def teaser_laws(study: Study, wildcards) -> list[str]:
    """Return the fits of the laws of the figure's panels."""
    return law_files(study, figures.teaser_laws(study))


@study_input
def training_curves_histories(study: Study, wildcards) -> list[str]:
    """Return the histories of the figure's trainings."""
    figure = part_of(study, "training_curves", study.figures.training_curves)
    return history_files(study, figure.experiments)


# -- tables --------------------------------------------------------------------------------------


@study_input
def prompts_pools(study: Study, wildcards) -> list[str]:
    """Return the prompts of every recipe that has a pool of them."""
    recipes = tables.prompts_settings(study).recipes
    return [f"results/{study.name}/prompts/{recipe}.parquet" for recipe in recipes]


@study_input
def configurations_scores(study: Study, wildcards) -> list[str]:
    """Return the scores of the sources of the table's experiment, in all feature spaces."""
    return all_score_files(study, tables.configurations_settings(study))


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


@study_input
def laws_histories(study: Study, wildcards) -> list[str]:
    """Return the histories of the trainings that laws are fitted to."""
    return history_files(study, figures.experiments_of_laws(study, list(study.laws)))


@study_input
def claims_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the experiments that claims are tested on."""
    return metric_files(study, claims.claims_experiments(study))


@study_input
def claims_scores(study: Study, wildcards) -> list[str]:
    """Return the scores of the sources that claims compare."""
    return score_files(study, claims.claims_sources(study))


@study_input
def versus_paper_laws(study: Study, wildcards) -> list[str]:
    """Return the fits of the laws that have a published exponent."""
    return law_files(study, tables.versus_laws(study))


@study_input
def versus_paper_metrics(study: Study, wildcards) -> list[str]:
    """Return the metrics of the laws that have a published top-1 or cross-entropy."""
    return metrics_of_laws(study, tables.level_laws(study))


@study_input
def all_results(study: Study, wildcards) -> list[str]:
    """Return the csv of every figure and table."""
    folders = {"figures": study.figures, "tables": study.tables}
    return [
        f"{folder}/{study.name}/{name}.csv"
        for folder, part in folders.items()
        for name in figures.names_of(part)
    ]


@study_input
def planned_targets(study: Study, wildcards) -> list[str]:
    """Return the files of a figure, a table or `all` to plan."""
    return dag.targets(study, wildcards.name)
