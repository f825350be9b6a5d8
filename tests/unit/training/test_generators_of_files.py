"""Generators that are trained on data sets in files: texts, streaming, sampling in range."""

from dataclasses import replace

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch

from synscale.data import shards
from synscale.models import pipelines, small_generators
from synscale.study.load import load_study
from synscale.training import generator_loop, stream
from synscale.training.generator_texts import ImageTexts, file_captions
from synscale.workflow.settings.generation import TrainedSampling, generator_settings
from tests.support.interrupted import Killed
from tests.support.workflow import SMOKE

CPU = deterministic(1)
CLASSES = pd.DataFrame(
    {"name": ["cat", "dog"], "description": ["a pet", "a hound"], "hypernyms": ["animal", ""]}
)


def settings_of(generator: str, **changes):
    settings = generator_settings(load_study(SMOKE), generator)
    training = settings.generator.training.model_copy(update={"iterations": 6, "batch_size": 4})
    row = settings.generator.model_copy(update={"training": training, **changes})
    return replace(settings, generator=row, images=10, image_size=16)


@pytest.fixture
def tars(tmp_path):
    """Two shards of six RGB images of 16 pixels, of which a generator takes ten."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{shard:05d}.tar" for shard in range(2)]
    for shard, path in enumerate(paths):
        rows = [
            (
                f"{image:09d}",
                random.integers(0, 256, (16, 16, 3), np.uint8),
                {"image": image, "class_id": image % 2, "prompt": "", "caption": ""},
            )
            for image in range(6 * shard, 6 * shard + 6)
        ]
        shards.write(path, rows)
    return list(map(str, paths))


def train(tars, folder, in_memory: bool) -> dict[str, torch.Tensor]:
    images = stream.open_images(tars, None, 10)
    if in_memory:
        (images,) = stream.load_into_memory([images])
    captions = ImageTexts.of([["a cat"], ["a dog"]] * 5)
    settings = replace(settings_of("diffusion"), channels=3)
    pipeline = generator_loop.train(settings, images, captions, str(folder), "same", CPU)
    return pipeline.unet.state_dict()


def test_streamed_training_equals_the_one_in_memory(tars, tmp_path):
    first = train(tars, tmp_path / "a", True)
    second = train(tars, tmp_path / "b", False)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_killed_training_on_files_resumes_identical(tars, tmp_path, kill_after):
    undisturbed = train(tars, tmp_path / "a", False)
    kill_after(4)
    with pytest.raises(Killed):
        train(tars, tmp_path / "b", False)
    resumed = train(tars, tmp_path / "b", False)
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_texts_of_classes_have_each_form_that_the_table_allows():
    manifest = pd.DataFrame({"class_id": [0, 1], "caption": ["", "asleep"]})
    cat, dog = file_captions(manifest, CLASSES, ("my {name}",), 0)
    assert len(cat) == len(dog) == 6
    assert cat[:3] == ["cat"] * 3 and {"cat, a pet", "my cat"} < set(cat)
    assert dog[:2] == ["asleep", "dog, asleep"]
    assert not any("animal" in text for text in cat)  # the other class has no hypernym


def test_text_of_a_pair_is_its_caption():
    manifest = pd.DataFrame({"class_id": [-1, -1], "caption": ["a red boat", "two men"]})
    assert list(file_captions(manifest, CLASSES, (), 0)) == [["a red boat"], ["two men"]]


def test_rare_words_are_split_into_letters(monkeypatch):
    monkeypatch.setattr(small_generators, "MOST_WORDS", 1)
    tokenizer = small_generators.build_tokenizer(["boat", "boat", "ship"])
    assert tokenizer.tokenize("boat") == ["boat</w>"]
    assert tokenizer.tokenize("ship") == ["s", "h", "i", "p</w>"]


def test_grey_levels_of_a_generator_are_its_own():
    settings = settings_of("masked", levels=5)
    pipeline = small_generators.build(settings, small_generators.build_tokenizer(["cat"]))
    images = torch.linspace(-1, 1, 16 * 16).reshape(1, 1, 16, 16)
    tokens = pipeline.vqvae.encode(images)
    assert tokens.unique().tolist() == [0, 1, 2, 3, 4]
    loss = generator_loop.masked_token_loss(
        pipeline,
        images,
        (pipeline.tokenizer("cat", padding="max_length", return_tensors="pt").input_ids, [0]),
        torch.Generator().manual_seed(0),
    )
    assert loss.isfinite()


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
@pytest.mark.parametrize("channels", [1, 3])
def test_threshold_keeps_predictions_in_range(tmp_path, sampler, channels):
    settings = replace(settings_of("diffusion"), channels=channels)
    torch.manual_seed(0)
    pipeline = small_generators.build(settings, small_generators.build_tokenizer(["cat"]))
    with torch.no_grad():  # a model that diverges
        pipeline.unet.conv_out.weight.mul_(100)
    pipeline.save_pretrained(tmp_path)
    largest = {}
    for threshold in (False, True):
        sampling = TrainedSampling(kind="diffusion", sampler=sampler, steps=8, threshold=threshold)
        loaded = pipelines.load(str(tmp_path), sampling, CPU)
        images = pipelines.sample(loaded, ["cat", "cat"], [1, 2], 2.0, sampling)
        assert images.shape == ((2, 16, 16) if channels == 1 else (2, 16, 16, 3))
        generator = [torch.Generator().manual_seed(1)]
        latents = loaded("cat", num_inference_steps=8, output_type="latent", generator=generator)
        largest[threshold] = float(latents.images.abs().max())
    assert largest[True] <= 1.001 < largest[False]
