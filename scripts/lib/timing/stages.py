"""What is timed of each rule of a study: its own code, at the study's shapes and settings, for seconds; and the work of that in a plan's units.

Weights are those on disk, or else random ones (`stand_ins`): speed does not depend on them. Images are made for it (`pictures`).
"""

import gc
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pandas as pd
import timm
import torch

from scripts import evaluate, evaluate_clips, generate, prepare_data, train_generator
from scripts.lib import classifier, clip, clip_trainer, datasets, fidelity, images, jobs, pipelines, recipes, reference, shards, stream, stretches
from scripts.lib.plans import generators
from scripts.lib.plans.work import evaluation_images, forward_flops
from scripts.lib.study import Study
from scripts.lib.study.classifiers import Training
from scripts.lib.study.clips import ClipTraining
from scripts.lib.study.data import classified
from scripts.lib.timing import loops, machine, pictures, stand_ins

ROUNDS = 5  # a work is repeated until it took the bench's seconds, or so often
LARGEST = 1024  # images of a timed batch: what a larger one takes follows from its FLOPs
FEATURES = 2000  # of images whose distances are timed: what more take goes with their square
PHOTOGRAPH = 500  # pixels a side of a file of a data set, as most of ImageNet's


@dataclass(frozen=True)
class Timed:
    """units: what was done. peak: bytes of GPU memory at most, where there is a GPU. note: how it differs from what the study does."""

    rule: str
    kind: str
    what: str
    units: dict[str, float]
    seconds: float
    peak: int = 0
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """What is timed, and where. folder: for what is written meanwhile. seconds: that each work is timed for, once at least. largest: images of a
    batch at most. steps: of sampling at most, None for the study's own."""

    name: str
    study: Study
    device: torch.device
    folder: Path
    threads: int = 1
    seconds: float = 10.0
    largest: int = LARGEST
    steps: int | None = None

    @property
    def workers(self) -> int:
        return self.threads - 1

    @property
    def classes(self) -> pd.DataFrame:
        return pd.read_csv(self.study.classes)

    def stored(self, count: int, classes: int | None = None) -> stream.Stored:
        """Images as the study stores them."""
        storage = self.study.storage.model_dump()
        path = self.folder / f"stored-{count}-{classes}/00000.tar"
        return pictures.block(path, count, self.study.image_size, classes or len(self.classes), storage, channels=self.study.channels)


def _free(device: torch.device) -> None:
    gc.collect()
    machine.fresh(device)


def seconds_of(work: Callable[[], object], bench: Bench, warm: Callable[[], object] | None = None) -> float:
    """Median of repetitions, after a first one that does not count (`warm`, or the work itself)."""
    (warm or work)()
    found: list[float] = []
    while len(found) < ROUNDS and (not found or sum(found) < bench.seconds):
        start = machine.clock(bench.device)
        work()
        found.append(machine.clock(bench.device) - start)
    return statistics.median(found)


def fitting(batch: int, work: Callable[[int], list[Timed]], device: torch.device) -> list[Timed]:
    """The work at the largest of batch, batch / 2, batch / 4, ... that the GPU has memory for; what does not fit is told."""
    largest = batch
    while True:
        _free(device)
        try:
            found = work(batch)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            batch //= 2
            continue
        note = f"timed at {batch}, for a batch of {largest} does not fit into the memory of this GPU" if batch < largest else ""
        return [replace(t, note="; ".join(filter(None, (t.note, note))), peak=machine.peak(device)) for t in found]


# -- generators --------------------------------------------------------------------------------------------------------------------------


