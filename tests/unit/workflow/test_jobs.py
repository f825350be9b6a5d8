"""What follows from a study: shards, runs, batches, settings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.report import plotting
from synscale.study.load import load_study
from synscale.study.models import Study, resolve_mixture
from synscale.workflow.paths import image_files, metric_files
from synscale.workflow.runs import group_runs, run_groups, training_runs
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.settings import generation, identity_of
from synscale.workflow.settings.generation import generation_settings, generator_settings
from synscale.workflow.settings.prompts import prompt_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
from synscale.workflow.shards import shard_names
from tests.support.workflow import ROOT, SMOKE


def study(**changes) -> Study:
    return load_study(SMOKE).model_copy(update=changes)


@given(
    st.integers(1, 50),
    st.dictionaries(
        st.floats(1, 10).map(lambda g: round(g, 1)), st.integers(1, 400), min_size=1, max_size=4
    ),
    st.sampled_from(["all", "one"]),
)
def test_shards_make_every_image_once(shard, images, scales):
    base = load_study(SMOKE)
    source = base.sources["diffusion_class_names"].model_copy(update={"images": images})
    changed = study(
        images_per_shard=shard,
        guidance_per_shard=scales,
        sources=base.sources | {"diffusion_class_names": source},
    )
    indices = {scale: [] for scale in images}
    for number in shard_names(changed, "diffusion_class_names"):
        settings = generation_settings(changed, "diffusion_class_names", number)
        for scale, (start, stop) in settings.guidance.items():
            assert 0 < stop - start <= shard
            indices[scale] += range(start, stop)
    assert indices == {scale: list(range(count)) for scale, count in images.items()}


@given(st.integers(1, 50), st.integers(1, 200), st.sampled_from(["all", "one"]))
def test_shards_of_a_prefix_at_one_scale_contain_it(shard, count, scales):
    base = load_study(SMOKE)
    source = base.sources["diffusion_class_names"].model_copy(
        update={"images": {1.0: 100, 2.5: 200}}
    )
    changed = study(
        images_per_shard=shard,
        guidance_per_shard=scales,
        sources=base.sources | {"diffusion_class_names": source},
    )
    indices = []
    for name in shard_names(changed, "diffusion_class_names", count, 2.5):
        ranges = generation_settings(changed, "diffusion_class_names", name).guidance
        assert scales == "all" or ranges.keys() == {2.5}  # nothing that was not asked for
        indices += range(*ranges[2.5])
    assert indices[:count] == list(range(count))
    assert len(indices) < count + shard


@given(st.integers(1, 30), st.integers(1, 300), st.integers(1, 300))
def test_smaller_set_is_the_first_shards_of_a_larger_one(shard, a, b):
    changed = study(images_per_shard=shard)
    small, large = (image_files(changed, "diffusion_class_names", n) for n in sorted((a, b)))
    assert large[: len(small)] == small


def test_run_of_two_experiments_is_trained_once():
    runs = training_runs(study(), ["sweep", "scaling"])
    assert len(runs) == len(set(runs)) == (3 + 3 + 1 + 1) * 2
    every = training_runs(study())
    assert len(every) == len(set(every)) > len(runs)


def test_every_run_is_in_one_batch_and_one_job_trains_a_batch():
    for mode in ("all", "curve", "one"):
        base = load_study(SMOKE)
        mode = {"runs_per_job": mode}
        changed = study(
            classifiers=base.classifiers.model_copy(update=mode),
            clip=base.clip.model_copy(update=mode),
        )
        trained = [
            run.name + source
            for source, batch in run_groups(changed)
            for run in group_runs(changed, source, batch)
        ]
        assert sorted(trained) == sorted(run.name + run.source for run in training_runs(changed))
        files = metric_files(changed)
        assert len(files) == len(set(files)) == len(run_groups(changed))
        assert {path.split("/")[2] for path in files} == {"metrics", "clip_metrics"}
    assert len(run_groups(load_study(SMOKE))) == len(
        {(run.source, run.architecture) for run in training_runs(load_study(SMOKE))}
    )


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 200))
def test_mixture_grows_by_its_open_parts_only(first, second, third):
    """Whatever the size, the parts make it up, none shrinks when it grows, and fixed ones are
    filled first, in order.
    """
    base = load_study(SMOKE)
    parts = [
        {"source": "real", "images": first},
        {"source": "real", "images": second},
        {"source": "diffusion_class_names", "guidance": 1.5},
    ]
    mixture = type(base.sources["both"])(kind="mixture", label="m", parts=parts)
    before = [0, 0, 0]
    for size in sorted({1, first, first + second, first + second + third}):
        images_by_part = {i: 0 for i in range(3)}
        parts_of_size = resolve_mixture({"m": mixture}, "m", None, size)
        for place, part in enumerate(parts_of_size):
            images_by_part[2 if part.guidance else place] = part.images
        assert sum(images_by_part.values()) == size
        assert images_by_part[0] == min(first, size)
        assert all(images_by_part[i] >= before[i] for i in range(3))
        before = list(images_by_part.values())


def test_run_gets_the_images_that_it_trains_on():
    settings = clip_settings(load_study(SMOKE), "both", "clip_tiny")
    assert settings.inputs == {"real": 2, "diffusion_alt_texts": 2}
    runs = group_runs(load_study(SMOKE), "both", "clip_tiny")
    for run, trained in zip(runs, settings.runs, strict=True):
        assert [part.images for part in trained.parts] == [run.size // 2] * 2
    assert classifier_settings(load_study(SMOKE), "real", "vit_tiny").inputs == {"real": 2}


def test_names_of_runs_are_valid_in_paths():
    import re

    for run in training_runs(load_study(ROOT / "studies/digits.yaml")):
        assert re.fullmatch(r"[a-z0-9_.-]+", run.name)


def test_keys_with_defaults_are_not_in_the_identity_of_prompts():
    settings = prompt_settings(load_study(SMOKE), "captions")
    assert identity_of(settings) == {"name": "captions", "recipe": {"kind": "captions"}}


def test_sampling_is_no_setting_of_training_a_generator():
    base = load_study(SMOKE)
    resampled = base.generators["diffusion"].model_copy(update={"steps": 50, "sampler": "ddim"})
    changed = study(generators=base.generators | {"diffusion": resampled})
    settings = [generator_settings(a_study, "diffusion") for a_study in (changed, base)]
    assert settings[0].digest() == settings[1].digest()
    assert generation_settings(changed, "diffusion_class_names", "00000") != generation_settings(
        base, "diffusion_class_names", "00000"
    )


def test_curves_are_labelled_by_what_differs_in_their_panel():
    settings = figure_settings.panels_settings(
        load_study(ROOT / "studies/digits.yaml"), "supervised_scaling"
    )
    labels = {
        panel.title.split(" (")[0]: [curve.label for curve in panel.curves]
        for panel in settings.panels
    }
    assert labels["guidance scale"] == ["real", "guidance 1", "guidance 1.5", "guidance 4"]
    assert labels["prompt recipe"] == ["real", "class_names", "clip_templates", "captions"]
    assert labels["architecture"] == [
        "real, small ViT",
        "real, large ViT",
        "synthetic, small ViT",
        "synthetic, large ViT",
    ]
    for texts in labels.values():
        assert len(set(texts)) == len(texts)


def test_source_looks_the_same_in_every_figure():
    digits = load_study(ROOT / "studies/digits.yaml")
    seen = {}
    for name in ("supervised_scaling", "ood_scaling", "clip_scaling", "beyond_the_law"):
        for panel in figure_settings.panels_settings(digits, name).panels:
            for curve in panel.curves:
                style = replace(curve.style, weight=0)
                assert seen.setdefault((curve.source, curve.guidance), style) == style


def test_curves_of_a_panel_look_different():
    digits = load_study(ROOT / "studies/digits.yaml")
    for name in ("supervised_scaling", "ood_scaling", "clip_scaling"):
        for panel in figure_settings.panels_settings(digits, name).panels:
            styles = [str(plotting.line_style(curve.style)) for curve in panel.curves]
            assert len(set(styles)) == len(styles)


def test_figure_that_a_study_lacks_is_reported():
    changed = study(figures=load_study(SMOKE).figures.model_copy(update={"teaser": None}))
    assert "teaser" not in figure_settings.names_of(changed.figures)
    with pytest.raises(figure_settings.NotInStudy, match="no figure or table 'teaser'"):
        figure_settings.teaser_settings(changed)


def test_new_sampling_code_regenerates_released_models_only(monkeypatch):
    paper, smoke = load_study(ROOT / "studies/imagenet.yaml"), load_study(SMOKE)
    targets = [(paper, "sd_class_names", "g1_5-00000"), (smoke, "diffusion_class_names", "00000")]

    def digests():
        return [generation_settings(*target).digest() for target in targets]

    before = digests()
    monkeypatch.setattr(generation, "PIPELINE_SAMPLING", generation.PIPELINE_SAMPLING + 1)
    after = digests()
    assert before[0] != after[0]
    assert before[1] == after[1]
