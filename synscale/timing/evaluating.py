"""Time evaluation, scores and flags."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import timm
import torch

from synscale.evaluation import classifiers, evaluator, precision, reference
from synscale.evaluation import clip as clip_evaluation
from synscale.evaluation.image_set_metrics import RealImages
from synscale.models import classifier, clip, safety_checker
from synscale.planning.evaluation_images import clip_texts, evaluation_images, total_images
from synscale.planning.flops import forward_flops
from synscale.study.models.classifiers import Architecture
from synscale.timing import machine, stand_ins_transformers
from synscale.timing.bench import Bench, Timed, fitting, free, jobs_of, seconds_of
from synscale.workflow.settings.evaluation import score_settings
from synscale.workflow.settings.training import classifier_settings
from synscale.workflow.shards import synthetic_sources

FEATURES = 2000  # images whose distances are timed; time grows with their square
MODELS = 4  # models of a job, to separate what is read once from what each model adds


def _save_classifier(bench: Bench, path: Path, architecture: Architecture, image_size: int) -> None:
    build = {
        "architecture": architecture,
        "image_size": image_size,
        "channels": bench.study.channels,
        "classes": len(bench.classes),
    }
    model = classifier.build(**build)  # type: ignore[arg-type]
    classifier.save(path, model, {"build": build})


def time_classifiers(bench: Bench) -> Iterator[Timed]:
    """Time one and several models of each architecture on all images of all sets.

    One batch is timed; loading is added for each model.
    """
    study = bench.study
    total = total_images(study, is_clip=False)
    count = min(evaluator.BATCH, bench.largest)
    fast = precision.fast_dtype(bench.device)
    images = bench.stored(count)
    for name, job in jobs_of(study, study.classifiers):
        settings = classifier_settings(study, *job)
        architecture = settings.architecture
        image_size = settings.image_size
        path = bench.folder / "evaluated.safetensors"
        _save_classifier(bench, path, architecture, image_size)
        load = seconds_of(partial(classifier.load, path, bench.device), bench)
        models = [classifier.load(path, bench.device) for _ in range(MODELS)]
        flops = total * forward_flops(architecture, image_size)
        for some in (models[:1], models):
            free(bench.device)
            arguments = (some, "timed", images, False, bench.device, bench.workers)
            evaluate = partial(classifiers.evaluate_set, *arguments, [fast] * len(some))
            seconds = seconds_of(evaluate, bench) * total / count + len(some) * load
            units = {"job": 1, "run": len(some), "tflop": len(some) * flops / 1e12}
            what = f"{name}, {len(some)} at once"
            yield Timed("evaluate", "", what, units, seconds, machine.peak(bench.device))


def time_clip(bench: Bench) -> Iterator[Timed]:
    """Time the features of all images of all sets, and the heads of all texts.

    One batch of images and the texts of ten classes are timed.
    """
    study = bench.study
    count = min(evaluator.BATCH, bench.largest)
    total = total_images(study, is_clip=True)
    texts = clip_texts(study) if study.clip else 0
    fast = precision.fast_dtype(bench.device)
    for name, _ in jobs_of(study, study.clip):
        tar = bench.stored(count).shards[0].tar
        model = clip.load(bench.folder / "clip" / f"{name}.safetensors", bench.device)
        templates = clip.templates(study.clip.templates)
        names = bench.classes["name"].head(min(10, bench.largest)).tolist()
        heads = seconds_of(partial(clip.heads, model, names, templates), bench)
        heads *= texts / len(names) / len(templates)
        for models in ([model], [model] * MODELS):
            free(bench.device)
            precisions = [fast] * len(models)
            encode = partial(clip_evaluation.encode_set, models, tar, bench.workers, precisions)
            seconds = seconds_of(encode, bench) * total / count + len(models) * heads
            units: dict[str, float] = {"job": 1, "run": len(models)}
            what = f"{name}, {len(models)} at once"
            yield Timed("evaluate_clip", "", what, units, seconds, machine.peak(bench.device))


def time_flags(bench: Bench) -> Iterator[Timed]:
    """Time a batch of images in a safety checker."""
    weights = bench.study.safety_checker
    if weights is None:
        note = "not timed: the study has no safety_checker"
        yield Timed("flag_images", "", "", {}, 0, note=note)
        return
    folder = Path(weights.model if weights.is_folder else f"results/{bench.name}/safety_checker")
    is_fetched = (folder / "safety_checker/config.json").is_file()
    note = "" if is_fetched else "random weights"
    stand_ins = {} if is_fetched else stand_ins_transformers.safety_checker()
    free(bench.device)
    with stand_ins_transformers.instead(stand_ins, bench.device):
        start = machine.clock(bench.device)
        checker = safety_checker.Checker(str(folder), weights.variant, bench.device)
        seconds = machine.clock(bench.device) - start
        yield Timed("flag_images", "", "loaded", {"load": 1}, seconds, note=note)

    def timed(batch: int) -> list[Timed]:
        tar = bench.stored(batch).shards[0].tar
        seconds = seconds_of(lambda: safety_checker.flags(tar, checker, batch), bench)
        what = f"batches of {batch}"
        return [Timed("flag_images", "", what, {"image": batch}, seconds, note=note)]

    yield from fitting(min(weights.batch_size, bench.largest), timed, bench.device)


def _reference(bench: Bench) -> reference.Reference | None:
    """Return the downloaded reference or one of random weights; None if timm does not know it."""
    study = bench.study
    row = study.scores.reference
    if row.kind == "run":
        architecture = study.classifiers.architectures[row.architecture]
        path = bench.folder / "reference.safetensors"
        image_size = study.classifiers.image_size or study.image_size
        _save_classifier(bench, path, architecture, image_size)
        return reference.load_trained(path, bench.device)
    folder = Path(row.model if row.is_folder else f"results/{bench.name}/reference")
    if not (folder / "config.json").is_file():
        name = row.model.split("/")[-1]
        if not timm.is_model(name.split(".")[0]):
            return None
        folder = bench.folder / "reference"
        timm.models.save_for_hf(timm.create_model(name), folder, safe_serialization=True)
    return reference.load_pretrained(folder, bench.device)


def _distances(bench: Bench, width: int) -> tuple[float, float]:
    """Return seconds of FID, precision and recall of a set: a constant, and one pair of images."""

    def seconds(images: int) -> float:
        features = torch.randn(2, images, width)
        return seconds_of(lambda: RealImages(features[0], bench.device).compare(features[1]), bench)

    few = seconds(FEATURES // 2)
    many = seconds(FEATURES)
    pair = max(0.0, many - few) / (3 * (FEATURES**2 - (FEATURES // 2) ** 2))
    return max(0.0, many - 3 * FEATURES**2 * pair), pair


def time_scores(bench: Bench) -> Iterator[Timed]:
    """Time each image in the reference, the real images of a job, and distances of features."""
    study = bench.study
    if study.scores is None:
        return
    scorer = _reference(bench)
    if scorer is None:
        note = f"not on disk, and unknown to timm: snakemake results/{bench.name}/reference"
        yield Timed("score", "", "reference", {}, 0, note=note)
        return
    count = max(4, min(reference.BATCH, bench.largest))
    images = bench.stored(count, 2)  # half a batch in each class, as with a thousand classes
    image = seconds_of(partial(scorer.evaluate, images, bench.workers), bench) / count
    scored = study.scores.images
    real = evaluation_images(study, study.scores.evaluation)
    peak = machine.peak(bench.device)
    yield Timed("score", "", "images of a source", {"image": scored}, scored * image, peak)
    constant, pair = _distances(bench, scorer.model.num_features)
    pairs = real**2 + scored**2 + scored * real
    yield Timed("score", "", "distances", {"pair": pairs}, pairs * pair)
    scales = [len(score_settings(study, name).guidance) for name in synthetic_sources(study)]
    seconds = real * image + constant * sum(scales) / max(1, len(scales))
    yield Timed("score", "", "real images", {"job": 1}, seconds)
