"""What one job does, in units that a type of machine has a speed for. Pure: from the study's
numbers, never from the size of a file.

Units: `job` (start-up), `run` (a model trained or evaluated), `step` (a training iteration),
`image` (made, read or judged), `pair` (of images that are compared), `pass` (an image through a
generator's first stage once: steps x images, twice where guidance needs it), `curve` (fitted),
`text` (written by a model), `tflop` (arithmetic of all of it).
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from synscale.planning import evaluation_images
from synscale.planning import flops as generators
from synscale.planning.image_sizes import image_bytes
from synscale.study import class_table
from synscale.study.models import Study, expand_curves
from synscale.workflow.paths import indexed_tars
from synscale.workflow.runs import group_runs, training_recipe
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.settings.evaluation import score_settings
from synscale.workflow.settings.generation import generation_settings, generator_settings
from synscale.workflow.settings.prompts import prompt_settings
from synscale.workflow.settings.training import (
    ClassifierSettings,
    ClipSettings,
    classifier_settings,
    clip_settings,
)
from synscale.workflow.shards import images_per_shard, real_sources

SMALL_FILE = 20_000
FETCHED = 5_000_000_000  # bytes of a released model (assumed)
VIT_BASE = {"patch_size": 16, "width": 768, "depth": 12}
CLIP_BASE = VIT_BASE | {"context_length": 77, "text_width": 512, "text_depth": 12}
RELEASED = 600_000_000  # bytes of a released classifier or CLIP model: the larger of them, a ViT-B/16 with its text transformer
FLOAT = 4


class PlanError(ValueError):
    """What stands in the way of a plan, with its mend."""


@dataclass(frozen=True)
class Work:
    units: dict[str, float] = field(default_factory=lambda: {"job": 1})
    kind: str = ""  # of the generator, where a machine's speed depends on it
    images: int = 0  # made
    kept: int = 0  # bytes of outputs
    state: int = 0  # bytes beside them while the job runs
    gpus: int = 0


NOTHING = Work({})  # a job that a smaller study does not have


# -- parameters and FLOPs ----------------------------------------------------------------------------------------------------------------


def image_flops(architecture: dict, image_size: int) -> float:
    """Return the FLOPs of a forward pass of one image through a ViT or the ViT of a CLIP model."""
    patches = (image_size // architecture["patch_size"]) ** 2
    extra = 1 if architecture.get("pool") != "avg" else 0
    return generators.transformer_flops(
        patches + extra, architecture["width"], architecture["depth"]
    )


def text_flops(architecture: dict) -> float:
    """Return the FLOPs of a forward pass of one text through a CLIP model; 0 for a classifier."""
    if "text_width" not in architecture:
        return 0.0
    shape = (architecture[key] for key in ("context_length", "text_width", "text_depth"))
    return generators.transformer_flops(*shape)


def forward_flops(architecture: dict, image_size: int) -> float:
    """Of one image, and its text where there is one."""
    return image_flops(architecture, image_size) + text_flops(architecture)


def parameters(architecture: dict, image_size: int, channels: int) -> int:
    """Of a ViT or CLIP model: layers, patches, positions, and the vocabulary, which is most of a
    small CLIP.
    """
    width, patch = architecture["width"], architecture["patch_size"]
    found = 12 * width**2 * architecture["depth"] + width * (
        channels * patch**2 + (image_size // patch) ** 2
    )
    if "text_width" in architecture:
        text = architecture["text_width"]
        # Of CLIP's tokenizer: 256 bytes, the same at a word's end, its merges, start and end.
        vocabulary = 514 + (
            48_894 if architecture.get("merges") is None else architecture["merges"]
        )
        found += 12 * text**2 * architecture["text_depth"] + text * (
            vocabulary + architecture["context_length"]
        )
    return found


# -- a function for each rule ------------------------------------------------------------------------------------------------------------


INDEX_ROW = 30  # bytes of the index of a data set
ROW = 120  # bytes of a row of a list of shards


def _prepare_data(study: Study, split: str, shard: str) -> Work:
    chosen = data_settings(study, split, shard)
    kind, (start, stop) = chosen["set"]["kind"], chosen["range"] or (0, 0)
    if kind == "files":
        images = stop - start or evaluation_images.known_images(chosen["set"]["name"])
        return Work({"job": 1, "image": images}, kind, kept=images * image_bytes(study, split))
    images = stop - start or evaluation_images.digits(chosen["set"])
    return Work(kind=kind, kept=images * image_bytes(study, split))


def _index_data(study: Study, split: str) -> Work:
    """A row for each image of classes; of pairs one for each tar, which is next to nothing."""
    chosen = index_settings(study, split)
    images = 0 if chosen["pairs"] else evaluation_images.known_images(chosen["name"])
    return Work({"job": 1, "image": images}, kept=INDEX_ROW * images)


def _train_generator(study: Study, generator: str) -> Work:
    settings = generator_settings(study, generator).generator.model_dump()
    training, weights = settings["training"], FLOAT * generators.parameters(settings)
    steps = training["iterations"]
    flops = (
        3 * generators.forward_flops(settings, study.image_size) * steps * training["batch_size"]
    )
    # State: weights, two moments of AdamW, the moving average.
    return Work(
        {"job": 1, "run": 1, "step": steps, "tflop": flops / 1e12},
        generators.kind_of(settings),
        kept=weights,
        state=4 * weights,
        gpus=study.gpus,
    )


def _generate(study: Study, source: str, shard: str) -> Work:
    planned = generation_settings(study, source, shard)
    generator = study.generators[planned.generator].model_dump()
    counts = {scale: stop - start for scale, (start, stop) in planned.guidance.items()}
    if not counts:
        return NOTHING
    images, kept = sum(counts.values()), sum(counts.values()) * image_bytes(study)
    units = {
        "job": 1,
        "image": images,
        "pass": sum(count * generators.passes(generator, scale) for scale, count in counts.items()),
        "tflop": sum(
            count * generators.image_flops(generator, study.image_size, scale)
            for scale, count in counts.items()
        )
        / 1e12,
    }
    # State: what a restarted job goes on from, and the shard that is being written, which holds the
    # same images.
    return Work(
        units, generators.kind_of(generator), images=images, kept=kept, state=kept, gpus=study.gpus
    )


def forward_passes(training, gpus: int, cached_features: bool = False) -> int:
    """Return the cost of a training step in forward passes.

    A forward pass is one, a backward pass two. CLIP computes features once more if there are
    several micro-batches, and gradient checkpointing computes activations once more.

    Parameters
    ----------
    training : Training or ClipTraining
    gpus : int
        GPUs that share a batch.
    cached_features : bool
        Whether micro-batches need the features of the complete batch first, as those of CLIP do.

    Returns
    -------
    int
    """
    batch = training.batch_size
    micro_batches = batch > max(1, gpus) * (training.micro_batch_size or batch)
    checkpointing = getattr(training, "gradient_checkpointing", False)
    return 3 + (cached_features and micro_batches) + checkpointing


def _train(study: Study, settings: ClassifierSettings | ClipSettings) -> Work:
    """Trained models lie twice while the job runs: as outputs, and as what a restarted job goes on
    from.
    """
    model, size = settings.architecture.model_dump(), settings.image_size
    steps = sum(run.iterations for run in settings.runs)
    paired = "text_width" in model
    passes = forward_passes(settings.recipe, study.gpus, cached_features=paired)
    flops = passes * forward_flops(model, size) * steps * settings.recipe.batch_size
    weights = FLOAT * parameters(model, size, study.channels)
    count = len(settings.runs)
    units = {"job": 1, "run": count, "step": steps, "tflop": flops / 1e12}
    return Work(units, kept=count * weights, state=(count + 2) * weights, gpus=study.gpus)


def _index_shards(study: Study, source: str, shard: str) -> Work:
    """The manifest of every shard that is not in the list before is read."""
    rows = len(indexed_tars(study, source, shard))
    return Work(
        {"job": 1, "image": rows * images_per_shard(study, source)},
        kept=ROW * (int(shard[-5:]) + 1),
    )


def _train_classifiers(study: Study, source: str, group: str) -> Work:
    if not group_runs(study, source, group):
        return NOTHING
    return _train(study, classifier_settings(study, source, group))


def _train_clip(study: Study, source: str, group: str) -> Work:
    if not group_runs(study, source, group):
        return NOTHING
    return _train(study, clip_settings(study, source, group))


def _evaluate(study: Study, source: str, group: str) -> Work:
    """An image is read once for all models of the job, and seen by each."""
    runs = group_runs(study, source, group)
    if not runs:
        return NOTHING
    trainer = training_recipe(study, runs[0].architecture)
    size = trainer.image_size or study.image_size
    models = [trainer.architectures[run.architecture].model_dump() for run in runs]
    return _evaluation(study, models, size, is_clip=trainer is not study.classifiers)


def _evaluation(study: Study, models: list[dict], size: int, is_clip: bool) -> Work:
    images = evaluation_images.total_images(study, is_clip)
    texts = evaluation_images.clip_texts(study) if is_clip else 0
    flops = sum(images * image_flops(model, size) + texts * text_flops(model) for model in models)
    units = {"job": 1, "run": len(models), "image": images, "tflop": flops / 1e12}
    return Work(units, kept=SMALL_FILE, gpus=study.gpus)


def _score(study: Study, source: str) -> Work:
    settings = score_settings(study, source)
    sets = len(settings.guidance)
    scored = settings.images or study.scores.images
    real = evaluation_images.evaluation_images(study, study.scores.evaluation)
    units = {"job": 1, "image": sets * scored}
    if (
        settings.guidance != (None,)
    ):  # real ones are compared with none: distances of real ones to each other, of each set's, between both
        units["pair"] = real**2 + sets * (scored**2 + scored * real)
    return Work(units, kept=SMALL_FILE, gpus=study.gpus)


def _evaluate_author_checkpoint(study: Study, checkpoint: str) -> Work:
    """The authors' checkpoints are ViT-B/16 and CLIP ViT-B/16 at 224 pixels."""
    is_clip = study.author_checkpoints[checkpoint].kind == "clip"
    return _evaluation(study, [CLIP_BASE if is_clip else VIT_BASE], 224, is_clip)


