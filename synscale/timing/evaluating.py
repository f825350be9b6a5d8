"""Evaluation, scores and flags: images read and judged."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import timm
import torch

from scripts import evaluate, evaluate_clip
from synscale.evaluation import image_set_metrics, precision, reference
from synscale.models import classifier, clip, safety_checker
from synscale.planning.evaluation_images import clip_texts, evaluation_images, total_images
from synscale.planning.flops import forward_flops
from synscale.timing import machine, stand_ins_transformers
from synscale.timing.bench import Bench, Timed, fitting, free, jobs_of, seconds_of
from synscale.workflow.settings.evaluation import clip_evaluation_settings, score_settings
from synscale.workflow.settings.training import classifier_settings
from synscale.workflow.shards import synthetic_sources

FEATURES = 2000  # of images whose distances are timed: what more take goes with their square


def judge_classifiers(bench: Bench) -> Iterator[Timed]:
    """One and four models of each architecture, loaded, on a batch: what is read once, and what
    each model adds; for all images of all sets.
    """
    study = bench.study
    total, count = total_images(study, is_clip=False), min(evaluate.BATCH, bench.largest)
    fast = precision.fast_dtype(bench.device)
    read = bench.stored(count)
    for name, job in jobs_of(study, study.classifiers):
        settings = classifier_settings(study, *job)
        build = {
            "image_size": settings.image_size,
            "channels": settings.channels,
            "classes": len(bench.classes),
        }
        path, architecture = bench.folder / "judged.safetensors", settings.architecture
        classifier.save(
            path,
            classifier.build(architecture, **build),
            {"build": build | {"architecture": architecture}},
        )
        load = seconds_of(partial(classifier.load, path, bench.device), bench)
        models = [classifier.load(path, bench.device) for _ in range(4)]
        for some in (models[:1], models):
            free(bench.device)
            precisions = [fast] * len(some)
            judge = partial(
                evaluate.judge, some, "timed", read, False, bench.device, bench.workers, precisions
            )
            seconds = seconds_of(judge, bench) * total / count
            units = {
                "job": 1,
                "run": len(some),
                "tflop": len(some)
                * total
                * forward_flops(architecture, build["image_size"])
                / 1e12,
            }
            yield Timed(
                "evaluate",
                "",
                f"{name}, {len(some)} at once",
                units,
                seconds + len(some) * load,
                machine.peak(bench.device),
            )


def judge_clips(bench: Bench) -> Iterator[Timed]:
    """Features of a batch of images, for all images of all sets; heads of ten classes, for all
    texts.
    """
    study, count = bench.study, min(evaluate_clip.BATCH, bench.largest)
    total, texts = total_images(study, is_clip=True), clip_texts(study) if study.clip else 0
    fast = precision.fast_dtype(bench.device)
    for name, job in jobs_of(study, study.clip):
        settings, tar = (
            clip_evaluation_settings(study, *job),
            bench.stored(count).shards[0].tar,
        )
        own = clip.load(bench.folder / "clip" / f"{name}.safetensors", bench.device)
        templates, classes = (
            clip.templates(settings["templates"]),
            bench.classes["name"].head(min(10, bench.largest)).tolist(),
        )
        heads = partial(clip.heads, own, classes, templates)
        encoded = seconds_of(heads, bench) * texts / len(classes) / len(templates)
        for models in ([own], [own] * 4):
            free(bench.device)
            features = partial(
                evaluate_clip.features, models, tar, bench.workers, [fast] * len(models)
            )
            seen = seconds_of(features, bench) * total / count
            yield Timed(
                "evaluate_clip",
                "",
                f"{name}, {len(models)} at once",
                {"job": 1, "run": len(models)},
                seen + len(models) * encoded,
                machine.peak(bench.device),
            )


def flag(bench: Bench) -> Iterator[Timed]:
    """A batch of images as a safety checker sees them."""
    own = bench.study.safety_checker
    if own is None:
        yield Timed(
            "flag_images", "", "", {}, 0, note="not timed: the study names no safety_checker"
        )
        return
    place = Path(own.model if own.is_folder else f"results/{bench.name}/safety_checker")
    true = (place / "safety_checker/config.json").is_file()
    note, batch = "" if true else "random weights", min(own.batch_size, bench.largest)
    free(bench.device)
    with stand_ins_transformers.instead(
        {} if true else stand_ins_transformers.safety_checker(), bench.device
    ):
        start = machine.clock(bench.device)
        checker = safety_checker.Checker(str(place), own.variant, bench.device)
        yield Timed(
            "flag_images", "", "loaded", {"load": 1}, machine.clock(bench.device) - start, note=note
        )

    def timed(batch: int) -> list[Timed]:
        tar = bench.stored(batch).shards[0].tar
        return [
            Timed(
                "flag_images",
                "",
                f"batches of {batch}",
                {"image": batch},
                seconds_of(lambda: safety_checker.flags(tar, checker, batch), bench),
                note=note,
            )
        ]

    yield from fitting(batch, timed, bench.device)


def _reference(bench: Bench) -> reference.Reference | None:
    """The one that is on disk, or one of random weights; None where it is not known what it looks
    like.
    """
    own, place = bench.study.scores.reference, Path(f"results/{bench.name}/reference")
    if own.kind == "run":
        build = {
            "image_size": bench.study.classifiers.image_size or bench.study.image_size,
            "channels": bench.study.channels,
            "classes": len(bench.classes),
        }
        model = classifier.build(bench.study.classifiers.architectures[own.architecture], **build)
        path = bench.folder / "reference.safetensors"
        architecture = bench.study.classifiers.architectures[own.architecture]
        classifier.save(path, model, {"build": build | {"architecture": architecture}})
        return reference.trained(path, bench.device)
    if own.model.startswith(("/", ".")):
        place = Path(own.model)
    if not (place / "config.json").is_file():
        place, name = bench.folder / "reference", own.model.split("/")[-1]
        if not timm.is_model(name.split(".")[0]):
            return None
        timm.models.save_for_hf(timm.create_model(name), place, safe_serialization=True)
    return reference.pretrained(place, bench.device)


def _distances(bench: Bench, width: int) -> tuple[float, float]:
    """Seconds of FID, precision and recall of a set: the part that is there for any number of
    images, and that of a pair of them.
    """

    def seconds(images: int) -> float:
        features = torch.randn(2, images, width)
        return seconds_of(
            lambda: image_set_metrics.Real(features[0], bench.device).compared(features[1]), bench
        )

    few, many = seconds(FEATURES // 2), seconds(FEATURES)
    pair = max(0.0, many - few) / (3 * (FEATURES**2 - (FEATURES // 2) ** 2))
    return max(0.0, many - 3 * FEATURES**2 * pair), pair


def judge_sources(bench: Bench) -> Iterator[Timed]:
    """A batch judged, for each image; the real images once a job; distances between features."""
    if bench.study.scores is None:
        return
    judge, count = _reference(bench), max(4, min(reference.BATCH, bench.largest))
    if judge is None:
        yield Timed(
            "score",
            "",
            "reference",
            {},
            0,
            note=f"not on disk, and not known to timm: snakemake results/{bench.name}/reference",
        )
        return
    read = bench.stored(
        count, 2
    )  # two classes: half a batch each, as of a study whose classes have as many images
    each = seconds_of(partial(judge.judge, read, bench.workers), bench) / count
    scored, real = (
        bench.study.scores.images,
        evaluation_images(bench.study, bench.study.scores.evaluation),
    )
    yield Timed(
        "score",
        "",
        "images of a source",
        {"image": scored},
        scored * each,
        machine.peak(bench.device),
    )
    set_of, pair = _distances(bench, judge.model.num_features)
    pairs = real**2 + scored**2 + scored * real
    yield Timed("score", "", "distances", {"pair": pairs}, pairs * pair)
    sets = [
        len(score_settings(bench.study, name)["guidance"])
        for name in synthetic_sources(bench.study)
    ]
    yield Timed(
        "score", "", "real images", {"job": 1}, real * each + set_of * sum(sets) / max(1, len(sets))
    )
