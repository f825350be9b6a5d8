"""Feature spaces of random weights: preparation as in their libraries, downloads, and scores."""

import os
import shutil
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image

from synscale.data import shards
from synscale.evaluation import feature_spaces
from synscale.evaluation.feature_measures import FeatureSets, compare
from synscale.evaluation.feature_scores import score_features
from synscale.models import checksums
from synscale.study.load import read_yaml, validate
from synscale.training import stream
from synscale.workflow.runs import Run
from synscale.workflow.settings.feature_scores import FeatureScoreSettings
from tests.support import clip_evaluation
from tests.support.fake_hub import COMMIT, MODEL, Hub
from tests.support.tiny_models import save_dinov2, save_open_clip, save_reference
from tests.support.workflow import SMOKE

CPU = torch.device("cpu")
RUN = Run("real", None, "tiny", 40, 0)
SAVERS = {"dinov2": save_dinov2, "clip": save_open_clip}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of a model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    for name, save in SAVERS.items():
        (folder / name).mkdir()
        save(folder / name)
    (folder / "reference").mkdir()
    save_reference(folder / "reference", classes=3)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A tar of thirty images of random blocks at two guidance scales, and the pixels at 2."""
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 30, 4, 4, 3), np.uint8)
    pixels = pixels.repeat(8, 2).repeat(8, 3)
    rows = [
        (f"{scale}-{i:02d}", pixels[place, i], {"image": i, "class_id": i % 3, "prompt": "x"})
        for place, scale in enumerate((1.0, 2.0))
        for i in range(30)
    ]
    for (name, _, row), scale in zip(rows, [1.0] * 30 + [2.0] * 30, strict=True):
        assert name.startswith(str(scale))
        row["guidance"] = scale
    shards.write(folder / "00000.tar", rows)
    return str(folder / "00000.tar"), pixels[1]


def save_real(folder, count=12) -> str:
    random = np.random.default_rng(1)
    rows = [
        (str(i), random.integers(0, 256, (32, 32, 3), np.uint8), {"class_id": 0, "prompt": ""})
        for i in range(count)
    ]
    shards.write(folder / "real.tar", rows)
    return str(folder / "real.tar")


@torch.inference_mode()
def of_library(name: str, folder, pixels) -> torch.Tensor:
    """Features of images by the transforms of the library of a model."""
    pictures = [Image.fromarray(image) for image in pixels]
    if name == "clip":
        model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        inputs = torch.stack([transform(picture) for picture in pictures])
        return model.eval().encode_image(inputs, normalize=True)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    return model(torch.stack([transform(picture) for picture in pictures]))


@pytest.mark.parametrize("name", list(SAVERS))
def test_features_are_those_of_the_library(name, models, images):
    space = feature_spaces.load(name, None, models / name, CPU)
    features = space.features(stream.open_images([images[0]], 2.0))
    expected = of_library(name, models / name, images[1])
    assert features.shape == expected.shape == (30, {"dinov2": 16, "clip": 12}[name])
    # The two resizings round to 8 bits differently.
    assert torch.allclose(features, expected, atol=0.05 * float(expected.std()))


def test_grey_images_are_read_as_rgb(models, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    for name, pixels in (("grey", grey), ("rgb", grey[..., None].repeat(3, 2))):
        shards.write(tmp_path / f"{name}.tar", [("0", pixels, {"class_id": 0, "prompt": ""})])
    for name in SAVERS:
        space = feature_spaces.load(name, None, models / name, CPU)
        features = [
            space.features(stream.open_images([str(tmp_path / f"{kind}.tar")]))
            for kind in ("grey", "rgb")
        ]
        assert torch.allclose(*features, atol=1e-6)


def test_clip_run_of_the_study_has_its_features(tmp_path):
    clip_evaluation.train(tmp_path)
    shutil.copy(tmp_path / "models/learned.safetensors", tmp_path / f"{RUN.name}.safetensors")
    space = feature_spaces.load("clip", RUN, tmp_path, CPU)
    images = stream.open_images([str(tmp_path / "set/unseen.tar")])
    features = space.features(images)
    assert features.shape == (24, 8)
    assert torch.allclose(features.norm(dim=1), torch.ones(24), atol=1e-5)
    dark, light = features[images.class_ids == 0], features[images.class_ids == 1]
    assert (dark @ dark.T).min() > (dark @ light.T).max()  # it distinguishes them


def settings_of(feature: str, **changes) -> FeatureScoreSettings:
    fields = {
        "source": "x",
        "guidance": (1.0, 2.0),
        "images": 24,
        "feature": feature,
        "model": RUN,
        "measures": ("kernel_distance", "coverage", "memorisation"),
        "generator": "g",
        "training_images": 20,
    }
    return FeatureScoreSettings(**fields | changes)


@pytest.mark.parametrize("name", ["reference", *SAVERS])
def test_scores_are_those_of_the_features(name, models, images, tmp_path):
    space = feature_spaces.load(name, None, models / name, CPU)
    tar, real_tar = images[0], save_real(tmp_path)
    training = tmp_path / "training"
    training.mkdir()
    training_tar = save_real(training, 25)
    entries = score_features(settings_of(name), [tar], real_tar, [training_tar], space)
    assert [(entry["source"], entry["guidance"]) for entry in entries] == [("x", 1), ("x", 2)]
    sets = FeatureSets(
        space.features(stream.open_images([tar], 2.0, 24)),
        space.features(stream.open_images([real_tar])),
        space.features(stream.open_images([training_tar], None, 20)),
    )
    for measure, value in compare(sets, ["kernel_distance", "coverage", "memorisation"]).items():
        assert entries[1][f"{measure}_{name}"] == pytest.approx(value)


def test_unknown_training_images_have_no_memorisation(models, images, tmp_path):
    space = feature_spaces.load("dinov2", None, models / "dinov2", CPU)
    settings = settings_of("dinov2", generator=None, training_images=None)
    entries = score_features(settings, [images[0]], save_real(tmp_path), [], space)
    assert {entry["memorisation_dinov2"] for entry in entries} == {None}


# -- downloads -------------------------------------------------------------------------------------
FILES = {
    "dinov2": {"config.json", "model.safetensors"},
    "clip": {"open_clip_config.json", "open_clip_model.safetensors"},
}


def fetch(feature: str, row: dict, folder, environment=None):
    """Run the command that fetches the model of a feature space of the smoke study."""
    raw = SMOKE.read_text(encoding="utf-8")
    keys = ", ".join(f"{key}: {value}" for key, value in ({"kind": feature} | row).items())
    added = f"scores:\n  features: [{{{keys}}}]\n  measures: [density]\n"
    path = folder / "other.yaml"
    path.write_text(raw.replace("scores:\n", added, 1), encoding="utf-8")
    arguments = {
        "--study": path,
        "--feature": feature,
        "--known": "data/sources.csv",
        "--record": folder / "record.csv",
        "--output": folder / "model",
    }
    command = [str(part) for pair in arguments.items() for part in pair]
    return subprocess.run(
        [sys.executable, "-m", "scripts.fetch_feature_model", *command],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("feature", list(SAVERS))
def test_model_is_fetched_from_the_hub_and_verified(feature, models, tmp_path):
    with Hub(models / feature) as hub:
        row = {"model": MODEL, "revision": COMMIT}
        result = fetch(feature, row, tmp_path, hub.environment(tmp_path))
    assert result.returncode == 0, result.stderr
    assert set(hub.asked) == FILES[feature]
    folder = tmp_path / "model"
    feature_spaces.load(feature, None, folder, CPU)
    config = folder / min(FILES[feature])
    config.write_text(config.read_text() + " ")
    with pytest.raises(checksums.WeightsError, match="wrong sha256"):
        feature_spaces.load(feature, None, folder, CPU)


def test_folder_without_weights_is_refused(models, tmp_path):
    shutil.copytree(models / "clip", tmp_path / "clip")
    (tmp_path / "clip/open_clip_model.safetensors").unlink()
    result = fetch("clip", {"model": tmp_path / "clip"}, tmp_path)
    assert result.returncode != 0
    assert "no open_clip_model.safetensors; name a model that open_clip has saved" in result.stderr


def test_smoke_study_without_keys_has_no_feature_spaces():
    study = validate(read_yaml(SMOKE), "x")
    assert study.scores.pairs == []
    assert not {"features", "measures"} & study.scores.model_dump().keys()
