"""Seeds that redraw images: disjoint parts of a source, each with its nested, balanced prefixes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.data import shards
from synscale.study.checks import experiments
from synscale.study.checks import sources as checks
from synscale.study.load import load_study
from synscale.study.models import Study, TrainingPart, resolve_mixture
from synscale.training import classifier_group, pairs, stream
from synscale.workflow.paths import training_indexes
from synscale.workflow.runs import run_groups
from synscale.workflow.settings import as_json
from synscale.workflow.settings.training import classifier_settings, clip_settings
from tests.support.workflow import SMOKE

CLASSES = 10


def study(draws: int, images: int = 120) -> Study:
    """Return the smoke study, whose classifiers train on sources that are split into draws."""
    base = load_study(SMOKE)
    changed = {
        "real": base.sources["real"].model_copy(update={"images": images, "draws": draws}),
        "diffusion_class_names": base.sources["diffusion_class_names"].model_copy(
            update={"images": {1.5: images}, "draws": draws}
        ),
    }
    return base.model_copy(update={"sources": base.sources | changed})


def write_source(folder, count: int, images: int) -> list[str]:
    """Write real images whose pixels are their index."""
    folder.mkdir()
    tars = []
    for shard in range(count):
        numbers = range(shard * images, (shard + 1) * images)
        rows = [
            (
                f"{i:05d}",
                np.full((4, 4, 3), i, np.uint8),
                {"image": i, "class_id": i % CLASSES, "prompt": f"text {i}"},
            )
            for i in numbers
        ]
        tars.append(str(folder / f"{shard:05d}.tar"))
        shards.write(tars[-1], rows)
    return tars


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 12))
def test_draws_are_disjoint_nested_and_balanced(draws, per_class, seed):
    images = draws * per_class * CLASSES
    sources = study(draws, images).sources
    sizes = [size for size in (10, 20, 40, 80) if size <= images // draws] or [images // draws]
    starts = set()
    for size in sizes:
        [part] = resolve_mixture(sources, "real", None, size, seed)
        starts.add(part.start)
        assert part.images == size
    [start] = starts  # so that a smaller set is a prefix of a larger one
    assert start == seed % draws * (images // draws)
    assert start % CLASSES == 0
    assert start + sizes[-1] <= images


def test_mixture_draws_each_of_its_parts():
    changed = study(draws=3)
    parts = resolve_mixture(changed.sources, "real_10", None, 20, seed=2)
    assert parts == [
        TrainingPart("real", None, 10, 80),
        TrainingPart("diffusion_class_names", 1.5, 10, 80),
    ]


def test_without_draws_no_setting_changes():
    base = load_study(SMOKE)
    assert "draws" not in json.dumps(base.model_dump())
    for source, batch in run_groups(base):
        settings = (clip_settings if "clip" in batch else classifier_settings)(base, source, batch)
        assert not any(part.start for run in settings.runs for part in run.parts)
        assert "start" not in as_json(settings)


def test_first_draw_trains_on_the_same_images_as_without():
    one, three = (
        classifier_settings(study(draws, 40 * draws), "real", "vit_tiny").runs for draws in (1, 3)
    )
    assert [run for run in one if run.seed == 0] == [run for run in three if run.seed == 0]
    assert [run.parts[0].start for run in three if run.seed == 1] == [40] * 3


def test_draw_needs_the_shards_up_to_its_end():
    base = study(draws=3)
    changed = base.model_copy(update={"images_per_shard": 10})
    settings = classifier_settings(changed, "real", "vit_tiny")
    assert max(part.stop for run in settings.runs for part in run.parts) == 80
    assert settings.inputs == {"real": 8}
    indexes = training_indexes(changed, "real", "vit_tiny")
    assert indexes == ["results/smoke/shard_index/real/00007.csv"]


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_part_of_a_set_is_read_from_its_start(tmp_path, most):
    [images] = stream.load_into_memory(
        [stream.open_images(write_source(tmp_path / "real", 5, 10))], most
    )
    part = images.between(15, 32)
    assert part.sizes == [5, 10, 2]
    assert part.between(3, 9).read(torch.arange(6))[0][:, 0, 0, 0].tolist() == list(range(18, 24))
    batch = next(stream.iter_sequential(part, 100))
    assert batch.images[:, 0, 0, 0].tolist() == list(range(15, 32))
    assert (
        batch.class_ids.tolist() == part.class_ids.tolist() == [i % CLASSES for i in range(15, 32)]
    )


def test_part_of_a_set_opens_no_other_shard(tmp_path):
    tars = write_source(tmp_path / "real", 5, 10)
    part = stream.open_images(tars).between(20, 40)
    assert [shard.tar for shard in part.shards] == tars[2:4]


def test_runs_are_given_the_images_of_their_draw(tmp_path):
    tars = write_source(tmp_path / "real", 12, 10)
    runs = classifier_settings(study(draws=3), "real", "vit_tiny").runs
    series = classifier_group.load_series(runs, {"real": tars})
    for run in runs:
        images = classifier_group.images_of_run(run, series)
        start = 40 * (run.seed % 3)
        size = run.parts[0].images
        pixels, class_ids = images.read(torch.arange(len(images)))
        assert pixels[:, 0, 0, 0].tolist() == list(range(start, start + size))
        assert torch.bincount(class_ids).tolist() == [size // CLASSES] * CLASSES


def test_clip_is_given_the_pairs_of_its_draw(tmp_path):
    tars = {"real": write_source(tmp_path / "real", 4, 10)}
    part = TrainingPart("real", None, 12, 15)
    opened_pairs = pairs.open_pairs(tars, [part])
    tokens = pairs.Tokens(opened_pairs.images, lambda text: [text])
    assert [tokens.text(i) for i in range(12)] == [f"text {i}" for i in range(15, 27)]
    assert opened_pairs.identity != pairs.open_pairs(tars, [replace(part, start=20)]).identity
    with pytest.raises(
        SystemExit, match=r"too few images of real at guidance None .* \(40, expected 42\)"
    ):
        pairs.open_pairs(tars, [replace(part, start=30)])


def errors_of(changed: Study) -> list[str]:
    sections = {
        name: getattr(changed, name)
        for name in ("experiments", "sources", "classifiers", "clip", "classes", "data")
    }
    balance = checks.check_balance(sections["sources"], sections["classes"], sections["data"])
    return [*balance, *experiments.check_experiments(**sections)]


def test_size_must_fit_into_a_draw():
    assert errors_of(study(draws=3)) == []
    assert any(
        "more than the 20 of sources.real.images in each of its 6 draws" in error
        for error in errors_of(study(draws=6))
    )


def overlapping(draws: int, images: int = 120) -> Study:
    """Return the study of `study` whose sets may be larger than a draw."""
    changed = study(draws, images)
    sources = {
        name: row.model_copy(update={"draws_overlap": True})
        for name, row in changed.sources.items()
        if name in ("real", "diffusion_class_names")
    }
    return changed.model_copy(update={"sources": changed.sources | sources})


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 12), st.data())
def test_overlapping_draws_are_nested_and_balanced(draws, per_class, seed, data):
    images = draws * per_class * CLASSES
    sources = overlapping(draws, images).sources
    sizes = st.integers(1, images // CLASSES).map(lambda count: count * CLASSES)
    small, large = sorted([data.draw(sizes), data.draw(sizes)])

    def numbers(size: int) -> list[int]:
        parts = resolve_mixture(sources, "real", None, size, seed)
        return [i for part in parts for i in range(part.start, part.stop)]

    assert len(set(numbers(large))) == large and max(numbers(large)) < images
    assert numbers(large)[:small] == numbers(small)
    assert numbers(large)[0] == seed % draws * (images // draws)
    counts = np.bincount([i % CLASSES for i in numbers(large)])
    assert (counts == large // CLASSES).all()


def test_set_larger_than_a_draw_is_read_round(tmp_path):
    tars = write_source(tmp_path / "real", 12, 10)
    run = classifier_settings(overlapping(3), "real", "vit_tiny").runs[0]
    parts = resolve_mixture(overlapping(6).sources, "real", None, 60, seed=5)
    large = replace(run, parts=tuple(parts))
    series = classifier_group.load_series([large], {"real": tars})
    images = classifier_group.images_of_run(large, series)
    pixels, _ = images.read(torch.arange(len(images)))
    assert pixels[:, 0, 0, 0].tolist() == [*range(100, 120), *range(40)]


def test_overlapping_draws_allow_all_images():
    assert errors_of(overlapping(6)) == []


def test_draws_must_share_images_and_classes_equally():
    assert any(
        "sources.real.images = 120: not a multiple of the 10 classes times the 5 draws; use 100"
        in error
        for error in errors_of(study(draws=5))
    )
