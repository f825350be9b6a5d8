"""Data sets in files, through the rules: from where they lie to shards."""

import os

import pandas as pd
import pytest

from synscale.data import shards
from tests.support import fake_datasets as fake
from tests.support.workflow import ROOT, Workflow

BLOCKS = {"things": 2, "web": 1, "things_val": 1, "shapes": 1}
TARS = [
    f"results/files/data/{split}/{shard:05d}.tar"
    for split, count in BLOCKS.items()
    for shard in range(count)
]
VAL = "    things_val: {dataset: things_val}\n"
HELD_OUT = "    rest: {kind: held_out, of: things, fraction: 0.2, seed: 1}\n"
SHIFTED = (
    "    blurred: {kind: blurred, of: things_val, sigma: 1.0}\n"
    "    hard: {kind: adversarial, of: things_val, trained_on: things, images: 10}\n"
)
REMOTE = [
    "--mode",
    "remote",
    "--executor",
    "local",
    "--cores",
    "1",
    "--force",
    "--no-hooks",
    "--nolock",
]  # as in a job of a scheduler


def create(folder) -> Workflow:
    workflow = Workflow.create(folder)
    workflow.study.unlink()
    (workflow.folder / "studies/files.yaml").write_text(
        (ROOT / "tests/workflow/files.yaml").read_text()
    )
    workflow.paths = fake.of_files_study(workflow.folder)
    lines = [f"  {name}: {str(path)!r}" for name, path in workflow.paths.items()]
    (workflow.folder / "config.yaml").write_text(
        "\n".join(["study: files", "hardware: laptop", "paths:", *lines]) + "\n"
    )
    return workflow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The study of files with all its shards. Read-only; tests change `copied`."""
    workflow = create(tmp_path_factory.mktemp("data") / "workflow")
    workflow.output = workflow.run(*TARS)
    return workflow


@pytest.fixture
def copied(prepared, tmp_path) -> Workflow:
    copy = prepared.copy(tmp_path / "workflow")
    config = (copy.folder / "config.yaml").read_text()
    config = config.replace(str(prepared.folder), str(copy.folder))
    (copy.folder / "config.yaml").write_text(config)
    return copy


def test_every_shard_has_its_images(prepared):
    manifests = {}
    for split, count in BLOCKS.items():
        read = [
            shards.read(prepared.folder / f"results/files/data/{split}/{shard:05d}.tar")
            for shard in range(count)
        ]
        assert all(images.shape[1:] == (3, 32, 32) for images, _ in read)
        manifests[split] = pd.concat([manifest for _, manifest in read])
        assert manifests[split]["image"].tolist() == list(range(len(manifests[split])))
    assert manifests["things"]["class_id"].tolist() == [0, 1, 2] * 3 + [0]
    assert len(manifests["web"]) == 6 and (manifests["web"]["class_id"] == -1).all()
    assert any("猫と犬" in text for text in manifests["web"]["prompt"])
    assert manifests["things_val"]["class_id"].tolist() == [0, 1, 2, 2, 1]
    assert manifests["shapes"]["class_name"].tolist() == ["square", "round", "square"]
    folder = prepared.folder / "results/files/data"
    assert (folder / "things_val/00000.tar").read_bytes().count(b"\x89PNG") == 5
    log = (prepared.folder / "logs/files/index_data/web.log").read_text()
    assert "3 addresses without an image" in log and "12 images in the index" in log


def test_data_may_be_moved_without_reruns(copied):
    (copied.folder / "sets").rename(copied.folder / "moved")
    config = (copied.folder / "config.yaml").read_text()
    (copied.folder / "config.yaml").write_text(config.replace("/sets/", "/moved/"))
    assert copied.planned(*TARS) == {}


def test_path_of_the_command_line_reaches_a_remote_job(copied):
    """Such a job is another snakemake process, which gets the same --config."""
    (copied.folder / "sets/things").rename(copied.folder / "elsewhere")
    target = "results/files/data/things/00001.tar"
    (copied.folder / target).unlink()
    output = copied.run(target, check=False)
    assert "no such folder" in output and "config.yaml's paths.things_train" in output
    copied.run(target, *REMOTE, "--config", "paths={things_train: elsewhere}")
    assert len(shards.read(copied.folder / target)[1]) == 4  # images 6 to 9


def test_wrong_data_set_is_reported_before_any_job(tmp_path):
    workflow = create(tmp_path / "workflow")
    (workflow.folder / "sets/things/n00000003").rename(workflow.folder / "sets/things/n0000003")
    workflow.edit("'sets/val'", "'sets/vall'", "config.yaml")
    planned = workflow.planned(*TARS)
    assert planned == {"index_data": 4, "prepare_data": 5}
    output = workflow.run(*TARS, check=False)
    for part in (
        "did you mean n00000003?",
        "found: class folders, 2 classes, 8 images",
        "no such folder",
        "environment DATA_THINGS_VAL",
    ):
        assert part in output, part
    assert "Traceback" not in output
    assert not (workflow.folder / "results").exists()


def test_broken_image_stops_only_its_shard(copied):
    index = pd.read_parquet(copied.folder / "results/files/data/things/index.parquet")
    image = copied.folder / "sets/things" / index["origin"][8]
    target = copied.folder / "results/files/data/things/00001.tar"
    image.write_bytes(image.read_bytes()[:300])
    target.unlink()
    output = copied.run(*TARS, check=False)
    assert "1 images cannot be read" in output and image.name in output
    assert "data.training.things.skip" in output
    assert not target.exists()
    assert not [name for name in os.listdir(target.parent) if "part" in name]


def test_shifted_sets_follow_the_set_of_their_images(copied):
    """Adding them repeats no job; a parameter changes only its set."""
    copied.edit(VAL, VAL + SHIFTED, "studies/files.yaml")
    assert copied.planned(*TARS) == {}
    blurred, hard = (f"results/files/data/{name}/00000.tar" for name in ("blurred", "hard"))
    copied.run(blurred, hard)
    images, rows = shards.read(copied.folder / blurred)
    assert len(images) == 5 and rows["class_id"].tolist() == [0, 1, 2, 2, 1]
    assert 0 < len(shards.read(copied.folder / hard)[1]) < 5
    assert copied.planned(*TARS, blurred, hard) == {}
    copied.edit("sigma: 1.0", "sigma: 2.0", "studies/files.yaml")
    assert copied.planned(*TARS, blurred, hard) == {"prepare_data": 1}
    (copied.folder / "results/files/data/things_val/00000.tar").unlink()
    assert copied.planned(blurred, hard) == {"prepare_data": 3}


def test_shifted_set_is_planned_with_the_set_of_its_images(tmp_path):
    workflow = create(tmp_path / "workflow")
    workflow.edit(VAL, VAL + SHIFTED, "studies/files.yaml")
    folder = "results/files/data"
    planned = workflow.planned(f"{folder}/blurred/00000.tar")
    assert planned == {"index_data": 1, "prepare_data": 2}
    planned = workflow.planned(f"{folder}/hard/00000.tar")
    assert planned == {"index_data": 2, "prepare_data": 4}
    refused = workflow.dry_run(f"{folder}/blurred/index.parquet", check=False)
    assert "no data set in files 'blurred'" in refused


def test_rules_prepare_disjoint_parts(tmp_path):
    workflow = create(tmp_path / "workflow")
    workflow.edit(VAL, VAL + HELD_OUT, "studies/files.yaml")
    for old, new in (
        ("images: 10}", "images: 9}"),
        ("sizes: [3, 6, 10]", "sizes: [3, 6, 9]"),
        ("6: 2, 10: 2}", "6: 2, 9: 2}"),
        ("sizes: [3, 10]", "sizes: [3, 9]"),
    ):
        workflow.edit(old, new, "studies/files.yaml")
    folder = workflow.folder / "results/files/data"
    tars = [folder / f"things/{shard:05d}.tar" for shard in range(2)]
    targets = [*map(str, tars), str(folder / "rest/00000.tar")]
    workflow.run(*[target.removeprefix(f"{workflow.folder}/") for target in targets])
    trained = pd.concat([shards.read(tar)[1] for tar in tars])
    held_out = shards.read(folder / "rest/00000.tar")[1]
    assert held_out["class_id"].tolist() == [0, 1, 2]
    assert len(trained) == 9 and not set(trained["sha256"]) & set(held_out["sha256"])
    assert not set(trained["origin"]) & set(held_out["origin"])
