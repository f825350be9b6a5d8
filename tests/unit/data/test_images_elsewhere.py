"""Folders of images that were generated elsewhere: paths, prompts, checks before the first job."""

import pytest

from synscale.study.load import load_study
from synscale.workflow import preflight
from synscale.workflow.paths import image_files, shard_index_files
from synscale.workflow.settings.data import data_settings, index_settings
from synscale.workflow.settings.evaluation import score_settings
from tests.support import fake_datasets as fake
from tests.support import generated_images as generated
from tests.support.dataset_checks import error_of, index_error_of, index_of
from tests.support.fake_datasets import WNIDS
from tests.support.workflow import ROOT

SPLITS = {("elsewhere", "folders"): True, ("elsewhere", "tars"): True}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The study of images from elsewhere, next to its images."""
    generated.write_folders(tmp_path / "generated/folders", 6)
    generated.write_tars(tmp_path / "generated/tars", 5)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_MODEL_B", str(tmp_path / "generated/tars"))
    return load_study(generated.STUDY)


def problems(study) -> str:
    return "\n".join(preflight.data_set_problems({"elsewhere": study}, SPLITS))


def test_images_elsewhere_are_read_by_path_and_by_name(study):
    assert problems(study) == ""


def test_missing_folder_is_reported_before_the_first_job(study, tmp_path):
    (tmp_path / "generated/folders").rename(tmp_path / "generated/moved")
    assert "sources.folders: data set './generated/folders'" in problems(study)
    assert f"no such folder: {tmp_path}/generated/folders" in problems(study)


def test_name_without_a_path_suggests_the_folder(study, tmp_path, monkeypatch):
    monkeypatch.delenv("DATA_MODEL_B")
    assert "no path is set" in problems(study)
    (tmp_path / "model_b").mkdir()
    assert "there is a folder ./model_b; write its path with ./" in problems(study)


def test_too_few_images_are_reported_before_the_first_job(study, tmp_path):
    for path in (tmp_path / "generated/folders/0").iterdir():
        path.unlink()
    assert "generated/folders/0: no image in it; add images" in problems(study)


def test_folder_of_another_class_is_reported(study, tmp_path):
    (tmp_path / "generated/folders/9").rename(tmp_path / "generated/folders/nine")
    assert "1 folders are no class_id of data/digits_classes.csv: nine" in problems(study)


def test_paths_and_settings_of_images_elsewhere(study):
    study = study.named("mine")
    assert image_files(study, "folders", 20) == ["results/mine/data/folders/00000.tar"]
    assert shard_index_files(study, "tars") == ["results/mine/shard_index/tars/00001.csv"]
    assert index_settings(study, "tars").has_prompts
    assert data_settings(study, "folders", 2).range == (40, 50)
    settings = score_settings(study, "tars")
    assert settings.guidance == (None,) and settings.images == 20


def test_prompts_next_to_images_are_indexed(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 2))
    for path in list(a_set.folder.glob("*/*.JPEG")):
        path.with_suffix(".txt").write_text(f"prompt of {path.stem}\n")
    table = index_of(a_set(has_prompts=True), tmp_path)
    names = [origin.split("/")[1].removesuffix(".JPEG") for origin in table["origin"]]
    assert table["text"].tolist() == [f"prompt of {name}" for name in names]


def test_missing_prompt_of_a_folder_is_reported(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 1))
    message = index_error_of(a_set(has_prompts=True), tmp_path)
    assert "3 images have no text" in message and "or remove the key prompts" in message


def test_missing_prompt_of_a_tar_is_reported(a_set):
    fake.class_tars(a_set.folder, [[0, 1, 2]])
    message = error_of(a_set(has_prompts=True))
    assert "sample '000_0000' has no text (found cls, jpg, expected 000_0000.txt)" in message
