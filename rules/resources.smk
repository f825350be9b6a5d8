# What a job asks a scheduler for. Minutes, GPU-hours and disk come from the table that plans are made with (profiles/hardware).

from scripts.lib import site, site_resources
from scripts.lib.plans import limits

try:
    SITE = site.current()
except site.SiteError as error:
    raise WorkflowError(str(error)) from None
if SITE is not None:
    # Snakemake limits threads by the cores of this machine, but jobs run on others.
    workflow.global_resources["_cores"] = None
    site_resources.apply(workflow.resource_settings, SITE, [name for name, study in STUDIES.items() if study.gpus], config["study"])

try:
    LIMITS = limits.Limits(STUDIES, config.get("hardware", "laptop"))
except limits.PlanError as error:
    raise WorkflowError(f"config.yaml: {error}") from None


def gpus(wildcards):
    return study_of(wildcards).gpus


def gpus_at_hand(_):
    """One, where the jobs of the study that `study` names ask for any."""
    return min(1, STUDIES[config["study"]].gpus)


def growing(amount):
    """Memory or time of a job: so much in its first try, and as much again in each later one, for a try may have failed for want of it."""
    return lambda wildcards, attempt, threads: attempt * (amount(wildcards, threads) if callable(amount) else amount)
