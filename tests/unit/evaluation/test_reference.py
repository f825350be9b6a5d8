"""The reference classifier: a run or a pretrained model of timm, and its outputs for images."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.metrics import f1_score

from scripts import fetch_reference
from synscale.data import shards
from synscale.evaluation import image_set_metrics, reference
from synscale.evaluation.scores import class_scores
from synscale.models import classifier
from synscale.study.load import StudyError, load_study
from synscale.study.models.classifiers import Architecture
from synscale.training import stream
from synscale.workflow.paths import reference_run
from synscale.workflow.settings.evaluation import reference_settings, score_settings
from tests.support.fake_hub import COMMIT, MODEL, Hub
from tests.support.tiny_models import save_reference
from tests.support.workflow import SMOKE

CPU = torch.device("cpu")
RUN = "reference: {source: real, architecture: vit_tiny, size: 40, seed: 0}"


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    save_reference(folder, classes=3)
    return folder


@pytest.fixture(scope="module")
def of_ten(tmp_path_factory):
    """As many classes as the smoke study has."""
    folder = tmp_path_factory.mktemp("of_ten")
    save_reference(folder, classes=10)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two shards with thirty images of three classes at two guidance scales, and pixels at 2."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    pixels = {scale: random.integers(0, 256, (30, 32, 32, 3), np.uint8) for scale in (1.0, 2.0)}

    def samples(indices):
        for scale, of_scale in pixels.items():
            for i in indices:
                row = {"image": i, "guidance": scale, "class_id": i % 3, "prompt": "x"}
                yield f"{scale:g}-{i:04d}", of_scale[i], row

    tars = [str(folder / f"{shard:05d}.tar") for shard in (0, 1)]
    shards.write(tars[0], samples(range(20)))
    shards.write(tars[1], samples(range(20, 30)))
    return tars, pixels[2.0]


def test_pretrained_model_has_the_preparation_of_timm(pretrained, images):
    model = reference.load_pretrained(pretrained, CPU)
    config = timm.data.resolve_model_data_config(model.model)
    transform = timm.data.create_transform(**config, is_training=False)
    expected = torch.stack([transform(Image.fromarray(pixels)) for pixels in images[1]])
    prepared = model.prepare(torch.from_numpy(images[1]).permute(0, 3, 1, 2))
    assert prepared.shape == (30, 3, 24, 24)
    # The two resizings round to 8 bits differently.
    assert (prepared - expected).abs().max() < 2.5 / 255 / 0.2
    assert (prepared - expected).abs().mean() < 0.01


def test_one_pass_over_the_shards_gives_all_scores(pretrained, images, monkeypatch):
    monkeypatch.setattr(reference, "BATCH", 4)  # so that a class takes several
    model = reference.load_pretrained(pretrained, CPU)
    outputs = model.evaluate(stream.open_images(images[0], 2.0, 27))
    pixels = model.prepare(torch.from_numpy(images[1][:27]).permute(0, 3, 1, 2))
    labels = np.arange(27) % 3
    expected = classifier.outputs(model.model, pixels)
    order = np.argsort(labels, kind="stable")
    assert outputs.class_ids.tolist() == labels[order].tolist()
    assert torch.allclose(outputs.features, expected.features[order], atol=1e-5)
    assert outputs.predicted.tolist() == expected.logits.argmax(1)[order].tolist()
    distances = []
    for class_id in range(3):
        distance = image_set_metrics.PairwiseDistance()
        part = pixels[labels == class_id]
        with torch.inference_mode():
            distance.add(model.model.forward_intermediates(part, intermediates_only=True))
        distances.append(distance.mean())
    assert outputs.lpips == pytest.approx(np.mean(distances), rel=1e-6)
    scores = class_scores(outputs.predicted, outputs.features.numpy(), outputs.class_ids)
    f1 = f1_score(labels, expected.logits.argmax(1), average="macro")
    assert scores["recognizability"] == pytest.approx(f1)
    deviations = [expected.features[labels == c].numpy().std(0).mean() for c in range(3)]
    assert scores["diversity"] == pytest.approx(np.mean(deviations), rel=1e-5)


def test_reference_with_other_classes_is_refused(pretrained, tmp_path):
    tar = tmp_path / "00000.tar"
    pixels = np.zeros((32, 32, 3), np.uint8)
    shards.write(tar, [("0", pixels, {"class_id": 3, "prompt": "x"})])
    with pytest.raises(ValueError, match="class 3, but the reference has 3 classes"):
        reference.load_pretrained(pretrained, CPU).evaluate(stream.open_images([tar]))


def test_classifier_sees_the_centre_and_no_padding():
    architecture = Architecture(label="", patch_size=4, width=8, depth=1, heads=2, pool="avg")
    model = classifier.build(architecture, image_size=8, channels=1, classes=2)
    images = torch.zeros(1, 1, 12, 12, dtype=torch.uint8)
    images[:, :, 2:10, 2:10] = 255
    assert (classifier.inputs(model, images) == 1).all()
    with pytest.raises(ValueError, match="images of 6 x 6 pixels, but the classifier reads 8 x 8"):
        classifier.inputs(model, images[..., :6, :6])


def study(tmp_path, reference: str):
    path = tmp_path / "other.yaml"
    path.write_text(SMOKE.read_text().replace(RUN, f"reference: {reference}"), encoding="utf-8")
    load_study.cache_clear()
    return path


def fetch(path, tmp_path) -> None:
    fetch_reference.main(
        [
            "--study",
            str(path),
            "--known",
            "data/sources.csv",
            "--record",
            str(tmp_path / "record.csv"),
            "--output",
            str(tmp_path / "reference"),
        ]
    )


def test_pretrained_reference_is_fetched_from_the_hub(of_ten, tmp_path):
    arguments = [
        "--study",
        study(tmp_path, f"{{model: {MODEL}, revision: {COMMIT}}}"),
        "--known",
        "data/sources.csv",
    ]
    with Hub(of_ten) as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }
        command = [
            *arguments,
            "--record",
            tmp_path / "record.csv",
            "--output",
            tmp_path / "reference",
        ]
        subprocess.run(
            [sys.executable, "-m", "scripts.fetch_reference", *map(str, command)],
            check=True,
            env=environment,
        )
    assert set(hub.asked) == {"config.json", "model.safetensors"}
    assert reference.load_pretrained(tmp_path / "reference", CPU).model.num_classes == 10
    config = tmp_path / "reference/config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(ValueError, match="it changed since"):
        reference.load_pretrained(tmp_path / "reference", CPU)


def test_fetching_a_reference_of_more_classes_is_refused(tmp_path):
    """Its answers would be taken for classes of the study that have the same number."""
    save_reference(tmp_path / "model", classes=1000)
    classes = r"\(the classes of data/digits_classes\.csv\)"
    message = rf"the model has 1000 outputs, expected 10 {classes}; name one that"
    with pytest.raises(SystemExit, match=message):
        fetch(study(tmp_path, f"{{model: {tmp_path / 'model'}}}"), tmp_path)
    assert not (tmp_path / "reference").exists()


@pytest.mark.parametrize("key", ["label_names", "id2label"])
def test_reference_with_classes_in_another_order_is_refused(of_ten, tmp_path, key):
    """The order of its outputs is in its configuration, if the model has names for them."""
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    folder = tmp_path / "model"
    shutil.copytree(of_ten, folder)
    config = json.loads((folder / "config.json").read_text())
    path = study(tmp_path, f"{{model: {folder}}}")

    def fetch_with(names: list[str]) -> None:
        named = (
            names
            if key == "label_names"
            else {str(place): name for place, name in enumerate(names)}
        )
        (folder / "config.json").write_text(json.dumps(config | {key: named}))
        (tmp_path / "record.csv").unlink(missing_ok=True)
        fetch(path, tmp_path)

    fetch_with(digits)
    fetch_with([f"LABEL_{i}" for i in range(10)])  # says nothing of the order
    with pytest.raises(
        SystemExit, match=r"output 0 is 'nine', which is class 9 of data/digits_classes\.csv"
    ):
        fetch_with(digits[::-1])
    assert not (tmp_path / "reference").exists()


def test_changed_folder_is_not_fetched_silently(of_ten, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(of_ten, folder)
    path = study(tmp_path, f"{{model: {folder}}}")
    fetch(path, tmp_path)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(
        SystemExit, match=r"scores.reference: config.json: wrong sha256 .* expected .*record.csv"
    ):
        fetch(path, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        SystemExit, match=r"no model\.safetensors; name a model that timm has saved for the hub"
    ):
        fetch(path, tmp_path)


def test_settings_name_the_reference_and_a_run_is_not_fetched(tmp_path):
    path = study(tmp_path, f"{{model: owner/name, revision: {COMMIT}}}")
    other = load_study(path)
    assert reference_run(other) is None
    settings = score_settings(other, "masked_captions")
    assert (settings.reference.model, settings.reference.revision) == ("owner/name", COMMIT)
    smoke = load_study(SMOKE)
    settings = score_settings(smoke, "masked_captions")
    assert settings.reference == reference_run(smoke)
    assert settings.reference.name == "vit_tiny-n40-seed0"
    with pytest.raises(ValueError, match=r"scores\.reference is a run of the study"):
        reference_settings(smoke)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "{model: owner/name, revision: main}",
            "scores.reference.revision = 'main': not a commit",
        ),
        ("{model: name}", "scores.reference.model = 'name': neither owner/name nor a path"),
        ("{model: ./nowhere}", "scores.reference.model = './nowhere': no such folder"),
        (
            "{model: owner/name, seed: 1}",
            "scores.reference.seed = 1: unknown key; remove it, or use one of: ",
        ),
        ("{source: real}", "scores.reference.architecture: missing; add it"),
    ],
)
def test_error_has_key_value_and_fix(tmp_path, reference, message):
    with pytest.raises(StudyError) as error:
        load_study(study(tmp_path, reference))
    assert message in str(error.value)
