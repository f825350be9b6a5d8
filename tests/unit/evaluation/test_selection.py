"""Selection of images: what windows keep, in which order, and what each score prefers."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.data import shards
from synscale.evaluation import reference, selection, selection_shards
from synscale.study.models import TrainingPart
from synscale.training import pairs, stream
from synscale.workflow.runs import Run
from synscale.workflow.settings.selection import SelectionSettings
from tests.support import clip_evaluation
from tests.support.clip_runs import CPU, NAMES, write_source
from tests.support.indexed_images import numbers, write_shards
from tests.support.tiny_models import save_reference

CLASSES = 3
RUN = Run("real", None, "clip_tiny", 40, 0)


@st.composite
def sources(draw):
    """Classes, scores, window, images that it keeps, and the length of a prefix of windows."""
    per_class, windows = draw(st.integers(2, 5)), draw(st.integers(1, 6))
    window = CLASSES * per_class
    count = draw(st.integers(1, window - 1))
    scores = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(windows * window, 4))
    class_ids = np.arange(len(scores)) % CLASSES
    return class_ids, scores, window, count, draw(st.integers(1, windows))


def picker(name: str, scores: np.ndarray) -> selection.Picker:
    return selection.highest(scores[:, 0]) if name == "highest" else selection.Farthest(scores)


@given(sources(), st.sampled_from(["highest", "farthest"]))
def test_larger_source_changes_no_prefix(source, name):
    class_ids, scores, window, count, windows = source
    rows = selection.select(class_ids, window, count, picker(name, scores))
    stop = windows * window
    some = selection.select(class_ids[:stop], window, count, picker(name, scores[:stop]))
    assert some.tolist() == rows[: windows * count].tolist()
    assert len(set(rows.tolist())) == len(rows) == len(class_ids) // window * count


@given(sources())
def test_prefixes_of_a_selection_are_balanced(source):
    class_ids, scores, window, count, _ = source
    count = CLASSES * max(1, count // CLASSES)
    rows = selection.select(class_ids, window, count, selection.highest(scores[:, 0]))
    for stop in range(CLASSES, len(rows) + 1, CLASSES):
        assert len(set(np.bincount(class_ids[rows[:stop]], minlength=CLASSES))) == 1
    for class_id in range(CLASSES):
        assert (np.diff(rows[class_ids[rows] == class_id]) > 0).all()  # order of the source


@given(sources())
def test_windows_keep_the_highest_scores_of_each_class(source):
    class_ids, scores, window, count, _ = source
    rows = set(selection.select(class_ids, window, count, selection.highest(scores[:, 0])).tolist())
    for start in range(0, len(class_ids), window):
        for class_id in range(CLASSES):
            ids = start + np.flatnonzero(class_ids[start : start + window] == class_id)
            ordered = ids[np.argsort(-scores[ids, 0])]
            number = len(rows & set(ids.tolist()))
            assert set(ordered[:number].tolist()) == rows & set(ids.tolist())


def test_classes_of_different_sizes_keep_the_same_fraction():
    assert selection.quotas(np.array([0] * 6 + [1] * 2), 4) == {0: 3, 1: 1}
    # 1.5 of each: the class that comes first is rounded up.
    assert selection.quotas(np.array([1, 0, 0, 1, 1, 0]), 3) == {0: 1, 1: 2}


def test_farthest_images_cover_clusters():
    """Nine picked images have one of each of nine clusters, whatever their frequencies."""
    random = np.random.default_rng(0)
    centres = 10.0 * np.array([(x, y) for x in range(3) for y in range(3)])
    cluster = np.concatenate([np.arange(9), random.choice(9, 200, p=np.arange(9, 0, -1) / 45)])
    random.shuffle(cluster)
    features = centres[cluster] + random.normal(0, 0.1, (len(cluster), 2))
    pick = selection.Farthest(features)
    rows = selection.select(np.zeros(len(cluster), int), len(cluster), 9, pick)
    assert sorted(cluster[rows]) == list(range(9))
    assert np.isnan(pick.scores[0]) and np.nanmin(pick.scores) > 9


def test_equal_images_are_selected_once():
    rows = selection.select(np.zeros(6, int), 6, 4, selection.Farthest(np.zeros((6, 2))))
    assert rows.tolist() == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    save_reference(folder, classes=7)
    return folder


@pytest.fixture
def source(tmp_path):
    """One shard of 42 images of seven classes at two guidance scales."""
    return write_shards(tmp_path, 1, 42, (1.0, 2.0))[0]


def settings_of(by: str = "recognizability", **changes) -> SelectionSettings:
    fields = {"source": "x", "guidance": 2.0, "by": by, "window": 21, "per_window": 7}
    fields |= {"start": 70, "images": 14, "model": None}
    return SelectionSettings(**fields | changes)


def selected(settings, tar, model, folder) -> tuple[str, pd.DataFrame]:
    """Return the tar of the selected images of a shard, and their manifest."""
    rows = selection_shards.selected_rows(settings, tar, str(model), CPU)
    output = folder / "selected/00005.tar"
    output.parent.mkdir(exist_ok=True)
    selection_shards.write(rows, tar, str(output))
    return str(output), pd.read_parquet(shards.manifest_path(output))


def test_recognizable_images_have_the_largest_probability(classifier, source, tmp_path):
    _, rows = selected(settings_of(), source, classifier, tmp_path)
    model = reference.load_pretrained(classifier, CPU)
    images = stream.open_images([source], 2.0)
    pixels, class_ids = images.read(torch.arange(42))
    with torch.inference_mode():
        logits = model.model(model.prepare(pixels))
    probability = logits.softmax(1)[torch.arange(42), class_ids].numpy()
    assert np.allclose(rows["score"], probability[rows["source_image"]], atol=1e-6)
    for first in (0, 21):
        for class_id in range(7):
            ids = np.arange(first + class_id, first + 21, 7)
            assert ids[probability[ids].argmax()] in set(rows["source_image"])


@pytest.mark.parametrize("by", ["recognizability", "diversity"])
def test_selected_images_are_read_like_others(by, classifier, source, tmp_path):
    tar, rows = selected(settings_of(by), source, classifier, tmp_path)
    images = stream.open_images([tar])
    batch = next(stream.iter_sequential(images, 100))
    assert numbers(batch) == rows["source_image"].tolist()
    assert (batch.images[:, 0] == 2).all()
    assert batch.class_ids.tolist() == (rows["source_image"] % 7).tolist()
    assert rows["image"].tolist() == list(range(70, 84)) and "guidance" not in rows
    pixels, manifest = shards.read(tar)
    assert (pixels == batch.images.numpy()).all() and manifest.equals(rows)
    draws = stream.iter_encoded(images, 7, 2, seed=0)
    assert sum(len(draw.positions) for draw in draws) == 14


def test_selection_copies_no_image(classifier, source, tmp_path):
    tar, _ = selected(settings_of(), source, classifier, tmp_path)
    assert (tmp_path / "selected/00005.tar").is_symlink()
    shards.manifest_path(source).unlink()
    assert len(stream.open_images([tar])) == 14
    data = bytearray((tmp_path / "00000.tar").read_bytes())
    data[:] = bytes(len(data))
    (tmp_path / "00000.tar").write_bytes(data)
    with pytest.raises(shards.ShardError, match="has another sha256"):
        shards.read(tar)


def test_last_shard_has_the_images_that_are_asked_for(classifier, source, tmp_path):
    _, every_row = selected(settings_of(), source, classifier, tmp_path)
    _, rows = selected(settings_of(images=10), source, classifier, tmp_path)
    assert rows["key"].tolist() == every_row["key"].tolist()[:10]
    _, first = selected(settings_of(images=7), source, classifier, tmp_path)
    assert first["source_image"].max() < 21


def test_shard_with_too_few_images_is_reported(classifier, source, tmp_path):
    expected = r"too few images at guidance 2.0 \(42, expected 63\)"
    with pytest.raises(shards.ShardError, match=expected):
        selected(settings_of(images=21), source, classifier, tmp_path)


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    """Folder of a CLIP model that distinguishes dark from light images."""
    folder = tmp_path_factory.mktemp("clip")
    clip_evaluation.train(folder)
    shutil.copy(folder / "models/learned.safetensors", folder / f"models/{RUN.name}.safetensors")
    return folder / "models"


def test_clip_score_prefers_images_of_their_text(clip_model, tmp_path):
    """Every second pair of images of a class has the text of the other class."""

    def text(i: int) -> str:
        return NAMES[(i + i // 2) % 2]

    tar = write_source(tmp_path / "00000.tar", 40, (1.5,), text)
    settings = replace(settings_of("clip_score"), guidance=1.5, window=40, per_window=20)
    settings = replace(settings, images=20, model=RUN, start=0)
    output, rows = selected(settings, tar, clip_model, tmp_path)
    assert [NAMES[class_id] for class_id in rows["class_id"]] == rows["prompt"].tolist()
    opened = pairs.open_pairs({"x": [output]}, [TrainingPart("x", None, 20)])
    tokens = pairs.Tokens(opened.images, lambda text: torch.zeros(1, 1))
    assert [tokens.text(place) for place in range(20)] == rows["prompt"].tolist()
