"""What a study says of CLIP at the size of the paper: its options, its sets with classes of their own, and the trainer that is told of them."""

import scripts.lib.torch_setup  # noqa: F401

import open_clip
import pytest
import torch
import yaml

from scripts.lib import checks_clips, clip, clip_trainer, jobs
from scripts.lib.distributed import Team
from scripts.lib.study.clips import ClipTraining
from scripts.lib.study.data import FilesData, FileSet
from scripts.lib.study_file import StudyError, load
from tests.support.workflow import ROOT, SMOKE

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)
BASE = {"embed_dim": 512, "patch_size": 16, "width": 768, "depth": 12, "heads": 12, "text_width": 512, "text_depth": 12, "text_heads": 8}
RECIPE = {"batch_size": 32768, "learning_rate": 5e-4, "warmup": 0.02, "weight_decay": 0.2, "crop_scale": (0.5, 1.0), "checkpoints": 32}
RUN = {"source": "laion", "iterations": 64, "seed": 0}


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
    load.cache_clear()
    return load(path)


def test_the_papers_architecture_is_open_clips():
    with torch.device("meta"):
        ours = open_clip.model.CLIP(**clip.config(BASE | {"context_length": 77}, 224)).state_dict()
        theirs = open_clip.model.CLIP(**open_clip.get_model_config("ViT-B-16-quickgelu")).state_dict()
    assert {name: own.shape for name, own in ours.items()} == {name: own.shape for name, own in theirs.items()}


def test_options_at_their_defaults_make_no_model_anew(tmp_path):
    before = jobs.clip_settings(smoke(tmp_path), "real", "clip_tiny")
    same = smoke(tmp_path, ("crop_scale: [0.9, 1.0]", "crop_scale: [0.9, 1.0]\n  crop_ratio: [1.0, 1.0]\n  order: window"))
    other = smoke(tmp_path, ("crop_scale: [0.9, 1.0]", "crop_scale: [0.9, 1.0]\n  order: passes\n  image_size: 4"))
    assert jobs.clip_settings(same, "real", "clip_tiny") == before
    found = jobs.clip_settings(other, "real", "clip_tiny")
    assert found["training"] == before["training"] | {"order": "passes"}
    assert (before["image_size"], found["image_size"]) == (8, 4)
    assert ClipTraining(**found["training"]).betas == (0.9, 0.98)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("checkpoints: 2", "checkpoints: 2\n  image_size: 6", "clips.architectures.clip_tiny.patch_size = 4: does not divide image_size = 6"),
        ("checkpoints: 2", "checkpoints: 2\n  image_size: 16", "clips.image_size = 16: more than the 8 that images are kept at"),
        ("checkpoints: 2", "checkpoints: 2\n  crop_ratio: [1.3, 0.7]", "clips.crop_ratio = [1.3, 0.7]: the smaller comes first; use [0.7, 1.3]"),
        ("checkpoints: 2", "checkpoints: 2\n  order: epochs", "clips.order = 'epochs': input should be 'window' or 'passes'"),
        ("checkpoints: 2", "checkpoints: 3", "clips.iterations.10 = 4: cannot be cut into 3 equal parts"),
        ('templates: ["{name}", "{name}, thick"]', "templates: imagenet", "clips.templates"),
    ],
)
def test_options_that_cannot_be_are_told(tmp_path, old, new, told):
    with pytest.raises(StudyError) as error:
        smoke(tmp_path, (old, new))
    assert told in str(error.value)


def test_the_80_templates_have_a_name(tmp_path):
    study = smoke(tmp_path, ('templates: ["{name}", "{name}, thick"]', "templates: openai_imagenet"))
    assert jobs.clip_evaluation_settings(study, "real", "clip_tiny")["templates"] == "openai_imagenet"


def sets(**own) -> FilesData:
    return FilesData(kind="files", training={"photos": {"dataset": "photos"}}, evaluation={"flowers": FileSet(dataset="flowers102", **own)})


