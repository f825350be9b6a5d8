"""Classes that a model_index.json names, checked before any weights are downloaded."""

import json
import re
from importlib.metadata import version

import diffusers
import huggingface_hub
import pytest
import torch

from synscale.models import checksums, download, pipeline_classes, pipelines
from synscale.workflow.settings.generation import HubWeights
from tests.support import tiny_newer, tiny_pipelines, tiny_variants
from tests.support.fake_hub import COMMIT, MODEL
from tests.support.workflow import ROOT

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.99.0",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "safety_checker": ["stable_diffusion", "RemovedChecker"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "image_encoder": [None, None],
}
INSTALLED = f"diffusers {version('diffusers')} is installed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"_class_name": "FutureDiffusionPipeline"},
            f"_class_name: unknown class FutureDiffusionPipeline ({INSTALLED}, the model was saved "
            "by diffusers 0.99.0); install a version that has the class, or name another model",
        ),
        ({"_class_name": ["pipeline", "MyPipeline"]}, "code of a model is never run"),
        (
            {"unet": ["diffusers", "FutureUNet"]},
            f"unet: unknown class diffusers.FutureUNet ({INSTALLED}",
        ),
        (
            {"text_encoder": ["transformers", "FutureModel"]},
            "text_encoder: unknown class transformers.FutureModel "
            f"(transformers {version('transformers')} is installed",
        ),
        ({"unet": ["my_unet", "MyUNet"]}, f"unet: unknown class my_unet.MyUNet ({INSTALLED}"),
        ({"unet": ["os", "system"]}, "unet: unknown class os.system"),
        ({"unet": ["subprocess", "Popen"]}, "unet: unknown class subprocess.Popen"),
        ({"_class_name": "WanPipeline"}, "a WanPipeline does not generate images from texts only"),
        ({"_class_name": "StableCascadeCombinedPipeline"}, "takes no guidance_scale; name a text"),
        ({"_class_name": "OnnxStableDiffusionPipeline"}, "needs packages that are not installed"),
    ],
)
def test_class_that_cannot_be_loaded_is_refused(changes, message):
    with pytest.raises(checksums.WeightsError, match=re.escape(f"{message}")) as error:
        pipeline_classes.check("owner/name", INDEX | changes, "generator")
    assert str(error.value).startswith("owner/name: model_index.json: ")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_layers": [10, 20, 30], "pair": [9, 18], "names": ["a", "b", "c"], "none": []},
        {"feature_extractor": ["transformers", "CLIPFeatureExtractor"]},  # diffusers issue 12492
        {"tokenizer": ["transformers", "CLIPTokenizerFast"]},
        {"_class_name": "QwenImage21Pipeline"},  # its only scale is true_cfg_scale
    ],
)
def test_index_that_can_be_loaded_is_accepted(changes):
    pipeline_classes.check("owner/name", INDEX | changes, "generator")


def test_lists_of_settings_are_not_components(tmp_path):
    tiny_pipelines.save("stable_diffusion", tmp_path)
    index = checksums.index_of(tmp_path) | {"layers": [1, 2, 3], "pair": [9, 18], "empty": []}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    files = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()]
    assert not {"layers", "pair", "empty"} & checksums.components(index).keys()
    assert set(checksums.pipeline_files(files, index, None)) == set(files)
    assert pipelines.load(str(tmp_path), tiny_pipelines.sampling(), "cpu")


def test_no_weights_are_downloaded_of_an_unknown_class(tmp_path, monkeypatch):
    files = ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"]

    def get_index(model, name, revision, local_dir):
        assert name == "model_index.json"
        (local_dir / name).write_text(json.dumps(INDEX | {"unet": ["diffusers", "FutureUNet"]}))

    hub = huggingface_hub.HfApi
    monkeypatch.setattr(hub, "list_repo_files", lambda *_, **__: files)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", get_index)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: 1 / 0)
    with pytest.raises(checksums.WeightsError, match=r"unet: unknown class diffusers\.FutureUNet"):
        download.get(HubWeights(MODEL, COMMIT, "generator"), tmp_path)


def text_to_image_classes() -> dict[str, type]:
    """Return every text-to-image class that the installed diffusers exports."""
    classes = {name: getattr(diffusers, name) for name in dir(diffusers) if "Pipeline" in name}
    return {
        name: kind
        for name, kind in classes.items()
        if isinstance(kind, type)
        and issubclass(kind, diffusers.DiffusionPipeline)
        and "__call__" in dir(kind)
        and pipeline_classes.is_text_to_image(kind)
    }


def test_docs_list_every_text_to_image_class():
    """A new version of diffusers with a new class fails here."""
    builders = tiny_pipelines.BUILDERS | tiny_newer.BUILDERS | tiny_variants.BUILDERS
    tested = {builder.__annotations__["return"].__name__ for builder in builders.values()}
    states = {}
    for name, kind in text_to_image_classes().items():
        state = "refused" if pipeline_classes.unusable(kind) else "not tested"
        states[name] = "tested" if name in tested else state
    text = (ROOT / "docs/guides/add_a_generator.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (tested|not tested|refused)", text, re.MULTILINE))
    assert documented == states
    assert len(tested) >= 20


def test_variant_that_no_component_has_is_refused():
    """Full weights would be loaded in its place."""
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    model = "unet/diffusion_pytorch_model"
    files = ["unet/config.json", f"{model}.safetensors", f"{model}.fp16.safetensors"]
    assert f"{model}.fp16.safetensors" in checksums.pipeline_files(files, index, "fp16")
    message = r"variant = 'fp8': no weights have it \(found: fp16\); remove the key or name one"
    with pytest.raises(checksums.WeightsError, match=message):
        checksums.pipeline_files(files, index, "fp8")


def test_variant_is_loaded_next_to_sharded_full_weights(tmp_path):
    """The files of diffusers issue 11182: the index of the full weights must not win."""
    pipeline = tiny_pipelines.stable_diffusion()
    pipeline.save_pretrained(tmp_path / "model", max_shard_size="20KB")
    pipeline.to(torch.bfloat16).save_pretrained(tmp_path / "model", variant="bf16")
    assert list((tmp_path / "model/unet").glob("*-of-*.safetensors"))
    weights = HubWeights(str(tmp_path / "model"), None, "generator", "bf16")
    files = download.link(weights, tmp_path / "linked")
    stored = [file for file in files if file.endswith(".safetensors")]
    assert stored and all("bf16" in file for file in stored)
    sampling = tiny_pipelines.sampling(variant="bf16", precision="bfloat16")
    assert pipelines.load(str(tmp_path / "linked"), sampling, "cpu").unet.dtype == torch.bfloat16
