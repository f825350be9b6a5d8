# What a job asks a scheduler for. Minutes, GPU-hours and disk come from the table that plans are
# made with (profiles/hardware).

import functools

from synscale.cluster import allocation, site, site_resources
from synscale.planning import clip_memory, resources
from synscale.planning.reader_memory import pairs_mb, reading_mb

if workflow.remote_exec:  # this process runs inside a job that Snakemake submitted
    allocation.permit()

try:
    SITE = site.current()
    if SITE is not None:
        # Snakemake limits threads by the cores of this machine, but jobs run on others.
        workflow.global_resources["_cores"] = None
        GPU_STUDIES = [name for name, study in STUDIES.items() if study.gpus]
        site_resources.apply(workflow.resource_settings, SITE, GPU_STUDIES, config["study"])
except site.SiteError as error:
    raise WorkflowError(str(error)) from None

try:
    LIMITS = resources.Limits(
        STUDIES,
        config.get("hardware", "laptop"),
        SITE,
        lambda rule: workflow.get_rule(rule).resources,
    )
except resources.PlanError as error:
    raise WorkflowError(f"config.yaml: {error}") from None


# Priorities: which of the jobs that are ready starts first. Short jobs that others wait for come
# first, then whatever reveals a problem: metrics of trained models, trainings on images that exist.
# Generation comes last, as it is most of the GPU-hours: trainings on real images do not wait for
# it.
PREPARE = 50
EVALUATE = 40
TRAIN = 30
READ = 20
GENERATE = 10


def first_shards_first(priority):
    """A priority for shards: those of small training sets, which are prefixes, come first."""
    return lambda wildcards: priority - int(wildcards.shard[-5:]) / 100_000


@functools.cache
def check_hardware(study):
    """Refuse a study that requests GPUs from a cluster if `hardware` has none."""
    if STUDIES[study].gpus:
        try:
            resources.hardware.require_gpus(config.get("hardware", "laptop"), study)
        except resources.PlanError as error:
            raise WorkflowError(f"config.yaml: {error}") from None


def check_hardware_of(jobs):
    """Check that jobs that are about to start on a cluster, of any kind, can have the GPUs of their studies."""
    if workflow.local_exec:
        return
    studies = {
        job.wildcards.get("study", config["study"]) for job in jobs if "gpu" in job.rule.resources
    }
    for study in studies:
        check_hardware(study)
    if SITE is not None and any(STUDIES[study].gpus for study in studies):
        try:
            site_resources.require_gpu_option()
        except site.SiteError as error:
            raise WorkflowError(str(error)) from None


def gpus(wildcards):
    return study_of(wildcards).gpus


def evaluation_threads(wildcards):
    """Threads of an evaluation: 7 of 8 read images for a GPU. A CPU computes longer than it reads."""
    return 8 if study_of(wildcards).gpus else 1


def gpus_at_hand(_):
    """One, where the jobs of the study that `study` names ask for any."""
    if SITE is not None and workflow.exec_mode == ExecMode.DEFAULT:
        check_hardware(config["study"])
    return min(1, STUDIES[config["study"]].gpus)


growing = (
    LIMITS.memory
)  # MB of a job, and as much more in each later attempt that a partition takes


def classifier_mb(wildcards, threads):
    """MB of a training: its process, two batches of each thread, stored images, and the copy of a state."""
    reading = reading_mb(study_of(wildcards), wildcards.source, wildcards.group, threads)
    return 3000 + 1000 * threads + reading + LIMITS.saving_mb("train_classifiers", wildcards)


def clip_host_mb(wildcards, threads):
    """Host memory of a training job on one node: images of a batch, what readers hold, stored images that are shuffled, and the copy of a state."""
    study = study_of(wildcards)
    size = study.clip.image_size or study.image_size
    reading = pairs_mb(study, wildcards.source, wildcards.group, threads)
    batch = clip_memory.host_mb(study.clip, size, study.channels, threads)
    return batch + reading + LIMITS.saving_mb("train_clip", wildcards)
