"""A study with a pretrained generator, from its weights to image shards, through the rules."""

import json
import tarfile

import pandas as pd
import pytest

from synscale.data import shards
from tests.support import tiny_pipelines

# Quotes, a line break, letters of other scripts, a command of a shell.
PATTERN = "a \"{name}\"\n\\ in 'quotes' — цифра 数字 ,$(touch x)"
TARGET = "results/smoke/images/released_images/00000.tar"
FLAGS = "results/smoke/flags/released_images/00000.parquet"


@pytest.fixture
def released(workflow):
    """The smoke study with one more generator and source; images are stored as jpeg."""
    tiny_pipelines.save("stable_diffusion_with_checker", workflow.folder / "model")
    keys = "kind: pretrained, model: ./model, size: 16, sampler: ddim, steps: 2, batch_size: 8"
    workflow.edit("recipes:\n", f"  released: {{{keys}}}\nrecipes:\n")
    recipe = f"  odd:\n    kind: sentences\n    patterns: [{json.dumps(PATTERN)}]\n"
    workflow.edit("  captions:", f"{recipe}  captions:")
    keys = "kind: synthetic, generator: released, recipe: odd, images: {2.0: 20}"
    workflow.edit("  real_10:", f"  released_images: {{{keys}}}\n  real_10:")
    workflow.edit("generators:\n", "safety_checker: {model: ./model}\ngenerators:\n")
    workflow.edit("data:\n", "storage: {format: jpeg, quality: 95}\ndata:\n")
    return workflow


@pytest.mark.slow
def test_from_weights_to_images_and_their_flags(released):
    assert released.planned(TARGET) == {"write_prompts": 1, "fetch_generator": 1, "generate": 1}
    released.run(TARGET)
    images, manifest = shards.read(released.folder / TARGET)
    # Generated at 16 pixels in colour, stored as the images of the study.
    assert images.shape == (20, 1, 8, 8)
    names = pd.read_csv(released.folder / "data/digits_classes.csv")["name"]
    prompts = [PATTERN.format(name=names[c]) for c in manifest["class_id"]]
    assert manifest["prompt"].tolist() == prompts
    with tarfile.open(released.folder / TARGET) as tar:
        key = manifest["key"].iloc[3]
        assert tar.extractfile(f"{key}.txt").read().decode() == manifest["prompt"].iloc[3]
        assert f"{key}.jpg" in tar.getnames()
    assert set(manifest["generator"]) == {"released"} and set(manifest["sampler"]) == {"ddim"}
    assert set(manifest["attempt"]) == {0}
    assert released.planned(TARGET) == {}
    assert not list(released.folder.rglob("*.part*"))
    assert not (released.folder / "results/smoke/models/released/safety_checker").exists()

    # Only on request.
    assert not {"flag_images", "fetch_safety_checker"} & released.planned().keys()
    assert released.planned(FLAGS) == {"fetch_safety_checker": 1, "flag_images": 1}
    before = (released.folder / TARGET).read_bytes()
    released.run(FLAGS)
    table = pd.read_parquet(released.folder / FLAGS)
    assert list(table) == ["key", "nsfw", "concept_score"]
    assert table["key"].tolist() == manifest["key"].tolist()
    assert (table["nsfw"] == (table["concept_score"] > 0)).all()
    assert (released.folder / TARGET).read_bytes() == before
    paths = (released.folder / "results/smoke/safety_checker").iterdir()
    names = {path.name for path in paths if path.name[0] != "."}
    assert names == {"model_index.json", "sources.csv", "safety_checker", "feature_extractor"}


def test_damaged_weights_stop_before_any_image(released):
    file = released.folder / "model/unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    output = released.run(TARGET, check=False)
    assert "a file cut short or damaged" in output
    assert "logs/smoke/fetch_generator/released.log" in output
    assert not (released.folder / TARGET).exists()
