"""Classifiers and CLIP models: steps of their training."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from synscale.planning.flops import forward_flops, forward_passes, is_probe
from synscale.timing import loops, machine, readers
from synscale.timing.bench import LARGEST, Bench, Timed, enough, fitting, jobs_of
from synscale.training import classifier_group, clip_group, stream
from synscale.training.classifier_loop import ClassifierJob
from synscale.training.clip_loop import ClipJob
from synscale.workflow.settings.training import classifier_settings, clip_settings


def _timed_steps(
    bench: Bench,
    skipped: int,
    per_step: int,
    train: Callable[[loops.Steps, int], object],
    repeats: bool,
) -> Callable[[int], tuple[float, float]]:
    """Return a function of a number of steps that times a training of so many steps.

    It returns the seconds of the steps, and of everything else but the skipped steps before them.

    Parameters
    ----------
    bench : Bench
    skipped : int
        Steps before those that are timed.
    per_step : int
        Batches that a step asks for.
    train : callable
        Trains a number of steps.
    repeats : bool
        Whether the first batch is repeated, because readers are timed by themselves.
    """

    def seconds_of(count: int) -> tuple[float, float]:
        steps = loops.Steps(bench.device, skip=per_step * skipped, repeats=repeats)
        start = machine.clock(bench.device)
        train(steps, skipped + count)
        total = machine.clock(bench.device) - start
        return steps.seconds, max(0.0, total - steps.seconds * (1 + skipped / count))

    return seconds_of


def train_classifiers(bench: Bench) -> Iterator[Timed]:
    """Time the reader, and steps of each architecture after the first ones."""
    yield from readers.time_classifiers(bench)
    for name, group in jobs_of(bench.study, bench.study.classifiers):
        settings = classifier_settings(bench.study, *group)
        [job, *_] = classifier_group.jobs_of(settings, len(bench.classes))
        batch = min(settings.recipe.batch_size, bench.largest)
        yield from fitting(batch, partial(_classifier, bench, name, job), bench.device)


def _classifier(bench: Bench, name: str, job: ClassifierJob, batch: int) -> list[Timed]:
    recipe = job.recipe.model_copy(update={"batch_size": batch})
    [images] = stream.load_into_memory([bench.stored(min(2 * batch, LARGEST))])

    def train(steps: loops.Steps, count: int) -> None:
        timed = replace(job, run=loops.timed_run(count), recipe=recipe)
        loops.classifier(steps, timed, images, bench.workers)

    seconds_of = _timed_steps(
        bench, 3, 1, train, readers.reads(bench.study, bench.study.classifiers)
    )
    few, first = seconds_of(3)
    count = enough(few / 3, bench)
    seconds, second = seconds_of(count)
    rest = min(first, second)  # other work on the machine only adds time
    passes = forward_passes(is_probe=is_probe(job.architecture))
    flops = passes * forward_flops(job.architecture, job.image_size) * count * batch
    units = {"step": count, "tflop": flops / 1e12}
    return [
        Timed("train_classifiers", "", f"{name}, batches of {batch}", units, seconds),
        Timed("train_classifiers", "", f"{name}, beside its steps", {"run": 1}, rest),
    ]


def train_clip(bench: Bench) -> Iterator[Timed]:
    """Time the reader, and steps of each architecture with the micro-batches of one GPU.

    That many micro-batches of images, features and rows of the similarity matrix are in memory.
    Only if a GPU cannot hold a micro-batch is it halved. The models are left for `judge_clips`.
    """
    for number, (name, group) in enumerate(jobs_of(bench.study, bench.study.clip)):
        [job, *_] = clip_group.jobs_of(clip_settings(bench.study, *group))
        if not number:
            yield from readers.time_pairs(bench, job)
        count = job.micro_batches(1)
        micro_batch = min(job.recipe.batch_size // count, bench.largest)
        yield from fitting(micro_batch, partial(_clip, bench, name, job, count), bench.device)


def _clip(bench: Bench, name: str, job: ClipJob, count: int, micro_batch: int) -> list[Timed]:
    batch = count * micro_batch
    sizes = {"batch_size": batch, "micro_batch_size": micro_batch}
    recipe = job.recipe.model_copy(update=sizes)
    images = min(2 * batch, LARGEST)
    tar = Path(bench.stored(images).shards[0].tar)
    skipped = 1 if count > 1 else 3  # a step of many micro-batches warms up within itself

    def train(steps: loops.Steps, iterations: int) -> None:
        timed = replace(job, run=loops.timed_run(iterations), recipe=recipe)
        model = loops.clip(steps, timed, tar, images, bench.workers)
        clip_group.save(bench.folder / "clip" / f"{name}.safetensors", model, timed)

    seconds_of = _timed_steps(
        bench, skipped, count, train, readers.reads(bench.study, bench.study.clip)
    )
    done, rest = 2, float("inf")
    seconds, first = seconds_of(done)
    if seconds < bench.seconds:
        done = enough(seconds / done, bench)
        seconds, rest = seconds_of(done)
    passes = forward_passes(count > 1, recipe.gradient_checkpointing)
    flops = passes * forward_flops(job.architecture, job.image_size) * done * batch
    what = f"{name}, batches of {batch}"
    if count > 1:
        what += f" in {count} micro-batches"
    return [
        Timed("train_clip", "", what, {"step": done, "tflop": flops / 1e12}, seconds),
        Timed("train_clip", "", f"{name}, beside its steps", {"run": 1}, min(first, rest)),
    ]
