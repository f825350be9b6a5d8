"""The scaffold of a study: what it writes, and what it refuses to begin with."""

import pytest
import yaml

from scripts import new_study
from synscale.study.load import load_study
from synscale.workflow.settings.data import index_settings
from tests.support import fake_datasets as fake
from tests.support.photographs import write_photographs

MODEL = "--generator", f"owner/model@{'0' * 40}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder, in which the plan, which has its own tests, is not made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(new_study.plan_command, "main", lambda arguments: print(arguments))
    (tmp_path / "studies").mkdir()
    (tmp_path / "data").mkdir()
    load_study.cache_clear()
    return tmp_path


def error_of(*arguments: str) -> str:
    with pytest.raises(SystemExit) as error:
        new_study.main(["mine", *arguments])
    return str(error.value)


def test_generator_and_classifiers_have_disjoint_halves(folder, capsys):
    write_photographs(folder / "photos", 30)
    new_study.main(["mine", "--train", "photos", "--train-generator"])
    study = load_study("studies/mine.yaml")
    assert index_settings(study, "real").part == (0, 27)
    assert index_settings(study, "for_generator").part == (27, None)
    held_out = index_settings(study, "test").held_out
    assert held_out and index_settings(study, "real").held_out == held_out
    assert study.generators["main"].images == 27 and study.generators["main"].threshold
    assert study.sources["real"].images == 24 and study.image_size == 24
    assert (folder / "data/mine_classes.csv").read_text().splitlines() == [
        "class_id,name,label,description,hypernyms",
        "0,cat,cat,,",
        "1,green bird,green_bird,,",
    ]
    printed = capsys.readouterr().out
    assert "60 images of 2 classes (30 a class), RGB" in printed
    assert "snakemake figures/mine/exchange_rate.pdf" in printed
    assert len((folder / "studies/mine.yaml").read_text().splitlines()) <= 80


def test_grey_test_set_and_pretrained_generator(folder):
    write_photographs(folder / "sets/train", 12, mode="L")
    write_photographs(folder / "sets/test", 3, mode="L", first=40)
    new_study.main(["mine", "--train", "sets/train", "--test", "sets/test", *MODEL])
    study = load_study("studies/mine.yaml")
    assert study.channels == 1 and set(study.data.training) == {"real"}
    assert index_settings(study, "real").part is None
    assert index_settings(study, "test").dataset == "sets/test"
    assert study.generators["main"].kind == "pretrained"


def test_large_photographs_are_stored_small_enough_to_generate(folder):
    write_photographs(folder / "photos", 30, size=90)
    new_study.main(["mine", "--train", "./photos", "--train-generator"])
    assert load_study("studies/mine.yaml").image_size == 64


def test_odd_path_is_quoted(folder):
    write_photographs(folder / "my: photos", 16)
    new_study.main(["mine", "--train", "my: photos", *MODEL])
    study = yaml.safe_load((folder / "studies/mine.yaml").read_text())
    assert study["data"]["training"]["real"]["dataset"] == "./my: photos"


def test_missing_or_empty_folder_is_reported(folder):
    assert "--train: none: no such folder" in error_of("--train", "none", *MODEL)
    (folder / "empty").mkdir()
    assert "no folder in it (expected one per class)" in error_of("--train", "empty", *MODEL)


def test_empty_class_is_reported(folder):
    write_photographs(folder / "photos", 12)
    (folder / "photos/dog").mkdir()
    assert "photos/dog: no image in it" in error_of("--train", "photos", *MODEL)


def test_single_class_is_reported(folder):
    fake.class_folders(folder / "photos", {"cat": 20})
    message = error_of("--train", "photos", *MODEL)
    assert "one class only (cat); a classifier needs two or more" in message


def test_too_few_images_of_a_class_are_reported(folder):
    write_photographs(folder / "photos", 6)
    message = error_of("--train", "photos", *MODEL)
    assert "too few training images (5 a class, expected at least 12); add images" in message
    assert "10 of 12 are for classifiers" in message


def test_test_image_among_the_training_images_is_reported(folder):
    write_photographs(folder / "train", 12)
    write_photographs(folder / "test", 3, first=10)
    message = error_of("--train", "train", "--test", "test", *MODEL)
    assert "--test: images that are training images (4, such as cat/10.png" in message


def test_unreadable_image_is_reported(folder):
    write_photographs(folder / "photos", 12)
    (folder / "photos/cat/3.png").write_bytes(b"no image")
    message = error_of("--train", "photos", *MODEL)
    assert "--train: 1 broken images (cat/3.png" in message and "replace or remove" in message


def test_nothing_is_overwritten(folder):
    write_photographs(folder / "photos", 12)
    (folder / "studies/mine.yaml").write_text("mine")
    message = error_of("--train", "photos", *MODEL)
    assert message.startswith("studies/mine.yaml: exists already; choose another name")
    assert (folder / "studies/mine.yaml").read_text() == "mine"


def test_bad_name_or_generator_is_reported(folder):
    write_photographs(folder / "photos", 12)
    with pytest.raises(SystemExit, match="Bad-Name: the name of a study is part of paths"):
        new_study.main(["Bad-Name", "--train", "photos", *MODEL])
    message = error_of("--train", "photos", "--generator", "owner/model@main")
    assert "--generator owner/model@main: no revision (expected owner/name@" in message


def test_image_size_that_cannot_be_generated_is_reported(folder):
    write_photographs(folder / "photos", 30)
    message = error_of("--train", "photos", "--train-generator", "--image-size", "20")
    assert "image_size = 20: not a multiple of 8, which generators.main needs; use 16" in message
    assert "studies/mine.yaml was written; correct it" in message
