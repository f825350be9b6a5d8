"""What a job requests of a scheduler: memory, minutes, GPU-hours, disk, GPUs, threads, priority.

Rules name the functions at the end of this module, which Snakemake calls with the wildcards of a
job and the name of its rule. The tables have what differs between rules.
"""

from synscale.data.shuffle_buffer import GPUS_PER_NODE
from synscale.planning import clip_memory
from synscale.planning.estimates import ResourceEstimates
from synscale.planning.reader_memory import pairs_mb, reading_mb
from synscale.study.models import Study
from synscale.study.models.generators import sampled_generator
from synscale.workflow.shards import is_pretrained
from synscale.workflow.studies import keep_parameters, study_input, study_of

_estimates: ResourceEstimates


def configure(estimates: ResourceEstimates) -> None:
    """Set the estimates that rules use."""
    global _estimates
    _estimates = estimates


# Which of the jobs that are ready starts first. Short jobs that others wait for come first, then
# whatever reveals a problem: metrics of trained models, trainings on images that exist. CLIP models
# take longest: begun last, they would run while other cores are idle. Generation comes last, as it
# is most of the GPU-hours: trainings on real images do not wait for it.
AWAITED = ["index_data", "fetch_model", "fetch_generator", "train_generator", "index_shards"]
AWAITED += ["finetune_generator", "write_sentences", "caption_images", "write_prompts"]
AWAITED += ["select_images"]
PRIORITIES = {
    **dict.fromkeys(AWAITED, 50),
    **dict.fromkeys(["evaluate", "evaluate_clip", "score", "score_features"], 40),
    "train_clip": 31,
    "train_classifiers": 30,
    "prepare_data": 20,
    "generate": 10,
}


# -- memory of the first attempt, in MB ------------------------------------------------------------

# Rules that always need the same memory; 2,000 for the others.
MEGABYTES = {
    "index_data": 4000,
    "write_sentences": 8000,
    "caption_images": 24000,  # BLIP-2: 2.7 billion weights in 32 bits, before they go to the GPU
    "convert_author_checkpoint": 8000,
    "flag_images": 8000,
    "write_provenance": 1000,
}
OTHER_MEGABYTES = 2000
PIPELINE_MB = 40000  # weights of a downloaded text-to-image model on their way to the GPU


def calibration_mb(wildcards, threads: int) -> int:
    """Return the memory of measurements: that of a downloaded model if the study has one."""
    study = study_of(wildcards)
    rows = [*study.generators.values(), *study.recipes.values()]
    return PIPELINE_MB if any(getattr(row, "model", None) for row in rows) else 4000


def preparation_mb(wildcards, threads: int) -> int:
    """Return the memory of a job that stores real images."""
    return 4000 if study_of(wildcards).data.kind == "files" else 2000


def generator_mb(wildcards, threads: int) -> int:
    """Return the memory of training a generator: its process and the copy of its state."""
    return 4000 + _estimates.saving_mb("train_generator", wildcards)


def finetuning_mb(wildcards, threads: int) -> int:
    """Return the memory of fine-tuning a generator: that of sampling its base."""
    base = sampled_generator(study_of(wildcards).generators, wildcards.generator)
    return PIPELINE_MB if base.kind == "pretrained" else 4000


def generation_mb(wildcards, threads: int) -> int:
    """Return the memory of a shard: one pipeline for each process."""
    pretrained = is_pretrained(study_of(wildcards), wildcards.source)
    each = PIPELINE_MB if pretrained else 4000
    return each * _estimates.processes("generate", wildcards)


def classifier_mb(wildcards, threads: int) -> int:
    """Return the memory of training classifiers.

    That is the process, two batches for each thread, stored images, and the copy of a state.
    """
    reading = reading_mb(study_of(wildcards), wildcards.source, wildcards.group, threads)
    saving = _estimates.saving_mb("train_classifiers", wildcards)
    return evaluation_mb(wildcards, threads) + reading + saving


