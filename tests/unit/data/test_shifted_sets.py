"""Evaluation sets whose images are those of another one: study, checks, plan and preparation."""

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from scripts import index_data, prepare_data
from synscale.data import prepare, shards, shifts
from synscale.planning.cost_model import work
from synscale.planning.evaluation_images import evaluation_images, total_images
from synscale.study.load import StudyError, load_study
from synscale.study.models.data import classified
from synscale.workflow import paths, preflight, rule_values
from synscale.workflow.settings.data import data_settings
from synscale.workflow.shards import images_needed, is_in_files
from synscale.workflow.targets import NotInStudy
from tests.support import fake_datasets as fake
from tests.support.workflow import ROOT

FILES = ROOT / "tests/workflow/files.yaml"
VAL = "    things_val: {dataset: things_val}\n"
THINGS = "things: {dataset: things_train}"
SETS = {
    "outlines": "{kind: outlines, of: things_val}",
    "blurred": "{kind: blurred, of: things_val, sigma: 1.5}",
    "inverted": "{kind: inverted, of: things_val}",
    "hard": "{kind: adversarial, of: things_val, trained_on: things, images: 11}",
}


def lines(**sets: str) -> str:
    return VAL + "".join(f"    {name}: {row}\n" for name, row in sets.items())


def read(*changes: tuple[str, str]):
    text = FILES.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    with open("files.yaml", "w") as file:
        file.write(text)
    load_study.cache_clear()
    return load_study("files.yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name, place in fake.of_files_study(tmp_path).items():
        monkeypatch.setenv(f"DATA_{name.upper()}", str(tmp_path / place))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- checks of the study ---------------------------------------------------------------------------

BLURRED = "{kind: blurred, of: things_val, sigma: 1}"
ERRORS = [
    (
        {"blurred": "{kind: blurred, of: things_vals, sigma: 1}"},
        "blurred.of = 'things_vals': no such evaluation set; did you mean 'things_val'?",
    ),
    (
        {"blurred": "{kind: blurred, of: shapes, sigma: 1}"},
        "blurred.of = 'shapes': has other classes than the study; name a set of the study's "
        "classes",
    ),
    (
        {"blurred": BLURRED, "negatives": "{kind: inverted, of: blurred}"},
        "negatives.of = 'blurred': its images are taken from 'things_val'; name a set of kind "
        "files or held_out",
    ),
    (
        {"blurred": "{kind: blurred, of: things_val, sigma: 0}"},
        "blurred.sigma = 0: input should be greater than 0",
    ),
    (
        {"blurred": "{kind: blurred, of: things_val}"},
        "blurred.sigma: missing; add it (standard deviation of the filter in stored pixels)",
    ),
    (
        {"blurred": "{kind: blurred, of: things_val, sigm: 1}"},
        "blurred.sigm = 1: unknown key; did you mean 'sigma'?",
    ),
    (
        {"outlines": "{kind: outlines}"},
        "outlines.of: missing; add it (evaluation set that the images are taken from)",
    ),
    (
        {"outlines": "{kind: outlines, of: things_val, classes: own/shapes.csv}"},
        "outlines.classes = 'own/shapes.csv': unknown key",
    ),
    (
        {"hard": "{kind: adversarial, of: things_val, trained_on: thing, images: 6}"},
        "hard.trained_on = 'thing': no such training set; did you mean 'things'?",
    ),
    (
        {"hard": "{kind: adversarial, of: things_val, trained_on: web, images: 6}"},
        "hard.trained_on = 'web': pairs have no classes to learn; name a training set with classes",
    ),
    (
        {"hard": "{kind: adversarial, of: things_val, trained_on: things}"},
        "hard.images: missing; give the number of images of things to train on",
    ),
]


@pytest.mark.parametrize(("sets", "message"), ERRORS)
def test_error_of_a_shifted_set_is_reported(sets, message):
    with pytest.raises(StudyError) as error:
        read((VAL, lines(**sets)))
    assert f"data.evaluation.{message}" in str(error.value)


def test_more_images_than_the_part_has_are_refused():
    part = (THINGS, "things: {dataset: things_train, part: [0, 10]}")
    with pytest.raises(StudyError) as error:
        read(part, (VAL, lines(hard=SETS["hard"])))
    message = "hard.images = 11: more than data.training.things.part = [0, 10] has; use at most 10"
    assert f"data.evaluation.{message}" in str(error.value)
    study = read(part, (VAL, lines(hard=SETS["hard"].replace(", images: 11", ""))))
    assert data_settings(study, "hard", "00000").training.range == (0, 10)


# -- plan and settings -----------------------------------------------------------------------------


def test_shifted_sets_read_shards_and_no_data_set():
    study = read((VAL, lines(**SETS)))
    assert classified(study.data) == ["things_val", *SETS]
    for name in SETS:
        assert paths.data_index(study, name) == [] and not is_in_files(study, name)
        assert paths.shifted_images(study, name) == ["results/files/data/things_val/00000.tar"]
        rule_values.check_values("prepare_data", study, {"split": name, "shard": "00000"})
        with pytest.raises(NotInStudy, match=f"no data set in files '{name}'"):
            rule_values.check_values("index_data", study, {"split": name})
    folder = "results/files/data/things"
    assert paths.shift_training(study, "hard") == [f"{folder}/00000.tar", f"{folder}/00001.tar"]
    assert paths.shift_training(study, "blurred") == []
    assert paths.shifted_images(study, "things_val") == []
    splits = {("files", name): False for name in SETS}
    assert preflight.data_set_problems({"files": study}, splits) == []


def test_training_images_of_a_shifted_set_are_prepared():
    study = read((VAL, lines(hard=SETS["hard"])))
    assert images_needed(read(), "things") == 10 and images_needed(study, "things") == 11
    assert data_settings(study, "things", "00001").range == (6, 11)
    known = rule_values._split_shards(study, {"split": "things"})
    assert list(known) == ["00000", "00001"]
    more = read((VAL, lines(hard=SETS["hard"].replace("11", "13"))))
    known = rule_values._split_shards(more, {"split": "things"})
    assert list(known) == ["00000", "00001", "00002"]


def test_parameters_change_the_settings_of_their_set_only():
    splits = ["things_val", "things", *SETS]

    def digests(**changes: str) -> dict[str, str]:
        study = read((VAL, lines(**SETS | changes)))
        return {split: data_settings(study, split, "00000").digest() for split in splits}

    before = digests()
    for name, old, new in (("blurred", "1.5", "1.6"), ("hard", "11", "10")):
        after = digests(**{name: SETS[name].replace(old, new)})
        assert {split for split in splits if before[split] != after[split]} == {name}
    study = read()
    for split in ("things_val", "things"):
        assert data_settings(study, split, "00000").digest() == before[split]


def test_shifted_sets_are_part_of_the_plan():
    study = read((VAL, lines(**SETS)))
    total = total_images(study, is_clip=False)
    assert {evaluation_images(study, name) for name in SETS} == {1000}  # assumed, as of things_val
    assert total == 5000
    units = {name: work(study, "prepare_data", {"split": name, "shard": "00000"}) for name in SETS}
    assert units["blurred"].units == {"job": 1, "image": 1000}
    assert units["hard"].units == {"job": 1, "image": 1011}
    assert units["hard"].kind == "files" and units["hard"].outputs == units["blurred"].outputs > 0


# -- preparation -----------------------------------------------------------------------------------


def prepared(split: str, shard: str = "00000", *options: str) -> str:
    """Run the jobs that prepare a shard. Return its tar."""
    common = ["--study", "files.yaml", "--split", split, "--classes", "own/classes.csv"]
    tar = f"{split}-{shard}.tar"
    if not options:
        index_data.main([*common, "--output", f"{split}.index"])
        options = ("--index", f"{split}.index")
    prepare_data.main([*common, "--shard", shard, *options, "--threads", "2", "--output", tar])
    return tar


def test_shifted_sets_are_computed_from_the_stored_images():
    read((VAL, lines(**SETS)))
    source = prepared("things_val")
    images, manifest = shards.read(source)
    expected = {
        "outlines": shifts.outlines,
        "blurred": lambda pixels: shifts.blurred(pixels, 1.5),
        "inverted": lambda pixels: 255 - pixels,
    }
    for name, change in expected.items():
        tar = prepared(name, "00000", "--images", source)
        changed, rows = shards.read(tar)
        same = ["key", "image", "class_id", "class_name", "prompt", "caption", "origin"]
        assert rows[same].equals(manifest[same])
        for before, after in zip(images, changed, strict=True):
            assert (after.transpose(1, 2, 0) == change(before.transpose(1, 2, 0))).all()
    with open(tar, "rb") as file:
        assert file.read().count(b"\x89PNG") == len(images)


@pytest.mark.parametrize("channels", [1, 3])
def test_misread_set_has_the_errors_of_nearest_centroid(channels):
    read((VAL, lines(hard=SETS["hard"])), ("channels: 3", f"channels: {channels}"))
    source = prepared("things_val")
    training = [prepared("things", shard) for shard in ("00000", "00001")]
    read_shards = [shards.read(tar) for tar in training]
    learned = np.concatenate([images for images, _ in read_shards]).reshape(11, -1)
    labels = np.concatenate([rows["class_id"] for _, rows in read_shards])
    images, manifest = shards.read(source)
    predicted = NearestCentroid().fit(learned, labels).predict(images.reshape(len(images), -1))
    wrong = predicted != manifest["class_id"].to_numpy()
    assert 0 < wrong.sum() < len(wrong)
    tar = prepared("hard", "00000", "--images", source, "--training", *training)
    misread, rows = shards.read(tar)
    assert (misread == images[wrong]).all()
    assert rows["image"].tolist() == list(range(wrong.sum()))
    for column in ("sha256", "class_id", "class_name", "origin"):
        assert rows[column].tolist() == manifest[column][wrong].tolist()


def test_class_without_a_training_image_is_reported():
    read((VAL, lines(hard=SETS["hard"].replace("11", "2"))))
    files = ("--images", prepared("things_val"), "--training", prepared("things"))
    with pytest.raises(SystemExit) as error:
        prepared("hard", "00000", *files)
    assert str(error.value) == (
        "data.training.things: no image of the classes [2] of things_val among the first 2; "
        "raise `images` of the set of kind 'adversarial'"
    )


def test_set_without_a_misread_image_is_reported():
    study = read((VAL, lines(hard=SETS["hard"].replace("11", "2"))))
    rows = [(f"{i:09d}", np.full((32, 32, 3), 200 * i, np.uint8), i) for i in range(2)]
    samples = [(key, pixels, {"class_id": i, "prompt": "", "image": i}) for key, pixels, i in rows]
    shards.write("two.tar", samples)
    settings = data_settings(study, "hard", "00000")
    with pytest.raises(prepare.TooFewImages) as error:
        list(prepare.shifted_samples("two.tar", ["two.tar"], settings, 1))
    assert str(error.value) == (
        "data.evaluation.things_val: a model of things classifies every image correctly; "
        "remove the set of kind 'adversarial'"
    )
