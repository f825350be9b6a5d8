"""Settings of CLIP in a study: the paper's size, options, and sets with other classes."""

import open_clip
import pytest
import torch
import yaml

from synscale.models import clip
from synscale.study.checks.data import check_file_sets
from synscale.study.load import StudyError, load_study
from synscale.study.models.clip import ClipArchitecture
from synscale.study.models.data import FilesData, FileSet
from synscale.workflow.settings.evaluation import clip_evaluation_settings, clip_tables
from synscale.workflow.settings.training import clip_settings
from tests.support.workflow import ROOT, SMOKE

CROP = "crop_scale: [0.9, 1.0]"
BASE = {
    "embed_dim": 512,
    "patch_size": 16,
    "width": 768,
    "depth": 12,
    "heads": 12,
    "text_width": 512,
    "text_depth": 12,
    "text_heads": 8,
}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def smoke(tmp_path, *changes: tuple[str, str]):
    text = SMOKE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "changed.yaml"
    path.write_text(text)
    load_study.cache_clear()
    return load_study(path)


def test_paper_architecture_is_that_of_open_clip():
    with torch.device("meta"):
        architecture = ClipArchitecture(label="", context_length=77, **BASE)
        weights = open_clip.model.CLIP(**clip.config(architecture, 224)).state_dict()
        weights_of_open_clip = open_clip.model.CLIP(
            **open_clip.get_model_config("ViT-B-16-quickgelu")
        ).state_dict()
    assert {name: weight.shape for name, weight in weights.items()} == {
        name: weight.shape for name, weight in weights_of_open_clip.items()
    }


def test_option_at_its_default_changes_no_settings(tmp_path):
    before = clip_settings(smoke(tmp_path), "real", "clip_tiny")
    same = smoke(
        tmp_path, ("crop_scale: [0.9, 1.0]", "crop_scale: [0.9, 1.0]\n  crop_ratio: [1.0, 1.0]")
    )
    other = smoke(
        tmp_path,
        (
            "crop_scale: [0.9, 1.0]",
            "crop_scale: [0.9, 1.0]\n  micro_batch_size: 4\n  image_size: 4",
        ),
    )
    assert clip_settings(same, "real", "clip_tiny") == before
    settings = clip_settings(other, "real", "clip_tiny")
    assert settings.recipe == before.recipe.model_copy(update={"micro_batch_size": 4})
    assert (before.image_size, settings.image_size) == (8, 4)
    assert settings.recipe.betas == (0.9, 0.98)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            CROP,
            f"{CROP}\n  image_size: 6",
            "clip.architectures.clip_tiny.patch_size = 4: must divide image_size = 6",
        ),
        (
            CROP,
            f"{CROP}\n  image_size: 16",
            "clip.image_size = 16: larger than the 8 of stored images",
        ),
        (
            CROP,
            f"{CROP}\n  crop_ratio: [1.3, 0.7]",
            "clip.crop_ratio = [1.3, 0.7]: must begin with the smaller; use [0.7, 1.3]",
        ),
        (
            CROP,
            f"{CROP}\n  order: passes",
            "clip.order = 'passes': removed: every training reads its pairs in shuffled "
            "epochs; delete this line",
        ),
        (
            CROP,
            f"{CROP}\n  checkpoints: 2",
            "clip.checkpoints = 2: removed: checkpoints are saved at time intervals; "
            "delete this line",
        ),
        ('templates: ["{name}", "{name}, thick"]', "templates: imagenet", "clip.templates"),
    ],
)
def test_invalid_option_is_reported(tmp_path, old, new, message):
    with pytest.raises(StudyError) as error:
        smoke(tmp_path, (old, new))
    assert message in str(error.value)


def test_80_templates_have_a_name(tmp_path):
    study = smoke(
        tmp_path, ('templates: ["{name}", "{name}, thick"]', "templates: openai_imagenet")
    )
    assert clip_evaluation_settings(study, "real", "clip_tiny").templates == "openai_imagenet"


def sets(**keys) -> FilesData:
    return FilesData(
        kind="files",
        training={"photos": {"dataset": "photos"}},
        evaluation={"flowers": FileSet(dataset="flowers102", **keys)},
    )


def test_set_with_other_classes_needs_two_files(tmp_path):
    study, classes, texts = smoke(tmp_path), tmp_path / "flowers.csv", tmp_path / "templates.yaml"

    def errors(**keys):
        return list(check_file_sets(sets(**keys), study.clip, study.sources))

    keys = {"classes": str(classes), "templates": str(texts)}
    assert [error.split("; ")[0] for error in errors(**keys)] == [
        f"data.evaluation.flowers.{key} = {keys[key]!r}: no such file" for key in keys
    ]
    classes.write_text("class_id,name\n0,rose\n2,lily\n")
    texts.write_text(yaml.safe_dump({"flowers102": ["a {name}", "flower"], "pets": ["a {name}"]}))
    assert "class_id must count 0, 1, 2" in errors(**keys)[0]
    assert errors(**keys)[1:] == [
        f"{texts}: flowers102.1 = 'flower': must contain {{name}} once and no other brace"
    ]
    classes.write_text("class_id,name\n0,rose\n1,lily\n")
    texts.write_text(yaml.safe_dump({"pets": ["a {name}"]}))
    assert errors(**keys) == [
        f"data.evaluation.flowers.templates = {str(texts)!r}: "
        "no list of texts under flowers102; add it"
    ]
    assert "templates: missing; a set with other classes" in errors(classes=str(classes))[0]
    assert "remove the key" in errors(templates=str(texts))[0]
    texts.write_text(yaml.safe_dump({"flowers102": ["a {name}"]}))
    assert errors(**keys) == []
    changed = study.model_copy(update={"data": sets(**keys)})
    assert clip_tables(changed) == [str(classes), str(texts)]
    settings = clip_evaluation_settings(changed, "real", "clip_tiny")
    assert settings.sets_of_other_classes == {"flowers": FileSet(dataset="flowers102", **keys)}


def test_templates_are_needed_only_by_clip(tmp_path):
    classes = tmp_path / "flowers.csv"
    classes.write_text("class_id,name\n0,rose\n1,lily\n")
    assert list(check_file_sets(sets(classes=str(classes)), None, {})) == []
    assert "missing" in next(check_file_sets(sets(classes=str(classes)), smoke(tmp_path).clip, {}))


def test_downstream_sets_of_the_project_are_valid(tmp_path):
    study = smoke(tmp_path)
    for path in sorted((ROOT / "data/downstream").glob("*.csv")):
        if path.stem != "sets":
            user_set = FileSet(
                dataset=path.stem, classes=str(path), templates="data/downstream/templates.yaml"
            )
            data = FilesData(
                kind="files",
                training={"photos": {"dataset": "photos"}},
                evaluation={"own": user_set},
            )
            assert list(check_file_sets(data, study.clip, {})) == []
