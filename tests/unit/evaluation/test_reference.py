"""The reference classifier: a run of the study or a released model of timm, and what it says of
images that it reads from their shards.
"""

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

from scripts import fetch_reference, score
from synscale.data import shards
from synscale.evaluation import image_set_metrics, reference
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
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
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
    """Thirty images of 32 px in three classes that follow one another, at two guidance scales and
    in two shards, and their pixels at scale 2.
    """
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    pixels = {scale: random.integers(0, 256, (30, 32, 32, 3), np.uint8) for scale in (1.0, 2.0)}

    def samples(indices):
        for scale, own in pixels.items():
            for i in indices:
                yield (
                    f"{scale:g}-{i:04d}".replace(".", "_"),
                    own[i],
                    {"image": i, "guidance": scale, "class_id": i % 3, "prompt": "x"},
                )

    for shard in (0, 1):
        shards.write(
            folder / f"{shard:05d}.tar", samples(range(20 * shard, min(30, 20 * shard + 20)))
        )
    return [str(folder / "00000.tar"), str(folder / "00001.tar")], pixels[2.0]


def test_a_released_model_reads_images_as_its_own_configuration_says(released, images):
    judge = reference.pretrained(released, CPU)
    own = timm.data.create_transform(
        **timm.data.resolve_model_data_config(judge.model), is_training=False
    )
    expected = torch.stack([own(Image.fromarray(pixels)) for pixels in images[1]])
    found = judge.prepare(torch.from_numpy(images[1]).permute(0, 3, 1, 2))
    assert found.shape == (30, 3, 24, 24)
    assert (
        found - expected
    ).abs().max() < 2.5 / 255 / 0.2  # the two resizings round to 8 bits in their own ways
    assert (found - expected).abs().mean() < 0.01


def test_one_pass_over_the_shards_gives_what_a_pass_for_each_score_gives(
    released, images, monkeypatch
):
    monkeypatch.setattr(reference, "BATCH", 4)  # so that a class takes several
    judge = reference.pretrained(released, CPU)
    found = judge.judge(stream.open_images(images[0], 2.0, 27))
    pixels, labels = (
        judge.prepare(torch.from_numpy(images[1][:27]).permute(0, 3, 1, 2)),
        np.arange(27) % 3,
    )
    out = classifier.outputs(judge.model, pixels)
    together = np.argsort(labels, kind="stable")
    assert found.class_ids.tolist() == labels[together].tolist()
    assert torch.allclose(found.features, out.features[together], atol=1e-5)
    assert found.predicted.tolist() == out.logits.argmax(1)[together].tolist()
    distances = []
    for c in range(3):
        spread = image_set_metrics.Spread()
        with torch.inference_mode():
            spread.add(
                judge.model.forward_intermediates(pixels[labels == c], intermediates_only=True)
            )
        distances.append(spread.distance())
    assert found.lpips == pytest.approx(np.mean(distances), rel=1e-6)
    scores = score.scores(found.predicted, found.features.numpy(), found.class_ids)
    assert scores["recognizability"] == pytest.approx(
        f1_score(labels, out.logits.argmax(1), average="macro")
    )
    assert scores["diversity"] == pytest.approx(
        np.mean([out.features[labels == c].numpy().std(0).mean() for c in range(3)]), rel=1e-5
    )


def test_a_reference_with_other_classes_is_told(released, tmp_path):
    shards.write(
        tmp_path / "00000.tar",
        [("0", np.zeros((32, 32, 3), np.uint8), {"class_id": 3, "prompt": "x"})],
    )
    with pytest.raises(ValueError, match="class 3, but the reference has 3 classes"):
        reference.pretrained(released, CPU).judge(stream.open_images([tmp_path / "00000.tar"]))


def test_a_classifier_reads_the_centre_of_an_image_and_no_padding():
    model = classifier.build(
        Architecture(label="", patch_size=4, width=8, depth=1, heads=2, pool="avg"),
        image_size=8,
        channels=1,
        classes=2,
    )
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


def test_a_released_reference_is_fetched_from_the_hub(of_ten, tmp_path):
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
        made = [*arguments, "--record", tmp_path / "record.csv", "--output", tmp_path / "reference"]
        subprocess.run(
            [sys.executable, "-m", "scripts.fetch_reference", *map(str, made)],
            check=True,
            env=environment,
        )
    assert set(hub.asked) == {"config.json", "model.safetensors"}
    assert reference.pretrained(tmp_path / "reference", CPU).model.num_classes == 10
    config = tmp_path / "reference/config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(ValueError, match="it changed since"):
        reference.pretrained(tmp_path / "reference", CPU)


def test_a_reference_of_more_classes_than_the_study_has_is_told_when_it_is_fetched(tmp_path):
    """Its answers would be taken for classes of the study that have the same number."""
    save_reference(tmp_path / "model", classes=1000)
    message = r"the model has 1000 outputs, expected 10 \(the classes of data/digits_classes\.csv\); name one that"
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


def test_a_changed_folder_is_not_fetched_in_silence(of_ten, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(of_ten, folder)
    path = study(tmp_path, f"{{model: {folder}}}")
    fetch(path, tmp_path)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(
        SystemExit, match=r"scores.reference: config.json: sha256 is .* expected .*record.csv"
    ):
        fetch(path, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        SystemExit, match=r"no model\.safetensors; name a model that timm has saved for the hub"
    ):
        fetch(path, tmp_path)


def test_settings_of_a_score_name_the_reference_and_a_run_fetches_none(tmp_path):
    other = load_study(study(tmp_path, f"{{model: owner/name, revision: {COMMIT}}}"))
    assert reference_run(other) is None
    assert score_settings(other, "masked_captions")["reference"] == {
        "model": "owner/name",
        "revision": COMMIT,
    }
    own = load_study(SMOKE)
    assert (
        score_settings(own, "masked_captions")["reference"]
        == reference_run(own).name
        == "vit_tiny-n40-seed0"
    )
    with pytest.raises(ValueError, match=r"scores\.reference is a run of the study"):
        reference_settings(own)


@pytest.mark.parametrize(
    ("reference", "told"),
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
def test_a_fault_is_told_with_its_key_value_and_mend(tmp_path, reference, told):
    with pytest.raises(StudyError) as error:
        load_study(study(tmp_path, reference))
    assert told in str(error.value)
