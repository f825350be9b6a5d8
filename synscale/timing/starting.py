"""Timings of what comes before the work of a job: data prepared, and starts of jobs."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from synscale.data import datasets, prepare, shards
from synscale.timing import fake_images, machine
from synscale.timing.bench import Bench, Timed, seconds_of
from synscale.workflow.settings.data import IndexSettings, data_settings

PHOTOGRAPH = 500  # pixels a side of a file of a data set, as most of ImageNet's
PHOTOGRAPHS = 64


def prepare_files(bench: Bench) -> Iterator[Timed]:
    """Decode, resize and store photographs, if the study's data are files."""
    if bench.study.data.kind != "files":
        return
    split = next(iter(bench.study.data.training))
    settings = replace(data_settings(bench.study, split, "00000"), range=None)
    random = np.random.default_rng(0)
    files = []
    for _ in range(PHOTOGRAPHS):
        pixels = fake_images.photograph(random, PHOTOGRAPH)
        files.append(shards.encode(pixels, fake_images.JPEG))
    rows = [{"image": i, "class_id": 0, "origin": str(i)} for i in range(PHOTOGRAPHS)]
    assert isinstance(settings.images, IndexSettings) and settings.stored is not None
    data = datasets.of_split(split, bench.study.classes, settings.images)
    stored = settings.stored

    def read_index(*_):
        return rows, lambda row: files[row["image"]]

    def work() -> None:
        with patch.object(datasets, "read_index", read_index):
            samples = prepare.file_samples(data, "", settings, bench.threads)
            shards.write(bench.folder / "prepared/00000.tar", samples, stored)

    title = f"photographs of {PHOTOGRAPH} pixels, {bench.threads} threads"
    seconds = seconds_of(work, bench)
    yield Timed("prepare_data", "files", title, {"image": PHOTOGRAPHS}, seconds)


def starts(bench: Bench) -> Iterator[Timed]:
    """Time the starts of the rules whose work is timed: Python, imports, and reading the study.

    What a scheduler takes to start a job is not included.
    """
    study = bench.study
    recipes = {recipe.kind for recipe in study.recipes.values()}
    generators = {generator.kind for generator in study.generators.values()}
    used = {
        "prepare_data": study.data.kind == "files",
        "write_sentences": "word_to_sentence" in recipes,
        "caption_images": "image_captions" in recipes,
        "train_generator": generators - {"pretrained", "finetuned"},
        "finetune_generator": "finetuned" in generators,
        "generate": generators,
        "train_classifiers": study.classifiers,
        "evaluate": study.classifiers,
        "train_clip": study.clip,
        "evaluate_clip": study.clip,
        "score": study.scores,
        "flag_images": study.safety_checker,
    }
    for rule in [rule for rule, is_used in used.items() if is_used]:
        code = f"import scripts.{rule}; from synscale.study.load import load_study"
        code += f"; load_study({str(bench.file)!r})"
        command = [sys.executable, "-c", code]
        # Twice: the first may read its files from a disk, and disturbances only add time.
        seconds = min(machine.process(command, bench.device) for _ in range(2))
        yield Timed(rule, "", "start", {"job": 1}, seconds)
