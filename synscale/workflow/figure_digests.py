"""Digests of the settings of the rules of figures and tables, as in `digests`."""

from synscale.study.models import Study
from synscale.workflow.settings import claims, figures, mixed_figures, tables
from synscale.workflow.settings.configuration_figures import scores_settings, sweep_settings
from synscale.workflow.settings.joint_law import joint_law_settings
from synscale.workflow.settings.repetition import repetition_settings
from synscale.workflow.settings.selection_figure import selection_figure_settings
from synscale.workflow.studies import study_input


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
    return sweep_settings(study).digest()


@study_input
def plot_scores(study: Study, wildcards) -> str:
    """Digest of `plot_scores`."""
    return scores_settings(study).digest()


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
def plot_repetition(study: Study, wildcards) -> str:
    """Digest of `plot_repetition`."""
    return repetition_settings(study).digest()


@study_input
def plot_selection(study: Study, wildcards) -> str:
    """Digest of `plot_selection`."""
    return selection_figure_settings(study).digest()


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
