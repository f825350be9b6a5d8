"""What follows from a study: blocks, runs, batches, settings."""

from hypothesis import given
from hypothesis import strategies as st

from scripts.lib import jobs
from scripts.lib.study import Study
from scripts.lib.study_file import load
from tests.conftest import ROOT, SMOKE


def study(**changes) -> Study:
    return load(SMOKE).model_copy(update=changes)


@given(st.integers(1, 50), st.dictionaries(st.floats(1, 10).map(lambda g: round(g, 1)), st.integers(1, 400), min_size=1, max_size=4))
def test_blocks_make_every_image_once(block, images):
    base = load(SMOKE)
    source = base.sources["diffusion_class_names"].model_copy(update={"images": images})
    changed = study(images_per_block=block, sources=base.sources | {"diffusion_class_names": source})
    made = {scale: [] for scale in images}
    for number in jobs.blocks(changed, "diffusion_class_names"):
        for scale, (start, stop) in jobs.generation_settings(changed, "diffusion_class_names", number)["guidance"].items():
            assert 0 < stop - start <= block
            made[float(scale)] += range(start, stop)
    assert made == {scale: list(range(count)) for scale, count in images.items()}


@given(st.integers(1, 30), st.integers(1, 300), st.integers(1, 300))
def test_a_smaller_set_is_the_first_blocks_of_a_larger_one(block, a, b):
    changed = study(images_per_block=block)
    small, large = (jobs.image_files("s", changed, "diffusion_class_names", n) for n in sorted((a, b)))
    assert large[: len(small)] == small


def test_a_run_that_two_experiments_ask_for_is_trained_once():
    runs = jobs.runs(study())
    assert len(runs) == len(set(runs)) == (3 + 3 + 1 + 1) * 2


def test_every_run_is_in_one_batch_and_one_job_trains_a_batch():
    for mode, per_source in (("all", 1), ("one", None)):
        base = load(SMOKE)
        changed = study(classifiers=base.classifiers.model_copy(update={"runs_per_job": mode}))
        trained = [run["name"] + source for source, batch in jobs.batches(changed) for run in jobs.classifier_settings(changed, source, batch)["runs"]]
        assert sorted(trained) == sorted(run.name + run.source for run in jobs.runs(changed))
        if per_source:
            assert len(jobs.batches(changed)) == len(base.sources)


def test_names_of_runs_stand_in_paths():
    import re

    for run in jobs.runs(load(ROOT / "studies/digits.yaml")):
        assert re.fullmatch(r"[a-z0-9_.-]+", run.name)


def test_sampling_is_no_setting_of_training_a_generator():
    base = load(SMOKE)
    resampled = base.generators["diffusion"].model_copy(update={"steps": 50, "sampler": "ddim"})
    changed = study(generators=base.generators | {"diffusion": resampled})
    assert jobs.generator_settings(changed, "diffusion") == jobs.generator_settings(base, "diffusion")
    assert jobs.generation_settings(changed, "diffusion_class_names", 0) != jobs.generation_settings(base, "diffusion_class_names", 0)


def test_curves_are_labelled_by_what_differs_in_their_panel():
    settings = jobs.scaling_settings(load(ROOT / "studies/digits.yaml"))
    labels = {panel["title"].split(" (")[0]: [curve["label"] for curve in panel["curves"]] for panel in settings["panels"]}
    assert labels["guidance scale"] == ["real", "guidance 1", "guidance 1.5", "guidance 4"]
    assert labels["prompt recipe"] == ["real", "class_names", "clip_templates", "captions"]
    assert labels["architecture"] == ["real, small ViT", "real, large ViT", "synthetic, small ViT", "synthetic, large ViT"]
    for own in labels.values():
        assert len(set(own)) == len(own)
