"""Published LoRA weights of a pretrained generator: fetched, verified and loaded."""

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pytest
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from scripts import fetch_generator
from synscale.models import checksums, pipeline_files, pipelines
from synscale.study.models.generators import LoraWeights
from tests.support import tiny_pipelines
from tests.support.study_with import options, study_with
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import ROOT

CPU = deterministic(1)
FILE = "digits.safetensors"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def random_lora(folder, file: str = FILE):
    """Write random LoRA weights for the tiny Stable Diffusion, large enough to be seen."""
    pipeline = tiny_pipelines.stable_diffusion()
    torch.manual_seed(5)
    config = LoraConfig(r=2, target_modules=["to_k", "to_v"], init_lora_weights=False)
    pipeline.unet.add_adapter(config)
    weights = {name: 3 * value for name, value in get_peft_model_state_dict(pipeline.unet).items()}
    pipeline.save_lora_weights(folder, unet_lora_layers=weights, weight_name=file)


@pytest.fixture
def fetched(tmp_path):
    """A function that fetches a tiny Stable Diffusion with LoRA weights; returns its error."""
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    random_lora(tmp_path / "weights")
    output = tmp_path / "models/released"

    def fetch(file: str = FILE) -> str | None:
        row = f", lora: {{model: '{tmp_path / 'weights'}', file: {file}}}"
        files = {"known": tmp_path / "known.csv", "record": f"{output}.csv", "output": output}
        study = study_with(tmp_path, tmp_path / "model", row)
        try:
            fetch_generator.main(options(study=study, generator="released", **files))
        except SystemExit as stop:
            return str(stop)
        return None

    fetch.output = output
    return fetch


def images(folder, **keys) -> np.ndarray:
    sampling = tiny_pipelines.sampling(**keys)
    pipeline = pipelines.load(str(folder), sampling, CPU)
    return pipelines.sample(pipeline, PROMPTS[:2], [1, 2], 2.0, sampling).astype(int)


def row(scale: float = 1.0, file: str = FILE) -> LoraWeights:
    return LoraWeights(model="./weights", file=file, scale=scale)


def test_lora_weights_change_images_by_their_scale(fetched):
    assert fetched() is None
    plain = images(fetched.output)
    change = [np.abs(images(fetched.output, lora=row(scale)) - plain) for scale in (1e-6, 0.1, 1.0)]
    assert change[0].max() <= 1
    assert change[0].mean() < change[1].mean() < change[2].mean()


def test_changed_lora_weights_are_refused(fetched, tmp_path):
    fetched()
    save_file({"unet.x": torch.zeros(1)}, tmp_path / "weights" / FILE)
    with pytest.raises(checksums.WeightsError, match=f"lora/{FILE}: wrong sha256"):
        pipeline_files.revision(str(fetched.output))
    assert f"{FILE}: wrong sha256" in fetched()


def test_lora_file_of_another_model_is_refused(fetched, tmp_path):
    """Diffusers itself only warns of weights without a layer of the model."""
    save_file({"transformer.x.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "weights" / FILE)
    fetched()
    with pytest.raises(pipelines.SamplerError, match=rf"lora: {FILE} .*that were trained for this"):
        images(fetched.output, lora=row())
