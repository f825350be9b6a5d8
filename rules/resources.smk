# What a job asks a scheduler for. Minutes, GPU-hours and disk come from the table that plans are made with (profiles/hardware).

from scripts.lib import clip_memory
from scripts.lib.plans import limits
from scripts.lib.plans.reading import pairs_mb

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


def clip_host_mb(wildcards, threads):
    """Host memory of a training job on one node: images of a batch, what readers hold, and stored images that are shuffled."""
    study = study_of(wildcards)
    size = study.clips.image_size or study.image_size
    reading = pairs_mb(study, wildcards.source, wildcards.batch, threads)
    return clip_memory.host_mb(study.clips.model_dump(), size, study.channels, threads) + reading
