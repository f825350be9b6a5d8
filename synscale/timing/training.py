"""Classifiers and CLIP models: steps of their training."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from synscale.models import clip
from synscale.planning.cost_model import forward_flops, forward_passes
from synscale.study.models.classifiers import Training
from synscale.timing import loops, machine
from synscale.timing.bench import LARGEST, Bench, Timed, enough, fitting, jobs_of
from synscale.training import clip_loop, distributed, stream
from synscale.workflow.runs import training_runs
from synscale.workflow.settings.training import classifier_settings, clip_settings


def train_classifiers(bench: Bench) -> Iterator[Timed]:
    """Of each architecture: steps after the first ones. Images are in memory or on disk, as the
    study's are.
    """
    for name, job in jobs_of(bench.study, bench.study.classifiers):
        settings = classifier_settings(bench.study, *job)
        own = settings["architectures"][name]
        build = {
            "architecture": own,
            "image_size": settings["image_size"],
            "channels": settings["channels"],
            "classes": len(bench.classes),
        }
        training = Training(**settings["training"])
        yield from fitting(
            min(training.batch_size, bench.largest),
            partial(_classifier, bench, name, build, training),
            bench.device,
        )


def _classifier(
    bench: Bench, name: str, build: dict, training: Training, batch: int
) -> list[Timed]:
    recipe, read = (
        training.model_copy(update={"batch_size": batch}),
        bench.stored(min(2 * batch, LARGEST)),
    )
    most = max(run.size for run in training_runs(bench.study) if run.architecture == name)
    if most * bench.study.channels * bench.study.image_size**2 <= stream.IN_MEMORY:
        [read] = stream.load_into_memory([read])

    def steps(count: int) -> tuple[float, float]:
        """Seconds of these steps, and of all else but three more."""
        run, start = loops.Steps(bench.device, skip=3), machine.clock(bench.device)
        loops.classifier(run, build, recipe, read, 3 + count, bench.workers)
        return run.seconds, max(
            0.0, machine.clock(bench.device) - start - run.seconds * (1 + 3 / count)
        )

    few, first = steps(3)
    count = enough(few / 3, bench)
    seconds, second = steps(count)
    rest = min(first, second)  # what disturbs adds, and takes nothing away
    units = {
        "step": count,
        "tflop": 3
        * forward_flops(build["architecture"], build["image_size"])
        * count
        * batch
        / 1e12,
    }
    return [
        Timed("train_classifiers", "", f"{name}, batches of {batch}", units, seconds),
        Timed("train_classifiers", "", f"{name}, beside its steps", {"run": 1}, rest),
    ]


def train_clip(bench: Bench) -> Iterator[Timed]:
    """Time steps of each architecture, with the real number of micro-batches of one GPU.

    That many micro-batches of images, features and rows of the similarity matrix are in memory.
    Only if a GPU cannot hold a micro-batch is it halved. The models are left for `judge_clips`.
    """
    for name, job in jobs_of(bench.study, bench.study.clip):
        settings = clip_settings(bench.study, *job)
        settings["architectures"] = {name: settings["architectures"][name]}
        training = settings["training"]
        batch, largest = training["batch_size"], training.get("micro_batch_size")
        count = distributed.count_micro_batches("clip.batch_size", batch, largest, 1)
        micro_batch = min(batch // count, bench.largest)
        yield from fitting(micro_batch, partial(_clip, bench, name, settings, count), bench.device)


def _clip(bench: Bench, name: str, settings: dict, count: int, micro_batch: int) -> list[Timed]:
    batch, images = count * micro_batch, min(2 * count * micro_batch, LARGEST)
    sizes = {"batch_size": batch, "micro_batch_size": micro_batch}
    own = settings | {"training": settings["training"] | sizes}
    tar = Path(bench.stored(images).shards[0].tar)
    architecture = settings["architectures"][name]
    skipped = 1 if count > 1 else 3  # a step of many micro-batches warms up within itself

    def steps(timed: int) -> tuple[float, float]:
        """Return seconds of `timed` steps, and of everything else but the skipped steps."""
        run = loops.Steps(bench.device, skip=count * skipped)
        job, start = loops.clip_job(own, images, skipped + timed), machine.clock(bench.device)
        model = loops.clip(run, job, tar, images, bench.workers)
        total = machine.clock(bench.device) - start
        weights = clip_loop.weights_of(model)
        description = {
            "architecture": architecture,
            "image_size": settings["image_size"],
            "training": own["training"],
            "run": {},
        }
        clip.save(bench.folder / "clip" / f"{name}.safetensors", weights, description)
        return run.seconds, max(0.0, total - run.seconds * (1 + skipped / timed))

    done, rest = 2, float("inf")
    seconds, first = steps(done)
    wanted = enough(seconds / done, bench)
    if seconds < bench.seconds:
        done = wanted
        seconds, rest = steps(done)
    passes = forward_passes(own["training"], 1, cached_features=True)
    flops = passes * forward_flops(architecture, settings["image_size"]) * done * batch
    what = f"{name}, batches of {batch}"
    if count > 1:
        what += f" in {count} micro-batches"
    return [
        Timed("train_clip", "", what, {"step": done, "tflop": flops / 1e12}, seconds),
        Timed("train_clip", "", f"{name}, beside its steps", {"run": 1}, min(first, rest)),
    ]