def test_sets_with_classes_of_their_own_bring_both_files(tmp_path):
    study, classes, texts = smoke(tmp_path), tmp_path / "flowers.csv", tmp_path / "templates.yaml"

    def faults(**own):
        return checks_clips.sets_of_other_classes_can_be_asked_about(study.clips, sets(**own))

    own = {"classes": str(classes), "templates": str(texts)}
    assert [fault.split("; ")[0] for fault in faults(**own)] == [f"data.evaluation.flowers.{key} = {own[key]!r}: no such file" for key in own]
    classes.write_text("class_id,name\n0,rose\n2,lily\n")
    texts.write_text(yaml.safe_dump({"flowers102": ["a {name}", "flower"], "pets": ["a {name}"]}))
    assert "class_id must count 0, 1, 2" in faults(**own)[0]
    assert faults(**own)[1:] == [f"{texts}: flowers102.1 = 'flower': must hold {{name}} once"]
    classes.write_text("class_id,name\n0,rose\n1,lily\n")
    texts.write_text(yaml.safe_dump({"pets": ["a {name}"]}))
    assert faults(**own) == [f"data.evaluation.flowers.templates = {str(texts)!r}: no list of texts under flowers102; add it"]
    assert "templates: missing; CLIP asks" in faults(classes=str(classes))[0]
    assert "remove it" in faults(templates=str(texts))[0]
    texts.write_text(yaml.safe_dump({"flowers102": ["a {name}"]}))
    assert faults(**own) == []
    changed = study.model_copy(update={"data": sets(**own)})
    assert jobs.clip_tables(changed) == [str(classes), str(texts)]
    assert jobs.clip_evaluation_settings(changed, "real", "clip_tiny")["sets"] == {"flowers": {"dataset": "flowers102", **own}}


def test_the_projects_own_sets_can_be_asked_about(tmp_path):
    study = smoke(tmp_path)
    for path in sorted((ROOT / "data/downstream").glob("*.csv")):
        if path.stem != "sets":
            own = FileSet(dataset=path.stem, classes=str(path), templates="data/downstream/templates.yaml")
            data = FilesData(kind="files", training={"photos": {"dataset": "photos"}}, evaluation={"own": own})
            assert checks_clips.sets_of_other_classes_can_be_asked_about(study.clips, data) == []


def arguments(team: Team, **recipe) -> dict[str, str]:
    """Of the trainer's command line, by name; several values joined."""
    found, name = {}, None
    for word in clip_trainer.command_line(RUN, ClipTraining(**RECIPE | recipe), "model", ROOT / "logs/run", team):
        if word.startswith("--"):
            name, found[word] = word, ""
        else:
            found[name] = f"{found[name]} {word}".strip()
    return found


def test_the_trainer_is_told_what_the_study_says():
    told = arguments(Team(CUDA, rank=1, ranks=8, workers=6), largest_batch=1024, gradient_clip=1.0, gradient_checkpointing=True, normalisation="openai")
    assert (told["--batch-size"], told["--accum-freq"], told["--workers"]) == ("1024", "4", "6")  # 32768 = 8 x 4 x 1024
    assert (told["--precision"], told["--grad-clip-norm"], told["--beta2"], told["--warmup"]) == ("amp_bf16", "1.0", "0.98", "1")
    assert told["--image-mean"] == " ".join(map(str, open_clip.OPENAI_DATASET_MEAN))
    assert {"--grad-checkpointing", "--local-loss", "--gather-with-grad"} <= told.keys()
    alone = arguments(Team(CPU))
    assert (alone["--batch-size"], alone["--accum-freq"], alone["--precision"]) == ("32768", "1", "fp32")
    assert not {"--grad-checkpointing", "--grad-clip-norm"} & alone.keys()
    assert arguments(Team(CUDA), precision="float32")["--precision"] == "fp32"
