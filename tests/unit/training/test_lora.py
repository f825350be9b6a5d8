"""Fine-tuning by LoRA: it learns, resumes bit for bit, and its file gives the tuned images."""

from dataclasses import replace

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pytest
import torch

from synscale.models import pipelines, small_generators
from synscale.models.checksums import WeightsError
from synscale.study.load import load_study
from synscale.study.models.generators import LORA_FILE, LoraTraining
from synscale.training import lora_loop
from synscale.training.generator_texts import ImageTexts
from synscale.training.image_sets import InMemoryImages
from synscale.workflow.settings.finetuning import FinetuningSettings
from synscale.workflow.settings.generation import TrainedSampling, generator_settings
from tests.support import tiny_pipelines
from tests.support.interrupted import Killed
from tests.support.workflow import SMOKE

CPU = deterministic(1)
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2"]
SAMPLING = TrainedSampling(kind="diffusion", sampler="ddim", steps=4)


def settings_of(**changes) -> FinetuningSettings:
    recipe = {"rank": 4, "layers": LAYERS, "iterations": 6, "batch_size": 4, "learning_rate": 1e-2}
    weights = generator_settings(load_study(SMOKE), "diffusion")
    lora = LoraTraining(**recipe | changes)
    return FinetuningSettings("diffusion", weights, "real", 8, lora, 8, 1, ())


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    """A folder of an untrained generator of digits."""
    torch.manual_seed(0)
    settings = generator_settings(load_study(SMOKE), "diffusion")
    folder = tmp_path_factory.mktemp("base") / "pipeline"
    tokenizer = small_generators.build_tokenizer(["cat", "dog"])
    small_generators.build(settings, tokenizer).save_pretrained(folder)
    return str(folder)


def white_images() -> tuple[InMemoryImages, ImageTexts]:
    pixels = torch.full((8, 1, 8, 8), 255, dtype=torch.uint8)
    images = InMemoryImages([8], pixels, torch.zeros(8, dtype=torch.int64))
    return images, ImageTexts.of([["cat"], ["dog"]] * 4)


def train(base: str, settings: FinetuningSettings, folder) -> lora_loop.StableDiffusionPipeline:
    pipeline = lora_loop.load_base(base, None, CPU)
    lora_loop.train(pipeline, settings, *white_images(), str(folder), "same")
    return pipeline


def updates(pipeline) -> dict[str, torch.Tensor]:
    weights = pipeline.unet.state_dict()
    return {name: weight for name, weight in weights.items() if "lora" in name}


def test_killed_finetuning_resumes_identical(base, tmp_path, kill_after):
    undisturbed = updates(train(base, settings_of(), tmp_path / "a"))
    kill_after(3)
    with pytest.raises(Killed):
        train(base, settings_of(), tmp_path / "b")
    resumed = updates(train(base, settings_of(), tmp_path / "b"))
    assert len(undisturbed) > 10
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_finetuning_changes_only_lora_weights(base, tmp_path):
    before = lora_loop.load_base(base, None, CPU).unet.state_dict()
    pipeline = train(base, settings_of(), tmp_path)
    for name, weight in pipeline.unet.state_dict().items():
        if "lora" not in name:
            assert torch.equal(weight, before[name.replace(".base_layer", "")])


@pytest.mark.parametrize("alpha", [None, 2])
def test_saved_weights_generate_the_tuned_images(base, tmp_path, alpha):
    """Base and file together are the model in memory, whatever the factor alpha / rank."""
    tuned = train(base, settings_of(iterations=60, alpha=alpha), tmp_path / "state")
    lora_loop._save(tuned, tmp_path / "lora")
    loaded = pipelines.load(base, SAMPLING, CPU, tuned=str(tmp_path / "lora"))
    plain = pipelines.load(base, SAMPLING, CPU)
    tuned.scheduler = loaded.scheduler
    tuned.set_progress_bar_config(disable=True)
    tuned.unet.eval()
    images = [
        pipelines.sample(each, ["cat", "dog"], [1, 2], 1.5, SAMPLING).astype(int)
        for each in (tuned, loaded, plain)
    ]
    assert np.abs(images[0] - images[1]).max() <= 1
    assert np.abs(images[0] - images[2]).max() > 20
    # All images of the training are white.
    assert images[1].mean() > images[2].mean()


def test_every_layer_gets_its_saved_update(base, tmp_path):
    """The weights of a loaded layer are W + alpha / rank * B A, of attention and convolutions."""
    tuned = train(base, settings_of(iterations=20, alpha=2), tmp_path / "state")
    lora_loop._save(tuned, tmp_path / "lora")
    loaded = pipelines.load(base, SAMPLING, CPU, tuned=str(tmp_path / "lora")).unet.state_dict()
    layers = [name for name, part in tuned.unet.named_modules() if hasattr(part, "lora_A")]
    assert any(name.endswith("to_v") for name in layers)
    assert any(name.endswith("conv1") for name in layers)
    for name in layers:
        layer = tuned.unet.get_submodule(name)
        update = layer.get_delta_weight("default").detach()
        expected = layer.base_layer.weight.detach() + update
        assert update.abs().max() > 0
        assert torch.allclose(loaded[f"{name}.weight"], expected, atol=1e-6), name


def test_saved_weights_have_the_same_bytes(base, tmp_path):
    for name in ("a", "b"):
        lora_loop._save(train(base, settings_of(), tmp_path / f"state_{name}"), tmp_path / name)
    first, second = ((tmp_path / name / LORA_FILE).read_bytes() for name in ("a", "b"))
    assert first == second


def test_released_pipeline_is_finetuned(tmp_path):
    """Its autoencoder has latents, and its images are larger and have colours."""
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    settings = replace(settings_of(layers=["to_q", "to_v"]), size=16)
    pipeline = train(str(tmp_path / "model"), settings, tmp_path / "state")
    assert all(weight.isfinite().all() for weight in updates(pipeline).values())
    assert any(weight.abs().sum() > 0 for name, weight in updates(pipeline).items() if "_B" in name)


def test_unknown_layers_are_refused(base, tmp_path):
    with pytest.raises(WeightsError, match=r"lora.layers = \['conv_9'\]: .*name layers of the"):
        train(base, settings_of(layers=["conv_9"]), tmp_path)


def test_pipeline_of_another_class_is_refused(tmp_path):
    tiny_pipelines.save("stable_diffusion_xl", tmp_path / "model")
    with pytest.raises(WeightsError, match=r"not supported .StableDiffusionXLPipeline, expected"):
        lora_loop.load_base(str(tmp_path / "model"), None, CPU)
