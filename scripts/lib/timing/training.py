"""Classifiers and CLIP models: steps of their training."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import scripts.lib.torch_setup  # noqa: F401

from scripts.lib import clip, distributed, jobs, stream
from scripts.lib.plans.work import forward_flops, forward_passes
from scripts.lib.study.classifiers import Training
from scripts.lib.timing import loops, machine
from scripts.lib.timing.bench import LARGEST, Bench, Timed, enough, fitting, jobs_of


def train_classifiers(bench: Bench) -> Iterator[Timed]:
    """Of each architecture: steps after the first ones. Images are in memory or on disk, as the study's are."""
    for name, job in jobs_of(bench.study, bench.study.classifiers):
        settings = jobs.classifier_settings(bench.study, *job)
        own = settings["architectures"][name]
        build = {"architecture": own, "image_size": settings["image_size"], "channels": settings["channels"], "classes": len(bench.classes)}
        training = Training(**settings["training"])
        yield from fitting(min(training.batch_size, bench.largest), partial(_classifier, bench, name, build, training), bench.device)


def _classifier(bench: Bench, name: str, build: dict, training: Training, batch: int) -> list[Timed]:
    recipe, read = training.model_copy(update={"batch_size": batch}), bench.stored(min(2 * batch, LARGEST))
    most = max(run.size for run in jobs.runs(bench.study) if run.architecture == name)
    if most * bench.study.channels * bench.study.image_size**2 <= stream.IN_MEMORY:
        [read] = stream.hold([read])

    def steps(count: int) -> tuple[float, float]:
        """Seconds of these steps, and of all else but three more."""
        run, start = loops.Steps(bench.device, skip=3), machine.clock(bench.device)
        loops.classifier(run, build, recipe, read, 3 + count, bench.workers)
        return run.seconds, max(0.0, machine.clock(bench.device) - start - run.seconds * (1 + 3 / count))

    few, first = steps(3)
    count = enough(few / 3, bench)
    seconds, second = steps(count)
    rest = min(first, second)  # what disturbs adds, and takes nothing away
    units = {"step": count, "tflop": 3 * forward_flops(build["architecture"], build["image_size"]) * count * batch / 1e12}
    return [
        Timed("train_classifiers", "", f"{name}, batches of {batch}", units, seconds),
        Timed("train_classifiers", "", f"{name}, beside its steps", {"run": 1}, rest),
    ]


def train_clips(bench: Bench) -> Iterator[Timed]:
    """Of each architecture: the second part of a training by open_clip's trainer. The models are left for `judge_clips`."""
    for name, job in jobs_of(bench.study, bench.study.clips):
        settings = jobs.clip_settings(bench.study, *job)
        settings["architectures"] = {name: settings["architectures"][name]}
        training = settings["training"]
        yield from fitting(min(training["batch_size"], bench.largest), partial(_clip, bench, name, settings), bench.device)


def _clip(bench: Bench, name: str, settings: dict, batch: int) -> list[Timed]:
    own = settings | {"training": settings["training"] | {"batch_size": batch, "checkpoints": 2}}
    count = min(2 * batch, LARGEST)
    tar = Path(bench.stored(count).blocks[0].tar)
    architecture = settings["architectures"][name]

    def steps(half: int) -> tuple[float, float]:
        """Seconds of the second half of the steps, and of all else but the first."""
        run, start = loops.Parts(bench.device), machine.clock(bench.device)
        weights = loops.clip(run, own, tar, count, 2 * half, bench.workers)
        rest = max(0.0, machine.clock(bench.device) - start - 2 * run.seconds)
        description = {"architecture": architecture, "image_size": settings["image_size"], "training": own["training"], "run": {}}
        clip.save(bench.folder / "clips" / f"{name}.safetensors", weights, description)
        return run.seconds, rest

    few, first = steps(2)
    half = enough(few / 2, bench)
    seconds, second = steps(half)
    rest = min(first, second)
    passes = forward_passes(own["training"], 1)
    units = {"step": half, "tflop": passes * forward_flops(architecture, settings["image_size"]) * half * batch / 1e12}
    turns = distributed.turns("clips.batch_size", batch, own["training"].get("largest_batch"), 1)
    told = f"{name}, batches of {batch}" + (f" in {turns} turns" if turns > 1 else "")
    return [Timed("train_clips", "", told, units, seconds), Timed("train_clips", "", f"{name}, beside its steps", {"run": 1}, rest)]
