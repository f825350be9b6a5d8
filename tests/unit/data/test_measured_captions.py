"""Captions that are composed of what is measured on the pixels."""

import numpy as np
import pandas as pd
import pytest

from scripts import index_data, prepare_data
from synscale.data import captions, shards
from synscale.study.load import StudyError, load_study
from synscale.workflow.settings.data import StoredImages, index_settings
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import index_error_of, index_of
from tests.support.fake_datasets import WNIDS
from tests.support.workflow import ROOT

FILES = ROOT / "tests/workflow/files.yaml"
TRAINING = "things: {dataset: things_train}"
STORED = StoredImages(16, 1)


def blank() -> np.ndarray:
    return np.zeros((16, 16), np.uint8)


def test_measure_follows_brightness_width_and_texture():
    tall, wide, bright, striped = blank(), blank(), blank(), blank()
    tall[2:14, 6:10] = 100
    wide[6:10, 2:14] = 100
    bright[2:14, 6:10] = 200
    striped[2:14:2, 6:10] = 200
    measures = captions.measure(np.stack([tall, wide, bright, striped]))
    assert measures["width"][1] > 1 > measures["width"][0]
    assert measures["brightness"][2] == 2 * measures["brightness"][0]
    assert measures["texture"][3] > measures["texture"][0] == pytest.approx(measures["texture"][2])


def test_measure_of_rgb_is_that_of_its_mean():
    grey = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    of_grey, of_rgb = captions.measure(grey), captions.measure(np.stack([grey] * 3, axis=-1))
    for name, values in of_grey.items():
        assert np.allclose(values, of_rgb[name])


def test_measure_of_a_black_image_is_finite():
    measures = captions.measure(np.stack([blank(), blank()]))
    assert all(np.isfinite(values).all() for values in measures.values())


def test_describe_names_the_outer_quarters_of_each_class():
    values = np.array([0, 1, 2, 3, 4, 10, 11, 12, 13, 14])
    texts = captions.describe({"width": values}, np.array([0] * 5 + [1] * 5))
    assert texts == ["narrow", "plain", "plain", "plain", "wide"] * 2


def test_index_has_captions_and_alt_texts(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [8, 8, 8], strict=True)))
    table = index_of(a_set(measured=STORED), tmp_path)
    words = {word for pair in captions.WORDS.values() for word in pair} | {"plain"}
    assert {word for text in table["caption"] for word in text.split(", ")} <= words
    assert len(set(table["caption"])) > 1
    for text, caption in zip(table["text"], table["caption"], strict=True):
        assert text.endswith(f", {caption}")


def test_captions_name_an_unreadable_image(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [2, 2, 2], strict=True)))
    image = next(a_set.folder.rglob("*_1.JPEG"))
    image.write_bytes(b"no image")
    message = index_error_of(a_set(measured=STORED), tmp_path)
    assert f"{image.name} cannot be read" in message and "skip" in message


@pytest.fixture
def study_of(tmp_path, monkeypatch):
    """A function that writes and loads the study of files after changes of its text."""
    fake.of_files_study(tmp_path)
    monkeypatch.chdir(tmp_path)

    def study_of(*changes: tuple[str, str]):
        text = FILES.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "files.yaml").write_text(text)
        load_study.cache_clear()
        return load_study("files.yaml")

    return study_of


MEASURED = (TRAINING, "things: {dataset: things_train, captions: measured}")
ON_REAL = ("curves: [{source: web}]}", "curves: [{source: real}]}")


def test_measured_captions_change_only_their_split(study_of):
    before = {name: index_settings(study_of(), name).digest() for name in ("things", "web")}
    study = study_of(MEASURED)
    assert index_settings(study, "things").digest() != before["things"]
    assert index_settings(study, "web").digest() == before["web"]


def test_clip_and_caption_recipes_may_use_measured_captions(study_of):
    recipe = ("recipes: {}", "recipes: {captions: {kind: captions}}")
    study = study_of(MEASURED, ON_REAL, recipe)
    assert study.data.training["things"].captions == "measured"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [("web: {dataset: web}", "web: {dataset: web, captions: measured}")],
            "data.training.web.captions: pairs have texts already; remove the key",
        ),
        (
            [("dataset: shapes,", "dataset: shapes, captions: measured,")],
            "data.evaluation.shapes.captions: only for sets of the study's classes",
        ),
        ([ON_REAL], "or add captions: measured to data.training.things"),
    ],
)
def test_misplaced_captions_are_refused(study_of, changes, message):
    with pytest.raises(StudyError) as error:
        study_of(*changes)
    assert message in str(error.value)


def test_shard_has_the_captions_of_the_index(study_of, tmp_path, monkeypatch):
    study_of(MEASURED)
    fake.class_folders(tmp_path / "things_of_test", dict(zip(WNIDS, [4, 4, 4], strict=True)))
    monkeypatch.setenv("DATA_THINGS_TRAIN", str(tmp_path / "things_of_test"))
    common = ["--study", "files.yaml", "--split", "things", "--classes", "own/classes.csv"]
    index_data.main([*common, "--output", "index.parquet"])
    shard = ["--shard", "1", "--index", "index.parquet", "--output", "1.tar"]
    prepare_data.main([*common, *shard])
    index, manifest = pd.read_parquet("index.parquet"), shards.read("1.tar")[1]
    rows = index[index["image"].isin(manifest["image"])]
    assert manifest["caption"].tolist() == rows["caption"].tolist()
    assert manifest["prompt"].tolist() == rows["text"].tolist()