def train_generators(bench: Bench) -> Iterator[Timed]:
    """Of each kind that is trained here: iterations beyond the first few, which are the start's."""
    for name, own in bench.study.generators.items():
        if own.kind == "pretrained":
            continue
        settings = jobs.generator_settings(bench.study, name)
        count = 2 * settings["training"]["batch_size"]
        pixels, _ = bench.stored(count).read(torch.arange(count))
        captions = [["a photo", "a number"]] * count
        work = partial(_train_generator, bench, settings, pixels.numpy(), captions)
        few = min(5, settings["training"]["iterations"])
        more = max(few + 1, min(50, settings["training"]["iterations"]))
        step = max(seconds_of(partial(work, more), bench) - seconds_of(partial(work, few), bench), 1e-9) / (more - few)
        flops = 3 * generators.forward_flops(settings, bench.study.image_size) * settings["training"]["batch_size"]
        yield Timed("train_generator", generators.kind_of(settings), name, {"step": 1, "tflop": flops / 1e12}, step, machine.peak(bench.device))


def _train_generator(bench: Bench, settings: dict, pixels: np.ndarray, captions: list[list[str]], iterations: int) -> None:
    shorter = settings | {"training": settings["training"] | {"iterations": iterations}}
    train_generator.train(shorter, pixels, captions, str(bench.folder / "generator"), "timed", bench.device)


def _source_of(study: Study, generator: str) -> str | None:
    return next((name for name, own in study.sources.items() if own.kind == "synthetic" and own.generator == generator), None)


def _builder(model: str) -> Callable | None:
    """Of a model in a folder, or of what stands in for one of the hub."""
    if model.startswith(("/", ".")):
        return partial(pipelines.DiffusionPipeline.from_pretrained, model, dtype=torch.float32)
    return stand_ins.of(model)


def _pipeline(bench: Bench, name: str, settings: dict):
    """(pipeline, whether its weights are its own, seconds of loading); None where it is not on disk and nothing stands in for it."""
    own = bench.study.generators[name]
    path = Path(f"results/{bench.name}/{'models' if own.kind == 'pretrained' else 'generators'}/{name}")
    builders: dict[str, Callable | None] = {}
    true = (path / "model_index.json").is_file()
    if not true:
        path = bench.folder / "pipelines" / name
        if own.kind != "pretrained":
            trained = jobs.generator_settings(bench.study, name)
            build = train_generator.KINDS[own.kind][0]
            build(trained, train_generator.build_tokenizer(recipes_of(bench))).save_pretrained(path)
        elif own.is_folder and own.upscaler is None:
            path, true = Path(own.model), True
        else:
            models = {str(path): own.model} | ({str(path / "upscaler"): own.upscaler.model} if own.upscaler else {})
            builders = {place: _builder(model) for place, model in models.items()}
            if None in builders.values():
                return None
    with stand_ins.in_place(builders, bench.device):
        start = machine.clock(bench.device)
        return pipelines.load(str(path), settings["sampling"], bench.device), true, machine.clock(bench.device) - start


def recipes_of(bench: Bench) -> list[str]:
    """Texts of the first class names."""
    return [recipes.texts({"kind": "class_names"}, row, None)[0] for _, row in bench.classes.head(10).iterrows()]


def generate_images(bench: Bench) -> Iterator[Timed]:
    """Of each generator: a batch as a job makes it, with guidance where it is made with any; encoding and writing too."""
    for name in bench.study.generators:
        source = _source_of(bench.study, name)
        if source is None:
            continue
        block = jobs.blocks(bench.study, source)[0]
        settings = jobs.generation_settings(bench.study, source, block)
        scales = list(bench.study.sources[source].images)
        scale = next((own for own in scales if own > 1), scales[0])
        sampling = settings["sampling"]
        sampling["steps"] = min(sampling["steps"], bench.steps or sampling["steps"])
        if sampling.get("upscaler"):
            sampling["upscaler"]["steps"] = min(sampling["upscaler"]["steps"], bench.steps or sampling["upscaler"]["steps"])
        _free(bench.device)
        loaded = _pipeline(bench, name, settings)
        kind = generators.kind_of(bench.study.generators[name].model_dump())
        if loaded is None:
            yield Timed("generate", kind, name, {}, 0, note=f"not on disk, and nothing stands in for it: snakemake results/{bench.name}/models/{name}")
            continue
        pipeline, true, start = loaded
        yield Timed("generate", kind, f"{name}, loaded", {"job": 1}, start, note="" if true else "random weights")
        yield from fitting(
            min(generate.batch_size(settings), bench.largest), partial(_images, bench, pipeline, settings, scale, kind, name, true), bench.device
        )
        del pipeline, loaded


