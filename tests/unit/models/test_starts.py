"""Released weights of timm as a start: pixels, channels, image sizes and shapes."""

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed

from synscale.models import classifier, starts
from synscale.models.checksums import WeightsError
from synscale.study.models.classifiers import Architecture
from tests.support.tiny_models import VIT

NAME = "vit_base_patch16_224"
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
SHAPE = {"patch_size": 8, "width": 16, "depth": 2, "heads": 2, "pool": "token"}
ARCHITECTURE = Architecture(label="", **SHAPE)


def save(folder, name=NAME, **arguments) -> torch.nn.Module:
    """Save a model with random weights as timm does for the hub; return it."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **arguments).eval()
    for weights in model.parameters():
        weights.data += 0.1 * torch.randn_like(weights)
    size = model.patch_embed.img_size if hasattr(model, "patch_embed") else (64, 64)
    config = {"input_size": [3, *size], "mean": MEAN, "std": STD, "num_classes": 5}
    timm.models.save_for_hf(
        model,
        folder,
        model_config={"pretrained_cfg": model.pretrained_cfg | config, "model_args": arguments},
        safe_serialization=True,
    )
    return model


def started(folder, image_size=24, channels=3, architecture=ARCHITECTURE):
    """Return a classifier of ten classes that starts from the weights of a folder."""
    start = starts.of_pretrained(folder, architecture, channels)
    sizes = {"image_size": image_size, "channels": channels, "classes": 10}
    model = classifier.build(architecture, **sizes, timm_model=start.timm_model)
    start.load_into(model)
    return model.eval()


def features(model, images):
    return model.forward_head(model.forward_features(images), pre_logits=True)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"pre_norm": True}, {"reg_tokens": 2, "no_embed_class": True, "init_values": 1}],
)
@torch.inference_mode()
def test_started_model_computes_the_features_of_timm(tmp_path, arguments):
    """Without a bias of the patches (pre_norm), the constant is in the position embedding."""
    model = save(tmp_path, **VIT | arguments)
    pixels = torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8)
    mean, std = (torch.tensor(value).view(-1, 1, 1) for value in (MEAN, STD))
    expected = features(model, (pixels / 255 - mean) / std)
    result = features(started(tmp_path), classifier.normalise(pixels))
    assert expected.std() > 0.1
    assert torch.allclose(result, expected, atol=2e-5)


@torch.inference_mode()
def test_grey_images_count_as_three_equal_channels(tmp_path):
    save(tmp_path, **VIT)
    pixels = classifier.normalise(torch.randint(0, 256, (4, 1, 24, 24), dtype=torch.uint8))
    colour = features(started(tmp_path), pixels.expand(-1, 3, -1, -1))
    assert torch.allclose(features(started(tmp_path, channels=1), pixels), colour, atol=2e-5)


def test_position_embedding_is_resampled_for_another_size(tmp_path):
    saved = save(tmp_path, **VIT).pos_embed
    expected = resample_abs_pos_embed(saved, (4, 4), num_prefix_tokens=1)
    assert torch.equal(started(tmp_path, image_size=32).pos_embed, expected)


def test_head_keeps_the_weights_of_its_seed(tmp_path):
    save(tmp_path, **VIT)
    start = starts.of_pretrained(tmp_path, ARCHITECTURE, 3)
    torch.manual_seed(3)
    model = classifier.build(ARCHITECTURE, 24, 3, 10, timm_model=start.timm_model)
    head = model.head.weight.clone()
    start.load_into(model)
    assert torch.equal(model.head.weight, head)


@torch.inference_mode()
def test_file_is_sufficient_to_load_a_started_model(tmp_path):
    save(tmp_path, **VIT | {"init_values": 1})
    model = started(tmp_path)
    timm_model = starts.of_pretrained(tmp_path, ARCHITECTURE, 3).timm_model
    build = {"architecture": ARCHITECTURE, "image_size": 24, "channels": 3, "classes": 10}
    path = tmp_path / "x.safetensors"
    classifier.save(path, model, {"build": build | {"timm_model": timm_model}})
    images = torch.rand(2, 3, 24, 24)
    assert torch.equal(classifier.load(path, torch.device("cpu"))(images), model(images))
    again = starts.of_run(path)
    assert again.timm_model == timm_model and "head.weight" not in again.weights


@pytest.mark.parametrize(
    ("name", "arguments", "changes", "channels", "message"),
    [
        (NAME, VIT, {"width": 8}, 3, "width = 8, but the model has 16; correct the key"),
        (
            "vit_base_patch16_224",
            VIT,
            {"pool": "avg"},
            3,
            "pool = 'avg', but the model has 'token'",
        ),
        (NAME, VIT, {}, 4, "model of 3 channels, expected 1 or the 4 of the study; name another"),
        (
            "test_resnet",
            {},
            {},
            3,
            r"no VisionTransformer of timm \(ResNet\); name one with a lear",
        ),
    ],
)
def test_model_of_another_kind_or_shape_is_refused(
    tmp_path, name, arguments, changes, channels, message
):
    save(tmp_path, name, **arguments)
    with pytest.raises(WeightsError, match=message):
        starts.of_pretrained(tmp_path, ARCHITECTURE.model_copy(update=changes), channels)