def _fit_laws(study: Study, law: str) -> Work:
    chosen = [study.experiments[name] for name in study.laws[law].experiments]
    return Work(
        {
            "job": 1,
            "curve": sum(
                len(expand_curves(e.curves, study.sources)) * len(e.architectures) for e in chosen
            ),
        },
        kept=SMALL_FILE,
    )


def _flag_images(study: Study, source: str, shard: str) -> Work:
    return Work(
        {"job": 1, "image": generation_settings(study, source, shard).images},
        kept=SMALL_FILE,
        gpus=study.gpus,
    )


def _fetch(model) -> Work:
    """Of the hub; the files of a folder are linked."""
    return NOTHING if model and model.is_folder else Work(kept=FETCHED)


def _classifier(study: Study, checkpoint: str = "") -> Work:
    return Work(kept=RELEASED)


def _write_sentences(study: Study, recipe: str) -> Work:
    texts = prompt_settings(study, recipe)["texts"] * class_table.count(study.classes)
    return Work({"job": 1, "text": texts}, kept=100 * texts, gpus=study.gpus)


def _caption_images(study: Study, recipe: str, shard: str) -> Work:
    images = sum(study.sources[name].images for name in real_sources(study))
    held = max(0, min(images - int(shard) * study.images_per_shard, study.images_per_shard))
    return Work({"job": 1, "image": held}, kept=100 * held, gpus=study.gpus) if held else NOTHING