def _images(bench: Bench, pipeline, settings: dict, scale: float, kind: str, name: str, true: bool, batch: int) -> list[Timed]:
    sampling = settings["sampling"] | {"batch_size": batch}
    pool = pd.DataFrame({"class_id": range(len(bench.classes.head(10))), "text": recipes_of(bench)})

    def work(steps: int) -> None:
        own = settings | {"guidance": {f"{scale:g}": (0, batch)}, "sampling": sampling | {"steps": steps}}
        folder = bench.folder / "made"
        state = stretches.Stretches(folder / "state", str(steps), generate.storage_of(own))
        # Noise may come out blank, and would be made again and again.
        with patch.object(images, "is_blank", lambda pixels: False):
            shards.write(folder / "00000.tar", generate.samples(pipeline, "timed", own, pool, bench.classes["name"], state), generate.storage_of(own))
        shutil.rmtree(folder)

    steps = sampling["steps"]
    seconds = seconds_of(partial(work, steps), bench, partial(work, min(2, steps)))
    planned = bench.study.generators[name].model_dump()
    planned |= {"steps": steps, "upscaler": sampling.get("upscaler")}
    tflop = batch * generators.image_flops(planned, bench.study.image_size, scale) / 1e12
    told = f"batches of {batch}, {steps} steps, guidance {scale:g}"
    return [Timed("generate", kind, f"{name}, {told}", {"image": batch, "tflop": tflop}, seconds, note="" if true else "random weights")]


# -- training ----------------------------------------------------------------------------------------------------------------------------


def _jobs_of(study: Study, recipe) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each architecture of a training recipe that an experiment uses, with a job (source, batch) that trains it."""
    found: dict[str, tuple[str, str]] = {}
    for run in jobs.runs(study):
        if recipe and run.architecture in recipe.architectures:
            found.setdefault(run.architecture, (run.source, jobs.batch_of(study, run)))
    yield from found.items()


def _enough(seconds: float, bench: Bench) -> int:
    """Steps that are timed, from the seconds of one."""
    return int(min(100, max(3, bench.seconds / max(seconds, 1e-6))))


def train_classifiers(bench: Bench) -> Iterator[Timed]:
    """Of each architecture: steps after the first ones. Images are in memory or on disk, as the study's are."""
    for name, job in _jobs_of(bench.study, bench.study.classifiers):
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
    count = _enough(few / 3, bench)
    seconds, second = steps(count)
    rest = min(first, second)  # what disturbs adds, and takes nothing away
    units = {"step": count, "tflop": 3 * forward_flops(build["architecture"], build["image_size"]) * count * batch / 1e12}
    return [
        Timed("train_classifiers", "", f"{name}, batches of {batch}", units, seconds),
        Timed("train_classifiers", "", f"{name}, beside its steps", {"run": 1}, rest),
    ]


def train_clips(bench: Bench) -> Iterator[Timed]:
    """Of each architecture: the second part of a training by open_clip's trainer. The models are left for `judge_clips`."""
    for name, job in _jobs_of(bench.study, bench.study.clips):
        settings = jobs.clip_settings(bench.study, *job)
        settings["architectures"] = {name: settings["architectures"][name]}
        training = settings["training"]
        yield from fitting(min(training["batch_size"], bench.largest), partial(_clip, bench, name, settings), bench.device)


def _clip(bench: Bench, name: str, settings: dict, batch: int) -> list[Timed]:
    own = settings | {"training": settings["training"] | {"batch_size": batch, "checkpoints": 2}}
    count = min(2 * batch, LARGEST)
    bench.stored(count)
    tar = bench.folder / f"stored-{count}-None/00000.tar"
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
    half = _enough(few / 2, bench)
    seconds, second = steps(half)
    rest = min(first, second)
    units = {"step": half, "tflop": 3 * forward_flops(architecture, settings["image_size"]) * half * batch / 1e12}
    turns = clip_trainer.turns(ClipTraining(**own["training"]), 1)
    told = f"{name}, batches of {batch}" + (f" in {turns} turns" if turns > 1 else "")
    return [Timed("train_clips", "", told, units, seconds), Timed("train_clips", "", f"{name}, beside its steps", {"run": 1}, rest)]


