"""Readers of trainings in a plan: what they read, and whether they or the GPUs are slower."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.planning import hardware, plan_page, readers, resources, summary
from synscale.planning.cost_model import Work, work
from synscale.planning.estimates import ResourceEstimates
from synscale.planning.readers import JobTime, Readers
from synscale.planning.summary import Job, cost
from synscale.training import augment
from synscale.workflow import studies
from tests.support.planning import DIGITS, IMAGENET, MACHINE
from tests.support.workflow import ROOT

A100 = hardware.load("a100", ROOT / "profiles/hardware")
H100 = hardware.load("h100", ROOT / "profiles/hardware")
BASE = {"source": "real", "group": "vit_base-n1280000-seed0"}
LARGE = {"source": "real", "group": "vit_large-n1280000-seed0"}
IMAGES = 196_000 * 1024
# Seconds of a core per image in both files.
READ = 0.00084 + 2 * 0.00034


def test_training_reads_each_image_of_its_iterations():
    units = work(IMAGENET, "train_classifiers", BASE).units
    assert units["read"] == IMAGES
    assert units["augment"] == 2 * IMAGES  # RandAugment 2 x 9
    pairs = {"source": "laion", "group": "clip_base-n1000000-seed0"}
    units = work(IMAGENET, "train_clip", pairs).units
    assert units["read"] == 10_000 * 32_768
    assert "augment" not in units


def test_images_in_memory_are_read_only_to_augment_them():
    small = {"source": "real", "group": "vit_small"}
    assert "read" not in work(DIGITS, "train_classifiers", small).units
    flipped = DIGITS.classifiers.model_copy(update={"flip": True})
    study = DIGITS.model_copy(update={"classifiers": flipped})
    units = work(study, "train_classifiers", small).units
    assert units["read"] == units["step"] * flipped.batch_size
    pairs = work(DIGITS, "train_clip", small | {"group": "clip_small"}).units  # crops
    assert pairs["read"] == pairs["step"] * DIGITS.clip.batch_size


CHANGES = [
    {},
    {"flip": True},
    {"crop_scale": (0.5, 1.0)},
    {"erasing": 0.1},
    {"image_size": 12},
    {"image_size": DIGITS.image_size},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_is_augmented_agrees_with_the_training(changes):
    recipe = DIGITS.classifiers.model_copy(update=changes)
    size = recipe.image_size or DIGITS.image_size
    transform = augment.of_images(recipe, DIGITS.image_size, size)
    assert readers.is_augmented(recipe, DIGITS.image_size) == (transform is not None)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 1.0)])
@pytest.mark.parametrize("size", [None, 12])
def test_is_augmented_agrees_with_the_crop_of_pairs(scale, size):
    recipe = DIGITS.clip.model_copy(update={"crop_scale": scale, "image_size": size})
    crop = augment.crop_of_pairs(recipe, DIGITS.image_size, size or DIGITS.image_size)
    assert readers.is_augmented(recipe, DIGITS.image_size) == (crop is not None)


@pytest.mark.parametrize(
    ("threads", "gpus", "nodes", "expected"),
    [(1, 1, 1, 1), (2, 1, 1, 1), (8, 1, 1, 7), (64, 8, 1, 7), (64, 16, 2, 7), (4, 8, 1, 1)],
)
def test_readers_are_the_threads_of_a_process_but_one(threads, gpus, nodes, expected):
    assert readers.readers_per_gpu(threads, gpus, nodes) == expected


def test_reader_limits_a_training_with_too_few_cores():
    slow = cost(IMAGENET, "train_classifiers", BASE, A100)
    assert slow.readers == Readers(1, 2)
    assert slow.readers.limit == "reader"
    assert slow.seconds == pytest.approx(60 + IMAGES * READ, rel=1e-6)

    fast = cost(IMAGENET, "train_classifiers", BASE, A100, readers=7)
    assert fast.readers == Readers(7, 2)
    assert fast.readers.limit == "GPU"
    computing = IMAGES * 3 * 2 * 17.6e9 / 1e12 * 0.0128 + 196_000 * 0.01
    assert fast.seconds == pytest.approx(60 + computing, rel=0.01)


def test_larger_models_need_fewer_readers_and_faster_gpus_more():
    needed = {
        (name, machine.title): cost(IMAGENET, "train_classifiers", job, machine).readers.needed
        for name, job in (("base", BASE), ("large", LARGE))
        for machine in (A100, H100)
    }
    assert list(needed.values()) == [2, 4, 1, 2]


@given(
    st.floats(0, 1e6), st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.integers(1, 64),
    st.integers(1, 64),
)  # fmt: skip
def test_needed_readers_keep_the_gpus_busy(start, computing, reading, gpus, requested):
    time = JobTime(start, computing, reading, gpus, requested)
    assert time.seconds >= start + computing
    enough = replace(time, requested=time.readers.needed)
    assert enough.seconds == pytest.approx(start + computing)
    assert enough.readers.limit == "GPU"
    assert (time.readers.limit == "GPU") == (time.readers.needed <= requested)


def test_core_without_gpu_reads_and_computes_in_turn():
    time = JobTime(1.0, 2.0, 3.0)
    assert time.seconds == 6.0
    assert time.readers is None


def test_larger_images_take_time_in_proportion_to_their_pixels():
    rate = hardware.Rate(rule="train_*", unit="read", seconds=0.5, image_size=256, origin="assumed")
    job = Work({"read": 10}, image_size=512)
    assert rate.seconds_of(job) == 4 * 10 * 0.5
    assert rate.model_copy(update={"image_size": None}).seconds_of(job) == 10 * 0.5


def jobs_with(threads: int) -> list[Job]:
    study = {"study": "imagenet"}
    return [
        Job(f"train {name}", "train_classifiers", study | job, threads=threads, gpu=1)
        for name, job in (("base", BASE), ("large", LARGE))
    ]


@pytest.mark.parametrize(
    ("threads", "limit"), [(1, "reader (1 of 2 jobs)"), (2, "reader (1 of 2 jobs)"), (3, "GPU")]
)
def test_plan_names_the_limit_and_the_readers(threads, limit):
    jobs = jobs_with(threads)
    costs = summary.costs(jobs, {"imagenet": IMAGENET}, A100)
    plan = plan_page.Plan(["figures/imagenet/teaser.pdf"], jobs, costs, A100, [])
    [row, total, _] = plan.rows
    assert (row["limit"], row["reader_cores_per_gpu"]) == (limit, 2)
    assert total["limit"] == limit
    text = "\n".join(plan.paragraphs())
    assert ("GPUs wait for images in 1 of 2 jobs" in text) == (limit != "GPU")
    assert "limit" not in text.splitlines()[2]  # the table of the terminal stays narrow
    page = "\n".join(plan.details())
    table = page.split("## Readers of training images")[1].split("##")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    present = max(1, threads - 1)
    needed = [["train_classifiers", "1", "reader" if present < 2 else "GPU", str(present), "2"]]
    needed += [["train_classifiers", "1", "GPU", str(present), "1"]]
    assert [row for row in rows if row and row[0] == "train_classifiers"] == needed


def test_plan_without_training_has_no_limit():
    jobs = [Job("score", "score", {"study": "digits", "source": "real"})]
    costs = summary.costs(jobs, {"digits": DIGITS}, MACHINE)
    [row, *_] = summary.table(jobs, costs, MACHINE)
    assert (row["limit"], row["reader_cores_per_gpu"]) == ("", None)
    plan = plan_page.Plan(["figures/digits/teaser.pdf"], jobs, costs, MACHINE, [])
    assert "No training on a GPU reads images." in plan.details()


@pytest.mark.parametrize(("gpus", "threads"), [(0, 1), (1, 8), (4, 32), (16, 64)])
def test_training_requests_eight_threads_for_each_gpu(monkeypatch, gpus, threads):
    study = DIGITS.model_copy(update={"gpus": gpus})
    monkeypatch.setattr(studies, "study_of", lambda _: study)
    assert resources.training_threads(SimpleNamespace()) == threads


def test_jobs_request_time_for_their_readers():
    estimates = ResourceEstimates({"imagenet": IMAGENET}, "a100")
    job = {"study": "imagenet"} | BASE
    hours = IMAGES * READ / 3600
    assert estimates.gpu_hours("train_classifiers", job) == math.ceil(hours + 60 / 3600)
    fast = estimates.gpu_hours("train_classifiers", job, 8)
    assert fast < hours
    minutes = estimates.runtime("train_classifiers", job, threads=1)
    assert minutes > 1.1 * estimates.runtime("train_classifiers", job, threads=8)
