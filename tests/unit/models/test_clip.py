"""CLIP models agree with open_clip: tokens, features, logits and the authors' checkpoints."""

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from synscale.models import clip, released_clip
from tests.support import clip_evaluation
from tests.support.clip_runs import CPU, NAMES, TINY

WHOLE, SMALL = (clip.tokenizer(300, merges) for merges in (None, 200))
AUTHORS = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 128, "layers": 2, "head_width": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "layers": 1, "heads": 1},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A trained model."""
    folder = tmp_path_factory.mktemp("clip")
    clip_evaluation.train(folder)
    return clip.load(folder / "models/learned.safetensors", CPU)


def test_tokens_are_those_of_open_clip():
    texts = ["a photo of a three, thick", "Leaning LEFT & unverständlich"]
    tokens = clip.tokenizer(20)(texts)
    assert torch.equal(tokens, open_clip.tokenize(texts, 20))
    architecture = TINY.model_copy(update={"merges": None})
    assert clip.config(architecture, 8)["text_cfg"]["vocab_size"] == 49408


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=30))
def test_small_vocabulary_reads_every_text(text):
    tokens = SMALL([text])[0]
    assert SMALL.vocab_size == 512 + 200 + 2
    # The model takes its text feature at the largest token.
    assert tokens.max() == SMALL.eot_token_id == SMALL.vocab_size - 1
    assert SMALL.decode(SMALL.encode(text)) == WHOLE.decode(WHOLE.encode(text))


def test_images_are_prepared_as_in_training(model):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    prepare = open_clip.image_transform(8, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3)
    prepared = torch.stack([prepare(Image.fromarray(image)) for image in pixels])
    with torch.inference_mode():
        expected = model.model.encode_image(prepared, normalize=True)
    features = clip.image_features(model, torch.from_numpy(pixels[:, None]))
    assert torch.allclose(features, expected, atol=1e-5)


def test_heads_are_those_of_open_clip(model):
    templates = ["{}", "a {} one", "the {}"]
    expected = open_clip.build_zero_shot_classifier(model.model, model.tokenize, NAMES, templates)
    named = [template.replace("{}", "{name}") for template in templates]
    heads = clip.heads(model, NAMES, named, batch_size=4)
    assert torch.allclose(heads, expected.T, atol=1e-5)


def test_logits_are_cosines_times_the_learned_scale(model):
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    heads = clip.heads(model, NAMES, ["{name}"])
    logits = clip.logits(model, clip.image_features(model, images), heads)
    with torch.inference_mode():
        inputs = clip.inputs(model, images)
        expected, _ = model.model.get_logits(inputs, model.tokenize(NAMES))
    assert torch.allclose(logits, expected, atol=1e-4)
    assert 1 < model.scale < 100


def test_imagenet_templates_are_those_of_open_clip():
    texts = clip.templates("openai_imagenet")
    assert len(texts) == len(set(texts)) == 80
    expected = [template("tench") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
    assert [text.format(name="tench") for text in texts] == expected
    assert clip.templates(["a {name}"]) == ["a {name}"]


def test_authors_checkpoint_has_the_logits_of_open_clip(tmp_path):
    """Its layout is a state dict of open_clip, which the authors' evaluation code loads."""
    torch.manual_seed(0)
    expected_model = open_clip.model.CLIP(**AUTHORS).eval()
    state = {f"module.{name}": weight for name, weight in expected_model.state_dict().items()}
    torch.save(state, tmp_path / "state.pt")
    weights = released_clip.from_released(torch.load(tmp_path / "state.pt", weights_only=True))
    clip.save(tmp_path / "ours.safetensors", *weights)
    model = clip.load(tmp_path / "ours.safetensors", CPU)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    statistics = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    prepare = open_clip.image_transform(32, is_train=False, **statistics)
    tokens = open_clip.tokenize(["a photo of a tench."], 16)
    with torch.inference_mode():
        expected, _ = expected_model.get_logits(prepare(Image.fromarray(image))[None], tokens)
    assert torch.equal(model.tokenize(["a photo of a tench."]), tokens)
    features = clip.image_features(model, torch.from_numpy(image.transpose(2, 0, 1))[None])
    heads = clip.heads(model, ["tench"], ["a photo of a {name}."])
    assert torch.allclose(clip.logits(model, features, heads), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("missing", "added", "message"),
    [
        ("visual.conv1.weight", {}, "no weight 'visual.conv1.weight' in it: not a CLIP model"),
        (
            "ln_final.bias",
            {},
            "1 weights are not those of a CLIP model with 49408 tokens, the first: ln_final.bias",
        ),
        (None, {"head": torch.zeros(1)}, "the first: head"),
        (None, {"visual.proj": torch.zeros(3, 3)}, "the first: visual.proj"),
    ],
)
def test_other_layouts_are_refused(missing, added, message):
    state = dict(open_clip.model.CLIP(**AUTHORS).state_dict()) | added
    state.pop(missing, None)
    with pytest.raises(ValueError, match=message):
        released_clip.from_released(state)