# -- evaluation and scores ---------------------------------------------------------------------------------------------------------------


def judge_classifiers(bench: Bench) -> Iterator[Timed]:
    """One and four models of each architecture on a batch: what is read once, and what each model adds; for all images of all sets."""
    study = bench.study
    total, count = sum(evaluation_images(study, name) for name in classified(study.data)), min(evaluate.BATCH, bench.largest)
    read = bench.stored(count)
    for name, job in _jobs_of(study, study.classifiers):
        settings = jobs.classifier_settings(study, *job)
        build = {"image_size": settings["image_size"], "channels": settings["channels"], "classes": len(bench.classes)}
        models = [classifier.build(settings["architectures"][name], **build).to(bench.device).eval() for _ in range(4)]
        for some in (models[:1], models):
            _free(bench.device)
            seconds = seconds_of(partial(evaluate.judge, some, "timed", read, False, bench.device, bench.workers), bench)
            yield Timed("evaluate", "", f"{name}, {len(some)} at once", {"job": 1, "run": len(some)}, seconds * total / count, machine.peak(bench.device))


def _texts(settings: dict, classes: pd.DataFrame) -> int:
    """Texts that a CLIP model reads to be judged."""
    plain = len(clip.templates(settings["templates"]))
    found = len(classes) * plain
    for own in settings.get("sets", {}).values():
        found += len(pd.read_csv(own["classes"])) * plain
    return found + sum(len(task["templates"]) * len(task["captions"] or task["classes"] or classes) for task in settings["tasks"].values())


def judge_clips(bench: Bench) -> Iterator[Timed]:
    """Features of a batch of images, for all images of all sets; heads of ten classes, for all texts."""
    study, count = bench.study, min(evaluate_clips.BATCH, bench.largest)
    total = sum(evaluation_images(study, name) for name in study.data.evaluation)
    for name, job in _jobs_of(study, study.clips):
        settings, tar = jobs.clip_evaluation_settings(study, *job), str(bench.folder / f"stored-{count}-None/00000.tar")
        bench.stored(count)
        own = clip.load(bench.folder / "clips" / f"{name}.safetensors", bench.device)
        templates, classes = clip.templates(settings["templates"]), bench.classes["name"].head(10).tolist()
        texts = seconds_of(partial(clip.heads, own, classes, templates), bench) * _texts(settings, bench.classes) / len(classes) / len(templates)
        for models in ([own], [own] * 4):
            _free(bench.device)
            seen = seconds_of(partial(evaluate_clips.features, models, tar, bench.workers), bench) * total / count
            yield Timed(
                "evaluate_clips", "", f"{name}, {len(models)} at once", {"job": 1, "run": len(models)}, seen + len(models) * texts, machine.peak(bench.device)
            )


def _reference(bench: Bench) -> reference.Reference | None:
    """The one that is on disk, or one of random weights; None where it is not known what it looks like."""
    own, place = bench.study.scores.reference, Path(f"results/{bench.name}/reference")
    if own.kind == "run":
        build = {"image_size": bench.study.classifiers.image_size or bench.study.image_size, "channels": bench.study.channels, "classes": len(bench.classes)}
        model = classifier.build(bench.study.classifiers.architectures[own.architecture].model_dump(), **build)
        path = bench.folder / "reference.safetensors"
        architecture = bench.study.classifiers.architectures[own.architecture].model_dump(exclude={"label"})
        classifier.save(path, model, {"build": build | {"architecture": architecture}})
        return reference.trained(path, bench.device)
    if own.model.startswith(("/", ".")):
        place = Path(own.model)
    if not (place / "config.json").is_file():
        place, name = bench.folder / "reference", own.model.split("/")[-1]
        if not timm.is_model(name.split(".")[0]):
            return None
        timm.models.save_for_hf(timm.create_model(name), place, safe_serialization=True)
    return reference.released(place, bench.device)


