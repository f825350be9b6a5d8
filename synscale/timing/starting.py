"""What comes before: data prepared, and starts of jobs."""

import sys
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np

from scripts import prepare_data
from synscale.data import datasets, shards
from synscale.timing import fake_images, machine
from synscale.timing.bench import Bench, Timed, seconds_of
from synscale.workflow.settings.data import data_settings

PHOTOGRAPH = 500  # pixels a side of a file of a data set, as most of ImageNet's


def prepare(bench: Bench) -> Iterator[Timed]:
    """Photographs decoded, resized and stored, where the study's data are files."""
    if bench.study.data.kind != "files":
        return
    split = next(iter(bench.study.data.training))
    settings = data_settings(bench.study, split, "00000") | {"range": None}
    random = np.random.default_rng(0)
    photograph = [
        shards.encode(fake_images.photograph(random, PHOTOGRAPH), fake_images.JPEG)
        for _ in range(64)
    ]
    rows = [{"image": i, "class_id": 0, "origin": str(i)} for i in range(len(photograph))]
    data = datasets.of_split(
        split,
        bench.study.classes,
        {key: value for key, value in settings["set"].items() if key != "kind"},
    )

    def work() -> None:
        with patch.object(
            datasets, "rows", lambda *_: (rows, lambda row: photograph[row["image"]])
        ):
            storage = settings["stored"]["storage"]
            shards.write(
                bench.folder / "prepared/00000.tar",
                prepare_data.file_samples(data, "", settings, bench.threads),
                storage,
            )

    yield Timed(
        "prepare_data",
        "files",
        f"photographs of {PHOTOGRAPH} pixels, {bench.threads} threads",
        {"image": len(rows)},
        seconds_of(work, bench),
    )


def starts(bench: Bench) -> Iterator[Timed]:
    """Of the rules whose work is timed: Python, its imports, the study read and checked. What a
    scheduler takes to start a job is not in it.
    """
    study = bench.study
    asked = {
        "prepare_data": study.data.kind == "files",
        "write_sentences": any(own.kind == "word_to_sentence" for own in study.recipes.values()),
        "caption_images": any(own.kind == "image_captions" for own in study.recipes.values()),
        "train_generator": any(own.kind != "pretrained" for own in study.generators.values()),
        "generate": bool(study.generators),
        "train_classifiers": study.classifiers,
        "evaluate": study.classifiers,
        "train_clip": study.clip,
        "evaluate_clip": study.clip,
        "score": study.scores,
        "flag_images": study.safety_checker,
    }
    for rule in (rule for rule, wanted in asked.items() if wanted):
        # Twice, for the first may find its files on a disk; what disturbs adds, and takes nothing
        # away.
        command = [
            sys.executable,
            "-c",
            f"import scripts.{rule}; from synscale.study.load import load_study; load_study({str(bench.file)!r})",
        ]
        yield Timed(
            rule,
            "",
            "start",
            {"job": 1},
            min(machine.process(command, bench.device) for _ in range(2)),
        )
