"""Checkpoints in the layout of the authors' evaluation code: conversion and evaluation."""

import numpy as np
import pandas as pd
import pytest
import torch
from open_clip.model import CLIP
from torch.nn import functional

from scripts import convert_author_checkpoint, evaluate_author_checkpoint
from synscale.data import shards
from synscale.models import classifier, clip
from synscale.study.load import load_study
from synscale.study.models.clip import ClipArchitecture
from tests.support.author_checkpoint import (
    DEPTH,
    NUMBERS,
    PATCH,
    PUBLISHED,
    SIDE,
    WIDTH,
    state_dict,
    study_with,
)

CPU = torch.device("cpu")
CAPTIONS = ["thin, leaning left, narrow", "thick, leaning right, wide"]


def authors_logits(state: dict, images: torch.Tensor) -> torch.Tensor:
    """Return logits of normalised images (N, 1, 8, 8), written out from the architecture.

    Blocks have pre-norm, heads of 64, eps 1e-6 and a class token.
    """

    def norm(name, x):
        weights = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.layer_norm(x, (WIDTH,), *weights, 1e-6)

    def linear(name, x):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    weights = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    patches = functional.conv2d(images, *weights, stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([state["cls_token"].expand(len(images), -1, -1), patches], 1)
    x = x + state["pos_embed"]
    count, tokens, _ = x.shape
    for i in range(DEPTH):
        qkv = linear(f"blocks.{i}.attn.qkv", norm(f"blocks.{i}.norm1", x))
        q, k, v = qkv.reshape(count, tokens, 3, WIDTH // 64, 64).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-1, -2) / 8).softmax(-1) @ v
        attention = attention.transpose(1, 2).reshape(count, tokens, WIDTH)
        x = x + linear(f"blocks.{i}.attn.proj", attention)
        hidden = functional.gelu(linear(f"blocks.{i}.mlp.fc1", norm(f"blocks.{i}.norm2", x)))
        x = x + linear(f"blocks.{i}.mlp.fc2", hidden)
    return linear("head", norm("norm", x)[:, 0])


@pytest.fixture
def study(tmp_path):
    return study_with(tmp_path, PUBLISHED % NUMBERS)


def convert(study, tmp_path, state=None):
    """Convert a state dict, or else the file that exists; return the path of the model."""
    file = tmp_path / "theirs.pt"
    output = tmp_path / "theirs.safetensors"
    if state is not None:
        torch.save(state, file)
    arguments = ["--study", study, "--checkpoint", "theirs", "--file", file, "--output", output]
    convert_author_checkpoint.main([str(argument) for argument in arguments])
    return output


def evaluate(study, tmp_path, images: np.ndarray) -> pd.DataFrame:
    """Write images to all evaluation sets and return the metrics of the converted model."""
    tars = []
    for name in load_study(study).data.evaluation:
        tars.append(str(tmp_path / name / "00000.tar"))
        rows = (
            {"image": i, "class_id": i % 10, "prompt": "x", "caption": CAPTIONS[i % 2]}
            for i in range(len(images))
        )
        samples = ((f"{row['image']:04d}", images[row["image"]], row) for row in rows)
        shards.write(tars[-1], samples)
    output = tmp_path / "metrics.parquet"
    arguments = ["--study", study, "--checkpoint", "theirs", "--output", output]
    arguments += ["--classes", "data/digits_classes.csv"]
    arguments += ["--model", tmp_path / "theirs.safetensors", "--sets", *tars]
    evaluate_author_checkpoint.main([str(argument) for argument in arguments])
    return pd.read_parquet(output)


def test_checkpoint_has_the_logits_of_the_authors_code(study, tmp_path):
    state = state_dict()
    images = torch.rand(5, 1, SIDE, SIDE) * 2 - 1
    model = classifier.load(convert(study, tmp_path, state), CPU)
    logits = classifier.outputs(model, images).logits
    assert torch.allclose(logits, authors_logits(state, images), atol=1e-5)


def test_checkpoint_is_evaluated_as_other_classifiers(study, tmp_path):
    state = state_dict()
    convert(study, tmp_path, state)
    pixels = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE), np.uint8)
    rows = evaluate(study, tmp_path, pixels)
    overall = rows[rows["class_id"].isna()].set_index("evaluation").loc["one_writer"]
    logits = authors_logits(state, classifier.normalise(pixels[:, None]))
    labels = np.arange(40) % 10
    loss = functional.cross_entropy(logits, torch.from_numpy(labels)).item()
    assert overall["top1"] == (logits.argmax(1).numpy() == labels).mean()
    assert overall["cross_entropy"] == pytest.approx(loss, rel=1e-5)