def _distances(bench: Bench, width: int, scored: int, real: int) -> float:
    """Seconds of FID, precision and recall: a part that is there for any number of images, and one for each pair."""

    def seconds(images: int, others: int) -> float:
        return seconds_of(partial(fidelity.against_real, torch.randn(images, width), torch.randn(others, width), bench.device), bench)

    few, many = (min(scored, FEATURES // 2), min(real, FEATURES // 2)), (min(scored, FEATURES), min(real, FEATURES))
    whole = seconds(*many)
    if many == (scored, real):
        return whole
    pair = max(0.0, whole - seconds(*few)) / (many[0] * many[1] - few[0] * few[1])
    return whole + pair * (scored * real - many[0] * many[1])


def judge_sources(bench: Bench) -> Iterator[Timed]:
    """A batch judged, for each image; the real images once a job; distances between features."""
    if bench.study.scores is None:
        return
    judge, count = _reference(bench), max(4, min(reference.BATCH, bench.largest))
    if judge is None:
        yield Timed("score", "", "reference", {}, 0, note=f"not on disk, and not known to timm: snakemake results/{bench.name}/reference")
        return
    read = bench.stored(count, 2)  # two classes: half a batch each, as of a study whose classes have as many images
    each = seconds_of(partial(judge.judge, read, bench.workers), bench) / count
    scored, real = bench.study.scores.images, evaluation_images(bench.study, bench.study.scores.evaluation)
    near = _distances(bench, judge.model.num_features, scored, real)
    yield Timed("score", "", "real images", {"job": 1}, real * each)
    yield Timed("score", "", "images of a source", {"image": scored}, scored * each + near, machine.peak(bench.device))


# -- data and starts ---------------------------------------------------------------------------------------------------------------------


def prepare(bench: Bench) -> Iterator[Timed]:
    """Photographs decoded, resized and stored, where the study's data are files."""
    if bench.study.data.kind != "files":
        return
    split = next(iter(bench.study.data.training))
    settings = jobs.data_settings(bench.study, split, "00000") | {"range": None}
    random = np.random.default_rng(0)
    photograph = [shards.encode(pictures.photograph(random, PHOTOGRAPH), pictures.JPEG) for _ in range(64)]
    rows = [{"image": i, "class_id": 0, "origin": str(i)} for i in range(len(photograph))]
    data = datasets.of_split(split, bench.study.classes, {key: value for key, value in settings["set"].items() if key != "kind"})

    def work() -> None:
        with patch.object(datasets, "rows", lambda *_: (rows, lambda row: photograph[row["image"]])):
            storage = settings["stored"]["storage"]
            shards.write(bench.folder / "prepared/00000.tar", prepare_data.file_samples(data, "", settings, bench.threads), storage)

    yield Timed("prepare_data", "files", f"photographs of {PHOTOGRAPH} pixels, {bench.threads} threads", {"image": len(rows)}, seconds_of(work, bench))


def starts(bench: Bench) -> Iterator[Timed]:
    """Of the rules whose work is timed: Python and its imports. What a scheduler takes to start a job is not in it."""
    study = bench.study
    asked = {
        "prepare_data": study.data.kind == "files",
        "train_generator": any(own.kind != "pretrained" for own in study.generators.values()),
        "generate": bool(study.generators),
        "train_classifiers": study.classifiers,
        "evaluate": study.classifiers,
        "train_clips": study.clips,
        "evaluate_clips": study.clips,
        "score": study.scores,
    }
    for rule in (rule for rule, wanted in asked.items() if wanted):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", f"scripts.{rule}", "--help"], check=True, capture_output=True)
        yield Timed(rule, "", "start", {"job": 1}, time.perf_counter() - start)


STAGES = {
    "starts": starts,
    "prepare_data": prepare,
    "train_generator": train_generators,
    "generate": generate_images,
    "train_classifiers": train_classifiers,
    "evaluate": judge_classifiers,
    "train_clips": train_clips,
    "evaluate_clips": judge_clips,
    "score": judge_sources,
}
