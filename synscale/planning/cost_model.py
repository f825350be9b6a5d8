"""The work of one job, from the study's numbers, and bytes on disk (units: work_units.py)."""

import inspect
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache

from synscale.planning import flops
from synscale.planning.evaluation_images import (
    clip_texts,
    digits_images,
    evaluation_images,
    known_images,
    total_images,
)
from synscale.planning.image_sizes import image_bytes
from synscale.planning.readers import reading_units
from synscale.planning.score_work import score_features_work, score_work, select_images_work
from synscale.planning.work_units import NOTHING, SMALL_FILE, PlanError, Work
from synscale.study import class_table
from synscale.study.models import Study, expand_curves
from synscale.study.models.generators import (
    FinetunedGenerator,
    TrainedGenerator,
    sampled_generator,
)
from synscale.study.models.sources import RealSource
from synscale.workflow.paths import indexed_tars
from synscale.workflow.runs import group_runs, iterations_of, training_recipe
from synscale.workflow.settings.data import index_settings
from synscale.workflow.shards import (
    guidance_ranges,
    images_needed,
    images_of_shift,
    images_per_shard,
    images_per_shard_of_split,
    is_elsewhere,
    is_in_files,
    is_pairs,
    shift_of,
)

INDEX_ROW = 30  # bytes of a row in the index of a data set
SHARD_ROW = 120  # bytes of a row in an index of shards
TEXT_ROW = 100  # bytes of a prompt
DOWNLOAD = 5_000_000_000  # bytes of a generator or language model (assumed)
LORA = 20_000_000  # bytes of LoRA weights (assumed; rank 16 of Stable Diffusion has 13 MB)
VIT_DOWNLOAD = 600_000_000  # bytes of a ViT-B/16 with a text transformer, the larger of two
FEATURE_DOWNLOAD = 1_700_000_000  # bytes of a ViT-L/14 with a text transformer
FLOAT = 4  # bytes
# FLOPs of the authors' checkpoints: ViT-B/16 at 224 pixels, and the text transformer of CLIP.
AUTHORS_IMAGE = flops.transformer_flops(197, 768, 12)
AUTHORS_TEXT = flops.transformer_flops(77, 512, 12)


def _split_images(study: Study, split: str, shard: str) -> int:
    """Return the number of images in a shard of a split."""
    if split in study.data.evaluation:
        return evaluation_images(study, split)
    if study.data.kind != "files" and split == "generator_training":
        return digits_images(study.data.generator_training)
    size = images_per_shard_of_split(study, split)
    return min(images_needed(study, split) - int(shard) * size, size)


def _prepare_data(study: Study, split: str, shard: str) -> Work:
    images = _split_images(study, split, shard)
    stored = images * image_bytes(study, split)
    if is_in_files(study, split) or shift_of(study, split):
        read = images + images_of_shift(study, split)
        return Work({"job": 1, "image": read}, "files", outputs=stored)
    evaluation = study.data.evaluation.get(split)
    return Work(kind=evaluation.kind if evaluation else "writers", outputs=stored)


def _index_data(study: Study, split: str) -> Work:
    """Write a row for each image; for pairs a row for each tar, which is next to nothing."""
    if is_pairs(study, split):
        return Work({"job": 1, "image": 0})
    if is_elsewhere(study, split):
        images = images_needed(study, split)
    else:
        images = known_images(index_settings(study, split).dataset)
    return Work({"job": 1, "image": images}, outputs=INDEX_ROW * images)


def _train_generator(study: Study, generator: str) -> Work:
    model = study.generators[generator]
    assert isinstance(model, TrainedGenerator)  # rules fetch or fine-tune the others
    steps, weights = model.training.iterations, FLOAT * flops.generator_weights(model)
    images = steps * model.training.batch_size
    tflop = 3 * flops.generator_flops(model, study.image_size) * images / 1e12
    units = {"job": 1, "run": 1, "step": steps, "tflop": tflop}
    # State: weights, two moments of AdamW, the moving average.
    kind = flops.kind_of(model)
    return Work(units, kind, outputs=weights, state=4 * weights, gpus=study.gpus)