def test_clip_checkpoint_is_evaluated_zero_shot(tmp_path):
    architecture = {"embed_dim": 16, "patch_size": 4, "width": 64, "depth": 1, "heads": 1}
    architecture |= {"text_width": 64, "text_depth": 1, "text_heads": 1, "context_length": 77}
    torch.manual_seed(0)
    expected_model = CLIP(**clip.config(ClipArchitecture(label="", **architecture), SIDE)).eval()
    row = "theirs: {kind: clip, file: theirs.pt, images: 64000000}"
    study = study_with(tmp_path, f"author_checkpoints: {{{row}}}\n")
    model = clip.load(convert(study, tmp_path, expected_model.state_dict()), CPU)
    images = torch.randint(0, 256, (3, 1, SIDE, SIDE), dtype=torch.uint8)
    with torch.inference_mode():
        inputs = clip.inputs(model, images)
        expected = expected_model.encode_image(inputs, normalize=True)
    assert model.normalisation == "openai"
    assert torch.allclose(clip.image_features(model, images), expected, atol=1e-6)

    rows = evaluate(study, tmp_path, images[:, 0].repeat(7, 1, 1)[:20].numpy())
    loaded = load_study(study)
    assert {*loaded.data.evaluation, *loaded.clip.tasks} == set(rows["evaluation"])
    assert (rows["architecture"] == "clip").all()
    assert (rows["size"] == 64_000_000).all()
    assert rows["seed"].isna().all()


def changed(**changes) -> dict:
    weights = state_dict() | changes
    return {name: weight for name, weight in weights.items() if weight is not None}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            changed(**{"blocks.1.attn.qkv.bias": None}),
            r"1 weights missing: blocks\.1\.attn\.qkv\.bias; correct file or kind",
        ),
        (
            changed(**{"fc_norm.weight": torch.zeros(WIDTH)}),
            r"1 weights unknown: fc_norm\.weight",
        ),
        (changed(**{"head.bias": torch.zeros(3)}), r"1 weights of another shape: head\.bias"),
        (
            {f"model.{name}": weight for name, weight in state_dict().items()},
            r"no weight 'patch_embed\.proj\.weight' \(found model\.cls_token",
        ),
        (
            {"model": state_dict(), "epoch": 3},
            "not a state dict .model, epoch, .*save only the state dict of the model",
        ),
        (
            {"visual.proj": torch.zeros(3)},
            r"no weight .* of author_checkpoints\.theirs \(kind: classifier\)",
        ),
    ],
)
def test_other_layouts_are_refused_and_nothing_is_written(study, tmp_path, state, message):
    with pytest.raises(SystemExit, match=message) as error:
        convert(study, tmp_path, state)
    assert str(error.value).startswith(f"{tmp_path / 'theirs.pt'}: ")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.safetensors"))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_code_in_a_checkpoint_is_not_run(study, tmp_path, capsys):
    with pytest.raises(SystemExit, match="has more than weights"):
        convert(study, tmp_path, {"cls_token": Evil()})
    assert "run" not in capsys.readouterr().out


def test_incomplete_and_missing_checkpoints_are_reported(study, tmp_path):
    file = tmp_path / "theirs.pt"
    torch.save(state_dict(), file)
    file.write_bytes(file.read_bytes()[:100_000])
    message = r"theirs.pt: incomplete or damaged \(100000 bytes; .*\); download it again"
    with pytest.raises(SystemExit, match=message):
        convert(study, tmp_path)
    file.unlink()
    with pytest.raises(SystemExit, match=r"theirs\.pt: no such file; download the checkpoint"):
        convert(study, tmp_path)
