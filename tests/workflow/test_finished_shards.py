"""With skip_finished_shards, a finished index represents its shards in a plan."""

import os
import time

import pytest

from synscale.study.load import load_study
from synscale.workflow import finished_shards
from tests.support.workflow import Workflow

TARGETS = [
    "results/smoke/classifiers/diffusion_class_names/vit_tiny",
    "results/smoke/clip/both/clip_tiny",
]
HELD_OUT = "results/smoke/data/one_writer/00000.tar"  # for the losses of trainings
SKIP = ["--config", "skip_finished_shards=true"]
INDEX = "results/smoke/shard_index/diffusion_class_names/00001.csv"
SHARD = "results/smoke/images/diffusion_class_names/00000"


def planned_shards(done: Workflow, *more: str) -> set[str]:
    """Return the shards in a plan of the targets, done or not."""
    rows = [line.split("\t")[0] for line in done.dry_run(*TARGETS, "--summary", *more).splitlines()]
    return {
        row
        for row in rows
        if row.startswith(("results/smoke/images", "results/smoke/data")) and row.endswith(".tar")
    }


def test_plan_has_no_shards_of_finished_indexes(done):
    assert done.planned(*TARGETS) == done.planned(*TARGETS, *SKIP) == {}
    assert f"{SHARD}.tar" in planned_shards(done)
    assert planned_shards(done, *SKIP) == {HELD_OUT}


def test_each_index_of_a_finished_study_is_finished(done):
    load_study.cache_clear()
    finished = finished_shards.finished_indexes({"smoke": load_study(done.study)}, done.folder)
    assert sorted(finished) == sorted(
        str(path.relative_to(done.folder / "results"))
        for path in done.folder.glob("results/smoke/shard_index/*/*.csv")
    )


@pytest.mark.parametrize("path", [f"{SHARD}.tar", f"{SHARD}.parquet", INDEX])
def test_missing_file_brings_shards_back_into_the_plan(done, path):
    (done.folder / path).unlink()
    assert f"{SHARD}.tar" in planned_shards(done, *SKIP)


def test_newer_shard_is_indexed_again(done):
    later = time.time() + 5
    for path in (done.folder / f"{SHARD}.tar", done.folder / f"{SHARD}.parquet"):
        path.write_text("other images")  # Snakemake compares the content of small files
        os.utime(path, (later, later))
    assert "index_shards" in done.planned(*TARGETS, *SKIP)


AGAIN = {"generate": 4, "index_shards": 2, "train_classifiers": 1, "train_clip": 1}


@pytest.mark.parametrize(
    ("old", "new", "regenerated"),
    [
        ("sampler: dpmsolver++\n    steps: 2", "sampler: dpmsolver++\n    steps: 3", AGAIN),
        ("iterations: 20", "iterations: 21", AGAIN | {"train_generator": 1}),
    ],
)
def test_changed_settings_regenerate_images(done, old, new, regenerated):
    done.edit(old, new)
    assert done.planned(*TARGETS, *SKIP) == regenerated


def test_new_training_data_of_a_generator_regenerates_images(done):
    done.edit("generator_training: [0]", "generator_training: [4]")
    assert {"prepare_data", "train_generator", "generate"} <= done.planned(*TARGETS, *SKIP).keys()


def test_new_class_names_regenerate_prompts_and_images(done):
    """No digest covers the content of the user's files."""
    done.edit("zero", "nought", "data/digits_classes.csv")
    assert {"write_prompts", "generate"} <= done.planned(*TARGETS, *SKIP).keys()


def test_new_learning_rate_leaves_indexes_finished(done):
    done.edit("learning_rate: 5.0e-3", "learning_rate: 6.0e-3")
    assert done.planned(*TARGETS, *SKIP) == {"train_classifiers": 1}
    assert planned_shards(done, *SKIP) == {HELD_OUT}
