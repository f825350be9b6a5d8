"""Work and seconds of single jobs against sums done by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.planning.cost_model import work
from synscale.planning.evaluation_images import evaluation_images
from synscale.planning.summary import cost
from synscale.study.models.generators import PretrainedGenerator
from tests.support.planning import DIGITS, IMAGENET, MACHINE

# Billions of multiplications and additions of a ViT-B/16, of its ViT-L/16, of CLIP's text encoder.
IMAGE, LARGE, TEXT = 17.6, 61.6, 2.97


def test_generate_counts_images_and_passes_of_a_shard():
    # Guidance 1.0, 1.5, 4.0: 3,840 each; 2.0, 7.5: 480 each. A shard covers 3,840 indices, so all
    # are in the first.
    job_work = work(DIGITS, "generate", {"source": "diffusion_class_names", "shard": "00000"})
    assert job_work.images == job_work.units["image"] == 3 * 3840 + 2 * 480 == 12480
    # 6 steps; at guidance 1 once through the generator, else twice: 6 x (3,840 + 2 x 8,640) =
    # 126,720.
    assert job_work.units["pass"] == 126_720
    wildcards = {"source": "diffusion_class_names", "shard": "00000"}
    assert cost(DIGITS, "generate", wildcards, MACHINE).seconds == pytest.approx(10 + 124.8)


def test_train_counts_steps_of_a_group():
    # 3 seeds x (100 + 100 + 150 + 150 + 200) for sizes 30 to 480, which include the runs of the
    # sweep at 480.
    job = {"source": "real", "group": "vit_small"}
    job_work = work(DIGITS, "train_classifiers", job)
    assert job_work.units["step"] == 3 * 700
    assert job_work.units["run"] == 15
    assert cost(DIGITS, "train_classifiers", job, MACHINE).seconds == pytest.approx(10 + 21)


def test_disk_is_near_what_a_run_wrote():
    clips = work(DIGITS, "train_clip", {"source": "real", "group": "clip_small"})
    assert clips.outputs == pytest.approx(15 * 857_380, rel=0.05)  # 15 files of that size
    data = work(DIGITS, "prepare_data", {"split": "classifier_training", "shard": "00000"})
    assert data.outputs == pytest.approx(1_515_520 + 50_160, rel=0.05)  # tar and manifest


def test_score_counts_distances_of_all_pairs():
    def distances(images: int) -> float:
        scores = DIGITS.scores.model_copy(update={"images": images})
        study = DIGITS.model_copy(update={"scores": scores})
        return work(study, "score", {"source": source}).units["pair"]

    source = "diffusion_class_names"
    sets = len(DIGITS.sources[source].images)
    real = evaluation_images(DIGITS, DIGITS.scores.evaluation)
    assert distances(100) == real**2 + sets * (100**2 + 100 * real)
    assert distances(2_000_000) == pytest.approx(4 * distances(1_000_000), rel=1e-3)
    assert "pair" not in work(DIGITS, "score", {"source": "real"}).units


def test_fetch_downloads_from_the_hub_and_links_a_folder():
    hub = PretrainedGenerator(
        kind="pretrained", model="owner/name", revision="0" * 40, size=64, steps=2
    )
    folder = hub.model_copy(update={"model": "./folder", "revision": None})
    for generator, stored, seconds in ((hub, 5e9, 10), (folder, 0, 0)):
        study = DIGITS.model_copy(update={"generators": {"any": generator}})
        job = cost(study, "fetch_generator", {"generator": "any"}, MACHINE)
        assert (job.work.outputs, job.seconds) == (stored, seconds)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 100), st.integers(0, 100))
def test_costs_rise_with_images_and_iterations(images, more, iterations, further):
    def study(count, steps):
        source = DIGITS.sources["diffusion_alt_texts"].model_copy(update={"images": {1.5: count}})
        counts = dict.fromkeys(DIGITS.classifiers.iterations, steps)
        changes = {
            "images_per_shard": 10**7,
            "sources": DIGITS.sources | {"diffusion_alt_texts": source},
            "classifiers": DIGITS.classifiers.model_copy(update={"iterations": counts}),
        }
        return DIGITS.model_copy(update=changes)

    jobs = {
        "generate": {"source": "diffusion_alt_texts", "shard": "00000"},
        "train_classifiers": {"source": "real", "group": "vit_small"},
    }
    for rule, wildcards in jobs.items():
        less = cost(study(images, iterations), rule, wildcards, MACHINE)
        larger = cost(study(images + more, iterations + further), rule, wildcards, MACHINE)
        assert less.seconds <= larger.seconds
        assert less.work.outputs <= larger.work.outputs


@pytest.mark.parametrize(("name", "multiplications"), [("base", IMAGE), ("large", LARGE)])
def test_classifiers_see_all_images_of_the_study_classes(name, multiplications):
    # ImageNet 50,000, V2 10,000, Sketch 50,889, R 30,000, A 7,500.
    job = {"source": "real", "group": f"vit_{name}-n125000-seed0"}
    job_work = work(IMAGENET, "evaluate", job)
    assert job_work.units["image"] == 148_389
    flops = 148_389 * 2 * multiplications * 1e9
    assert job_work.units["tflop"] == pytest.approx(flops / 1e12, rel=0.02)


def test_clip_sees_all_images_and_encodes_all_texts():
    # 286,000 images more in the downstream sets; 80 texts of 1,000 classes and 10,636 of the sets.
    job = {"source": "laion", "group": "clip_base-n1000000-seed0"}
    job_work = work(IMAGENET, "evaluate_clip", job)
    assert job_work.units["image"] == 434_372
    flops = 2e9 * (434_372 * IMAGE + 90_636 * TEXT)
    assert job_work.units["tflop"] == pytest.approx(flops / 1e12, rel=0.02)
