# What a job asks a scheduler for. Minutes, GPU-hours and disk come from the table that plans are made with (profiles/hardware).

from scripts.lib.plans import limits

try:
    LIMITS = limits.Limits(STUDIES, config.get("hardware", "laptop"))
except limits.PlanError as error:
    raise WorkflowError(f"config.yaml: {error}") from None


def gpus(wildcards):
    return study_of(wildcards).gpus


def evaluation_threads(wildcards):
    """Threads of an evaluation: 7 of 8 read images for a GPU. A CPU computes longer than it reads."""
    return 8 if study_of(wildcards).gpus else 1


def gpus_at_hand(_):
    """One, where the jobs of the study that `study` names ask for any."""
    return min(1, STUDIES[config["study"]].gpus)


def growing(amount):
    """Memory or time of a job: so much in its first try, and as much again in each later one, for a try may have failed for want of it."""
    return lambda wildcards, attempt, threads: attempt * (amount(wildcards, threads) if callable(amount) else amount)