def _finetune_generator(study: Study, generator: str) -> Work:
    """Train LoRA weights: the base computes as in a training, and few weights are saved."""
    row = study.generators[generator]
    assert isinstance(row, FinetunedGenerator)
    base = sampled_generator(study.generators, generator)
    steps = row.lora.iterations
    images = steps * row.lora.batch_size
    tflop = 3 * flops.generator_flops(base, study.image_size) * images / 1e12
    units = {"job": 1, "run": 1, "step": steps, "tflop": tflop}
    return Work(units, flops.kind_of(base), outputs=LORA, state=3 * LORA, gpus=study.gpus)


def _counts(study: Study, source: str, shard: str) -> dict[float, int]:
    """Return the number of images in a shard at each guidance scale."""
    ranges = guidance_ranges(study, source, shard)
    return {scale: stop - start for scale, (start, stop) in ranges.items()}


def _generate(study: Study, source: str, shard: str) -> Work:
    generator = sampled_generator(study.generators, study.sources[source].generator)
    counts = _counts(study, source, shard)
    if not counts:
        return NOTHING
    images = sum(counts.values())
    units: dict[str, float] = {"job": 1, "image": images, "pass": 0, "tflop": 0}
    for scale, count in counts.items():
        units["pass"] += count * flops.passes(generator, scale)
        units["tflop"] += count * flops.sampling_flops(generator, study.image_size, scale) / 1e12
    # State: images of an interrupted job, and the shard that is being written from them.
    stored = images * image_bytes(study)
    return Work(units, flops.kind_of(generator), images, stored, stored, study.gpus)


def _index_shards(study: Study, source: str, shard: str) -> Work:
    """Read the manifest of every shard that is not in the previous index."""
    images = len(indexed_tars(study, source, shard)) * images_per_shard(study, source)
    return Work({"job": 1, "image": images}, outputs=SHARD_ROW * (int(shard[-5:]) + 1))


def _train(study: Study, source: str, group: str) -> Work:
    """Train the runs of a group: classifiers or CLIP models."""
    runs = group_runs(study, source, group)
    if not runs:
        return NOTHING
    recipe = training_recipe(study, runs[0].architecture)
    architecture = recipe.architectures[runs[0].architecture]
    size = recipe.image_size or study.image_size
    is_clip = recipe is not study.classifiers
    micro_batch = recipe.micro_batch_size or recipe.batch_size
    is_probe = flops.is_probe(architecture)
    passes = flops.forward_passes(
        is_clip and recipe.batch_size > max(1, study.gpus) * micro_batch,
        is_clip and recipe.gradient_checkpointing,
        is_probe,
    )
    steps = sum(iterations_of(study, run.architecture, run.size) for run in runs)
    forward = flops.forward_flops(architecture, size)
    tflop = passes * forward * steps * recipe.batch_size / 1e12
    units = {"job": 1, "run": len(runs), "step": steps, "tflop": tflop}
    units |= reading_units(study, source, group)
    model = FLOAT * flops.weights(architecture, size, study.channels)
    # State: a copy of the trained models, and two moments of AdamW of the one in training.
    state = (len(runs) + (0 if is_probe else 2)) * model
    outputs = len(runs) * model
    return Work(units, outputs=outputs, state=state, gpus=study.gpus, image_size=study.image_size)


def _evaluate(study: Study, source: str, group: str) -> Work:
    runs = group_runs(study, source, group)
    if not runs:
        return NOTHING
    recipe = training_recipe(study, runs[0].architecture)
    size = recipe.image_size or study.image_size
    model = recipe.architectures[runs[0].architecture]
    costs = flops.vit_flops(model, size), flops.text_flops(model)
    return _evaluation(study, len(runs), costs, recipe is not study.classifiers)


def _evaluate_author_checkpoint(study: Study, checkpoint: str) -> Work:
    is_clip = study.author_checkpoints[checkpoint].kind == "clip"
    return _evaluation(study, 1, (AUTHORS_IMAGE, AUTHORS_TEXT), is_clip)


def _evaluation(study: Study, models: int, costs: tuple[float, float], is_clip: bool) -> Work:
    """Read each image once for all models. `costs` are FLOPs of an image and of a text."""
    image, text = costs
    images = total_images(study, is_clip)
    texts = clip_texts(study) if is_clip else 0
    tflop = models * (images * image + texts * text) / 1e12
    units = {"job": 1, "run": models, "image": images, "tflop": tflop}
    return Work(units, outputs=SMALL_FILE, gpus=study.gpus)