# Rules that start, read small files and write small ones, whatever the study.
SMALL = ("plot_*", "tabulate_*", "write_prompts", "write_provenance")
RULES = {
    "index_data": (_index_data, ["split"]),
    "prepare_data": (_prepare_data, ["split", "shard"]),
    "train_generator": (_train_generator, ["generator"]),
    "fetch_generator": (
        lambda study, generator: _fetch(study.generators[generator]),
        ["generator"],
    ),
    "fetch_model": (lambda study, recipe: _fetch(study.recipes[recipe]), ["recipe"]),
    "fetch_safety_checker": (lambda study: _fetch(study.safety_checker), []),
    "write_sentences": (_write_sentences, ["recipe"]),
    "caption_images": (_caption_images, ["recipe", "shard"]),
    "generate": (_generate, ["source", "shard"]),
    "index_shards": (_index_shards, ["source", "shard"]),
    "train_classifiers": (_train_classifiers, ["source", "group"]),
    "train_clip": (_train_clip, ["source", "group"]),
    "evaluate": (_evaluate, ["source", "group"]),
    "evaluate_clip": (_evaluate, ["source", "group"]),
    "score": (_score, ["source"]),
    "evaluate_author_checkpoint": (_evaluate_author_checkpoint, ["checkpoint"]),
    "fetch_reference": (_classifier, []),
    "convert_author_checkpoint": (_classifier, ["checkpoint"]),
    "flag_images": (_flag_images, ["source", "shard"]),
    "fit_laws": (_fit_laws, ["law"]),
}


def known(rule: str) -> bool:
    return rule in RULES or any(fnmatchcase(rule, pattern) for pattern in SMALL)


def work(study: Study, rule: str, wildcards: dict[str, str]) -> Work:
    """Raises PlanError for a rule of which nothing is known: it would pass for one that costs
    nothing.
    """
    if not known(rule):
        raise PlanError(
            f"rule {rule!r}: nothing is known of its work: add it to RULES or SMALL of synscale/planning/cost_model.py"
        )
    function, names = RULES.get(rule, (None, []))
    return (
        function(study, *(wildcards[name] for name in names)) if function else Work(kept=SMALL_FILE)
    )