def clip_mb(wildcards, threads: int) -> int:
    """Return the host memory of training CLIP models, on one node.

    That is the images of a batch, what readers hold, stored images, and the copy of a state.
    """
    study = study_of(wildcards)
    assert study.clip is not None  # the rule has no job without it
    size = study.clip.image_size or study.image_size
    batch = clip_memory.host_mb(study.clip, size, study.channels, threads)
    reading = pairs_mb(study, wildcards.source, wildcards.group, threads)
    return batch + reading + _estimates.saving_mb("train_clip", wildcards)


def evaluation_mb(wildcards, threads: int) -> int:
    """Return the memory of an evaluation: its process and two batches for each thread."""
    return 3000 + 1000 * threads


def score_mb(wildcards, threads: int) -> int:
    """Return the memory of scores: 20 kB for each image.

    Measured: 11 kB at width 768. A job holds features of 3 kB of an image, of a real one, and of
    the one at the previous guidance scale.
    """
    return evaluation_mb(wildcards, threads) + study_of(wildcards).scores.images // 50


VARIABLE_MEGABYTES = {
    "calibrate": calibration_mb,
    "prepare_data": preparation_mb,
    "train_generator": generator_mb,
    "finetune_generator": finetuning_mb,
    "generate": generation_mb,
    "train_classifiers": classifier_mb,
    "train_clip": clip_mb,
    "evaluate": evaluation_mb,
    "evaluate_clip": evaluation_mb,
    "evaluate_author_checkpoint": evaluation_mb,
    "score": score_mb,
    "score_features": score_mb,
    "select_images": evaluation_mb,
}


# -- functions of the rules ------------------------------------------------------------------------


def mem_mb(wildcards, attempt: int, threads: int, rulename: str) -> int:
    """Return the memory of a job in MB."""
    if variable := VARIABLE_MEGABYTES.get(rulename):
        first = variable(wildcards, threads)
    else:
        first = MEGABYTES.get(rulename, OTHER_MEGABYTES)
    return _estimates.mem_mb(rulename, wildcards, first, attempt, threads)


def runtime(wildcards, attempt: int, threads: int, rulename: str) -> int:
    """Return the minutes of a job."""
    return _estimates.runtime(rulename, wildcards, attempt, threads)


def gpu_hours(wildcards, threads: int, rulename: str) -> int:
    """Return the planned GPU-hours of a job."""
    return _estimates.gpu_hours(rulename, wildcards, threads)


def disk_gb(wildcards, rulename: str) -> int:
    """Return the disk space of a job in GB."""
    return _estimates.disk_gb(rulename, wildcards)


@study_input
def gpu(study: Study, wildcards) -> int:
    """Return the GPUs of a job: those of its study."""
    return study.gpus


@study_input
def single_gpu(study: Study, wildcards) -> int:
    """Return one GPU if the jobs of the study request any."""
    return min(1, study.gpus)


@study_input
def evaluation_threads(study: Study, wildcards) -> int:
    """Return the threads of an evaluation.

    With a GPU, 7 of 8 threads read images for it. A CPU computes longer than it reads.
    """
    return 8 if study.gpus else 1


@study_input
def training_threads(study: Study, wildcards) -> int:
    """Return the threads of a training: eight for each GPU of the study, on one node.

    Seven of eight read images for the GPU. A CPU computes longer than it reads.
    """
    return max(1, 8 * min(study.gpus, GPUS_PER_NODE))


@study_input
def preparation_threads(study: Study, wildcards) -> int:
    """Return the threads of a job that stores real images."""
    return 8 if study.data.kind == "files" else 1


def priority(wildcards, rulename: str) -> float:
    """Return the priority of a job: first shards, of small training sets, before later ones."""
    shard = getattr(wildcards, "shard", None)
    return PRIORITIES[rulename] - (int(shard[-5:]) / 100_000 if shard else 0)


keep_parameters(mem_mb, runtime, gpu_hours, disk_gb, priority)