def _flag_images(study: Study, source: str, shard: str) -> Work:
    images = sum(_counts(study, source, shard).values())
    return Work({"job": 1, "image": images}, outputs=SMALL_FILE, gpus=study.gpus)


def _fit_laws(study: Study, law: str) -> Work:
    rows = [study.experiments[name] for name in study.laws[law].experiments]
    curves = sum(
        len(expand_curves(row.curves, study.sources)) * len(row.architectures) for row in rows
    )
    return Work({"job": 1, "curve": curves}, outputs=SMALL_FILE)


def _download(model) -> Work:
    """Download a model of the hub; the files of a folder are linked."""
    return NOTHING if model and model.is_folder else Work(outputs=DOWNLOAD)


def _write_sentences(study: Study, recipe: str) -> Work:
    texts = study.recipes[recipe].texts * class_table.count(study.classes)
    return Work({"job": 1, "text": texts}, outputs=TEXT_ROW * texts, gpus=study.gpus)


def _caption_images(study: Study, recipe: str, shard: str) -> Work:
    images = sum(row.images for row in study.sources.values() if isinstance(row, RealSource))
    images = min(images - int(shard) * study.images_per_shard, study.images_per_shard)
    if images <= 0:
        return NOTHING
    return Work({"job": 1, "image": images}, outputs=TEXT_ROW * images, gpus=study.gpus)


def _small(study: Study) -> Work:
    return Work(outputs=SMALL_FILE)


# Rules that start, read small files and write small ones, whatever the study.
SMALL = ("plot_*", "tabulate_*", "write_prompts", "write_provenance")
# Rule -> its work, from the study and wildcards with the names of the arguments.
RULES: dict[str, Callable[..., Work]] = {
    "index_data": _index_data,
    "prepare_data": _prepare_data,
    "train_generator": _train_generator,
    "finetune_generator": _finetune_generator,
    "fetch_generator": lambda study, generator: _download(study.generators[generator]),
    "fetch_model": lambda study, recipe: _download(study.recipes[recipe]),
    "fetch_safety_checker": lambda study: _download(study.safety_checker),
    "fetch_reference": lambda study: Work(outputs=VIT_DOWNLOAD),
    "fetch_start": lambda study, architecture: Work(outputs=VIT_DOWNLOAD),
    "fetch_feature_model": lambda study, feature: Work(outputs=FEATURE_DOWNLOAD),
    "write_sentences": _write_sentences,
    "caption_images": _caption_images,
    "generate": _generate,
    "select_images": select_images_work,
    "index_shards": _index_shards,
    "train_classifiers": _train,
    "train_clip": _train,
    "evaluate": _evaluate,
    "evaluate_clip": _evaluate,
    "score": score_work,
    "score_features": score_features_work,
    "convert_author_checkpoint": lambda study: Work(outputs=VIT_DOWNLOAD),
    "evaluate_author_checkpoint": _evaluate_author_checkpoint,
    "flag_images": _flag_images,
    "fit_laws": _fit_laws,
}


@cache
def _function(rule: str) -> tuple[Callable[..., Work] | None, tuple[str, ...]]:
    """Return the function of a rule, None if it has none, and the wildcards that it takes."""
    is_small = any(fnmatchcase(rule, pattern) for pattern in SMALL)
    function = RULES.get(rule, _small if is_small else None)
    names = tuple(inspect.signature(function).parameters)[1:] if function else ()
    return function, names


def is_known(rule: str) -> bool:
    """Return whether the work of a rule is known."""
    return _function(rule)[0] is not None


def work(study: Study, rule: str, wildcards: dict[str, str]) -> Work:
    """Return the work of a job.

    Parameters
    ----------
    study : Study
        With the number of GPUs that the job requests.
    rule : str
    wildcards : dict of str to str

    Raises
    ------
    PlanError
        If the rule is unknown: its jobs would seem to cost nothing.
    """
    function, names = _function(rule)
    if function is None:
        fix = "add it to RULES or SMALL of synscale/planning/cost_model.py"
        raise PlanError(f"rule {rule!r}: its work is unknown; {fix}")
    return function(study, *(wildcards[name] for name in names))
