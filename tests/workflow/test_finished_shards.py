"""With skip_finished_shards, a list of shards stands for them while they are what the study asks for."""

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
TRUST = ["--config", "skip_finished_shards=true"]
LIST = "results/smoke/shard_index/diffusion_class_names/00001.csv"
BLOCK = "results/smoke/images/diffusion_class_names/00000"


def looked_at(done: Workflow, *more: str) -> set[str]:
    """Shards that a plan of the targets holds, done or not."""
    rows = [line.split("\t")[0] for line in done.dry_run(*TARGETS, "--summary", *more).splitlines()]
    return {
        row
        for row in rows
        if row.startswith(("results/smoke/images", "results/smoke/data")) and row.endswith(".tar")
    }


def test_a_plan_does_not_look_behind_lists_that_it_trusts(done):
    assert done.planned(*TARGETS) == done.planned(*TARGETS, *TRUST) == {}
    assert f"{BLOCK}.tar" in looked_at(done)
    assert looked_at(done, *TRUST) == set()


def test_each_list_of_a_finished_study_is_trusted(done):
    load_study.cache_clear()
    found = finished_shards.finished_indexes({"smoke": load_study(done.study)}, done.folder)
    assert sorted(found) == sorted(
        str(path.relative_to(done.folder / "results"))
        for path in done.folder.glob("results/smoke/shard_index/*/*.csv")
    )


@pytest.mark.parametrize("path", [f"{BLOCK}.tar", f"{BLOCK}.parquet", LIST])
def test_a_list_is_looked_behind_where_a_file_is_missing(done, path):
    (done.folder / path).unlink()
    assert f"{BLOCK}.tar" in looked_at(done, *TRUST)


def test_a_shard_that_is_younger_than_its_list_is_listed_again(done):
    later = time.time() + 5
    for path in (done.folder / f"{BLOCK}.tar", done.folder / f"{BLOCK}.parquet"):
        path.write_text("other images")  # Snakemake knows small files by what is in them
        os.utime(path, (later, later))
    assert "index_shards" in done.planned(*TARGETS, *TRUST)


AGAIN = {"generate": 4, "index_shards": 2, "train_classifiers": 1, "train_clip": 1}


@pytest.mark.parametrize(
    ("old", "new", "made_again"),
    [
        ("sampler: dpmsolver++\n    steps: 2", "sampler: dpmsolver++\n    steps: 3", AGAIN),
        ("iterations: 20", "iterations: 21", AGAIN | {"train_generator": 1}),
    ],
)
def test_images_that_the_study_no_longer_asks_for_are_made_again(done, old, new, made_again):
    done.edit(old, new)
    assert done.planned(*TARGETS, *TRUST) == made_again


def test_other_training_data_of_a_generator_makes_its_images_again(done):
    done.edit("generator_training: [0]", "generator_training: [4]")
    assert {"prepare_data", "train_generator", "generate"} <= done.planned(*TARGETS, *TRUST).keys()


def test_other_names_of_the_classes_make_prompts_and_images_again(done):
    """No setting tells what is in the user's own files."""
    done.edit("zero", "nought", "data/digits_classes.csv")
    assert {"write_prompts", "generate"} <= done.planned(*TARGETS, *TRUST).keys()


def test_what_does_not_change_the_images_leaves_lists_trusted(done):
    done.edit("learning_rate: 5.0e-3", "learning_rate: 6.0e-3")
    assert done.planned(*TARGETS, *TRUST) == {"train_classifiers": 1}
    assert looked_at(done, *TRUST) == set()
