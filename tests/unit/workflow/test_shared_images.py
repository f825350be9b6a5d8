"""A study may use the images of another one if everything that they depend on is equal."""

import pytest

from scripts import clean
from synscale.study.load import StudyError, load_study
from synscale.workflow import cleaning, studies
from synscale.workflow.paths import image_files, pipeline_folder, prompts_file
from synscale.workflow.requested import Form
from synscale.workflow.requested import check as check_requested
from synscale.workflow.targets import NotInStudy
from tests.support.workflow import ROOT, SMOKE

ROW = "recipe: class_names, images: {1.0: 20, 1.5: 40}"
SHARED = ROW + ", images_of: smoke"
SOURCE = "diffusion_class_names"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that loads the smoke study and `again`, which uses its images, after changes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/smoke.yaml").write_text(SMOKE.read_text())

    def load_both(*changes: tuple[str, str]):
        text = SMOKE.read_text()
        for old, new in ((ROW, SHARED), *changes):
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "studies/again.yaml").write_text(text)
        load_study.cache_clear()
        return studies.load_all({"study": "smoke"})

    return load_both


def test_images_of_another_study_are_its_files(load):
    again = load()["again"]
    assert image_files(again, SOURCE) == [
        f"results/smoke/images/{SOURCE}/{shard}.tar" for shard in ("00000", "00001")
    ]
    assert pipeline_folder(again, SOURCE) == "results/smoke/generators/diffusion"
    assert prompts_file(again, SOURCE, "00000") == "results/smoke/prompts/class_names.parquet"
    assert image_files(again, "masked_captions")[0].startswith("results/again/")


def test_fewer_images_of_another_study_may_be_used(load):
    again = load(("images: {1.0: 20, 1.5: 40}", "images: {1.5: 40}"))["again"]
    assert len(image_files(again, SOURCE)) == 2


def test_shared_shard_is_no_target_of_its_user(load):
    form = [Form("generate", "results/{study}/images/{source}/{shard}.tar")]
    with pytest.raises(NotInStudy, match="no synthetic source 'diffusion_class_names'"):
        check_requested([f"results/again/images/{SOURCE}/00000.tar"], form, load())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("images_of: smoke", "images_of: smok", "'smok': no such study; did you mean 'smoke'?"),
        ("images_of: smoke", "images_of: again", "the study itself; remove the key"),
        (
            "images: {1.0: 20, 1.5: 40}",
            "images: {1.0: 40, 1.5: 40}",
            "it has too few images at guidance 1 (20, the source takes 40); raise it there",
        ),
        (
            "steps: 2\n    training: {iterations: 20, batch_size: 16, learning_rate: 2.0e-3",
            "steps: 3\n    training: {iterations: 20, batch_size: 16, learning_rate: 2.0e-3",
            "generator.steps differs (3, expected 2 as there); make them equal",
        ),
        (
            "learning_rate: 2.0e-3",
            "learning_rate: 3.0e-3",
            "weights.generator.training.learning_rate differs (0.003, expected 0.002 as there)",
        ),
        (
            "images_per_shard: 20",
            "images_per_shard: 40",
            "images_per_shard differs (40, expected 20 as there)",
        ),
    ],
)
def test_images_that_differ_are_refused(load, old, new, message):
    with pytest.raises(StudyError) as error:
        load((old, new))
    key = "studies/again.yaml: sources.diffusion_class_names.images_of"
    assert key in str(error.value) and message in str(error.value)


def test_source_that_the_other_study_lacks_is_refused(load, tmp_path):
    load()
    smoke = tmp_path / "studies/smoke.yaml"
    smoke.write_text(smoke.read_text().replace("diffusion_class_names", "renamed"))
    with pytest.raises(StudyError, match="it has no synthetic source 'diffusion_class_names'"):
        load()


def test_lent_images_are_kept_by_clean(load):
    both = load()
    lent = cleaning.lent_shards(both["smoke"], both.values())
    assert lent == set(image_files(both["again"], SOURCE))
    assert clean.size_text(2_500_000_000) == "2.5 GB"
