"""Checkpoints in the layout of the authors' evaluation code: read as ours, judged as ours, set
beside what is published.
"""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from open_clip.model import CLIP

from scripts import (
    convert_author_checkpoint,
    evaluate_author_checkpoint,
    tabulate_author_checkpoints,
)
from synscale.data import shards
from synscale.models import classifier, clip
from synscale.study.checks.generators import check_author_checkpoints
from synscale.study.load import StudyError, load_study
from synscale.study.models.author_checkpoints import AuthorCheckpoint
from synscale.study.models.clip import ClipArchitecture
from synscale.study.models.data import FilesData
from synscale.workflow.settings.author_checkpoints import author_checkpoint_table_settings
from tests.support.author_checkpoint import (
    DEPTH,
    NUMBERS,
    PATCH,
    PUBLISHED,
    SIDE,
    WIDTH,
    state_dict,
)
from tests.support.workflow import ROOT, SMOKE

CPU = torch.device("cpu")
CAPTIONS = ["thin, leaning left, narrow", "thick, leaning right, wide"]


def as_the_authors_compute(state: dict, images: torch.Tensor) -> torch.Tensor:
    """Logits of normalised images (N, 1, 8, 8), written out from the architecture: pre-norm blocks,
    heads of 64, eps 1e-6, class token.
    """
    f = torch.nn.functional

    def norm(name, x):
        return f.layer_norm(x, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(name, x):
        return f.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = (
        f.conv2d(
            images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH
        )
        .flatten(2)
        .transpose(1, 2)
    )
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x], 1) + state["pos_embed"]
    for i in range(DEPTH):
        n, tokens, _ = x.shape
        q, k, v = (
            linear(f"blocks.{i}.attn.qkv", norm(f"blocks.{i}.norm1", x))
            .reshape(n, tokens, 3, WIDTH // 64, 64)
            .permute(2, 0, 3, 1, 4)
        )
        attention = (q @ k.transpose(-1, -2) / 8).softmax(-1) @ v
        x = x + linear(f"blocks.{i}.attn.proj", attention.transpose(1, 2).reshape(n, tokens, WIDTH))
        x = x + linear(
            f"blocks.{i}.mlp.fc2",
            f.gelu(linear(f"blocks.{i}.mlp.fc1", norm(f"blocks.{i}.norm2", x))),
        )
    return linear("head", norm("norm", x)[:, 0])


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "with_checkpoint.yaml"
    path.write_text(
        SMOKE.read_text().replace("laws:\n", PUBLISHED % NUMBERS + "laws:\n", 1), encoding="utf-8"
    )
    load_study.cache_clear()
    return path


def convert(study, tmp_path, state, name="theirs"):
    checkpoint, output = tmp_path / "theirs.pt", tmp_path / f"{name}.safetensors"
    torch.save(state, checkpoint)
    convert_author_checkpoint.main(
        [
            "--study",
            str(study),
            "--checkpoint",
            name,
            "--file",
            str(checkpoint),
            "--output",
            str(output),
        ]
    )
    return output


def test_a_checkpoint_says_what_the_authors_code_makes_it_say(study, tmp_path):
    state, images = state_dict(), torch.rand(5, 1, SIDE, SIDE) * 2 - 1
    model = classifier.load(convert(study, tmp_path, state), CPU)
    assert torch.allclose(
        classifier.outputs(model, images).logits, as_the_authors_compute(state, images), atol=1e-5
    )


def test_it_is_judged_as_our_own_models_are_and_set_beside_what_is_published(study, tmp_path):
    state, random = state_dict(), np.random.default_rng(0)
    model = convert(study, tmp_path, state)
    sets, pixels, labels = (
        [],
        random.integers(0, 256, (40, SIDE, SIDE), np.uint8),
        np.arange(40) % 10,
    )
    for name in load_study(study).data.evaluation:
        sets.append(str(tmp_path / name / "00000.tar"))
        shards.write(
            sets[-1],
            (
                (f"{i:04d}", pixels[i], {"image": i, "class_id": int(labels[i]), "prompt": "x"})
                for i in range(40)
            ),
        )
    (tmp_path / "classes.csv").write_text("class_id,name\n")
    given = [
        "--study",
        str(study),
        "--checkpoint",
        "theirs",
        "--classes",
        str(tmp_path / "classes.csv"),
        "--model",
        str(model),
    ]
    evaluate_author_checkpoint.main(
        [*given, "--sets", *sets, "--output", str(tmp_path / "metrics.parquet")]
    )
    rows = pd.read_parquet(tmp_path / "metrics.parquet")
    overall = rows[rows["class_id"].isna()].set_index("evaluation").loc["one_writer"]
    logits = as_the_authors_compute(state, classifier.normalise(pixels[:, None]))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item()
    assert overall["top1"] == (logits.argmax(1).numpy() == labels).mean()
    assert overall["cross_entropy"] == pytest.approx(loss, rel=1e-5)

    outputs = [str(tmp_path / f"author_checkpoints.{format}") for format in ("csv", "md", "html")]
    tabulate_author_checkpoints.main(
        [
            "--study",
            str(study),
            "--metrics",
            str(tmp_path / "metrics.parquet"),
            "--numbers",
            "data/paper_numbers.csv",
            "--output",
            *outputs,
        ]
    )
    table = pd.read_csv(outputs[0]).set_index(["evaluation", "measure"])
    assert len(table) == 2 * len(sets)
    own = table.loc[("one_writer", "top1")]
    assert (own["ours"], own["published"], own["images"]) == (
        pytest.approx(100 * overall["top1"]),
        60.4,
        16_000_000,
    )
    assert own["difference"] == pytest.approx(own["ours"] - 60.4) and not own["within"]
    assert table.loc[("one_writer", "cross_entropy"), "difference"] == pytest.approx(
        loss - 1.811, abs=1e-3
    )
    assert (
        table.drop("one_writer")["published"].isna().all()
        and table.drop("one_writer")["within"].isna().all()
    )


def test_a_clip_checkpoint_is_judged_zero_shot(tmp_path):
    architecture = {"embed_dim": 16, "patch_size": 4, "width": 64, "depth": 1, "heads": 1}
    architecture |= {"text_width": 64, "text_depth": 1, "text_heads": 1, "context_length": 77}
    torch.manual_seed(0)
    model = CLIP(**clip.config(ClipArchitecture(label="", **architecture), SIDE)).eval()
    path = tmp_path / "clip.yaml"
    path.write_text(
        SMOKE.read_text().replace(
            "laws:\n",
            "author_checkpoints: {theirs: {kind: clip, file: theirs.pt, images: 64000000}}\nlaws:\n",
            1,
        ),
        encoding="utf-8",
    )
    own = clip.load(convert(path, tmp_path, model.state_dict()), CPU)
    images = torch.randint(0, 256, (3, 1, SIDE, SIDE), dtype=torch.uint8)
    with torch.inference_mode():
        expected = model.encode_image(clip.inputs(own, images), normalize=True)
    assert own.normalisation == "openai" and torch.allclose(
        clip.image_features(own, images), expected, atol=1e-6
    )

    sets = []
    for name in load_study(path).data.evaluation:
        sets.append(str(tmp_path / name / "00000.tar"))
        rows = (
            {"image": i, "class_id": i % 10, "prompt": "x", "caption": CAPTIONS[i % 2]}
            for i in range(20)
        )
        shards.write(
            sets[-1],
            ((f"{row['image']:04d}", images[row["image"] % 3, 0].numpy(), row) for row in rows),
        )
    given = [
        "--study",
        str(path),
        "--checkpoint",
        "theirs",
        "--classes",
        "data/digits_classes.csv",
        "--model",
        str(tmp_path / "theirs.safetensors"),
    ]
    evaluate_author_checkpoint.main(
        [*given, "--sets", *sets, "--output", str(tmp_path / "metrics.parquet")]
    )
    rows = pd.read_parquet(tmp_path / "metrics.parquet")
    assert {*load_study(path).data.evaluation, *load_study(path).clip.tasks} == set(
        rows["evaluation"]
    )
    assert (
        (rows["architecture"] == "clip").all()
        and (rows["size"] == 64_000_000).all()
        and rows["seed"].isna().all()
    )


def test_within_two_points_is_agreement():
    row = {
        "source": "theirs",
        "size": 10,
        "class_id": None,
        "evaluation": "imagenet",
        "top1": 0.62,
        "cross_entropy": 1.0,
        "images": 5,
    }
    model = {
        "kind": "classifier",
        "images": 10,
        "numbers": {"near": {"evaluation": "imagenet", "measure": "top1"}},
    }
    numbers = pd.DataFrame([{"id": "near", "value": "60.4", "source": "s", "confidence": "c"}])
    table = tabulate_author_checkpoints.beside(
        pd.DataFrame([row]), {"author_checkpoints": {"theirs": model}}, numbers
    ).set_index("measure")
    assert table.loc["top1", "within"] and table.loc["top1", "difference"] == pytest.approx(1.6)
    model["numbers"]["near"]["evaluation"] = "imagenet_unmasked"
    with pytest.raises(
        SystemExit,
        match=r"author_checkpoints\.theirs\.numbers\.near: imagenet_unmasked has no metrics",
    ):
        tabulate_author_checkpoints.beside(
            pd.DataFrame([row]), {"author_checkpoints": {"theirs": model}}, numbers
        )


def changed(**changes) -> dict:
    return {name: own for name, own in (state_dict() | changes).items() if own is not None}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (
            changed(**{"blocks.1.attn.qkv.bias": None}),
            r"1 weights missing: blocks\.1\.attn\.qkv\.bias: mend file or kind",
        ),
        (
            changed(**{"fc_norm.weight": torch.zeros(WIDTH)}),
            r"1 weights not known: fc_norm\.weight",
        ),
        (changed(**{"head.bias": torch.zeros(3)}), r"1 weights of another shape: head\.bias"),
        (
            {"model." + name: own for name, own in state_dict().items()},
            r"no weight 'patch_embed\.proj\.weight' in it: .* it holds model\.cls_token",
        ),
        (
            {"model": state_dict(), "epoch": 3},
            "no state dict .*, but model, epoch: save the state dict of the model alone",
        ),
        (
            {"visual.proj": torch.zeros(3)},
            "author_checkpoints.theirs of kind classifier: no weight",
        ),
    ],
)
def test_another_layout_is_told_and_nothing_is_written(study, tmp_path, state, told):
    with pytest.raises(SystemExit, match=told) as error:
        convert(study, tmp_path, state)
    assert str(error.value).startswith(f"{tmp_path / 'theirs.pt'}: ") and "\n" not in str(
        error.value
    )
    assert not list(tmp_path.glob("*.safetensors"))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_code_in_a_checkpoint_is_not_run_and_a_cut_one_is_told(study, tmp_path, capsys):
    with pytest.raises(SystemExit, match="holds more than weights"):
        convert(study, tmp_path, {"cls_token": Evil()})
    assert "run" not in capsys.readouterr().out
    arguments = [
        "--study",
        str(study),
        "--checkpoint",
        "theirs",
        "--file",
        str(tmp_path / "theirs.pt"),
        "--output",
        str(tmp_path / "x.safetensors"),
    ]
    torch.save(state_dict(), tmp_path / "theirs.pt")
    (tmp_path / "theirs.pt").write_bytes((tmp_path / "theirs.pt").read_bytes()[:100_000])
    with pytest.raises(
        SystemExit, match=r"theirs.pt \(100000 bytes\): cut short or damaged: download it again"
    ):
        convert_author_checkpoint.main(arguments)
    (tmp_path / "theirs.pt").unlink()
    with pytest.raises(SystemExit, match=r"theirs\.pt: no such file: download the checkpoint"):
        convert_author_checkpoint.main(arguments)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (
            "vit_b_sd_in_captions_16m_top: {evaluation: one_writer, measure: top1}",
            "did you mean 'vit_b_sd_in_captions_16m_top1'?",
        ),
        (
            "vit_b_sd_in_captions_16m_top1: {evaluation: one_writers, measure: top1}",
            ".evaluation = 'one_writers': no such evaluation set; did you mean",
        ),
        (
            "vit_b_sd_in_captions_16m_top1: {evaluation: one_writer, measure: top5}",
            "measure = 'top5': input should be 'top1' or 'cross_entropy'",
        ),
    ],
)
def test_a_fault_is_told_with_its_key_value_and_mend(tmp_path, numbers, told):
    path = tmp_path / "bad.yaml"
    path.write_text(
        SMOKE.read_text().replace("laws:\n", PUBLISHED % numbers + "laws:\n", 1), encoding="utf-8"
    )
    with pytest.raises(StudyError) as error:
        load_study(path)
    assert told in str(error.value)


def test_study_without_author_checkpoints_is_reported():
    with pytest.raises(ValueError, match="the study has no author_checkpoints; add"):
        author_checkpoint_table_settings(load_study(SMOKE))


def test_what_the_documentation_says_to_write_is_sound():
    text = (ROOT / "docs/check_against_the_authors.md").read_text(encoding="utf-8")
    own = yaml.safe_load(text.split("```yaml")[1].split("```")[0])["author_checkpoints"]
    assert (
        own
        == yaml.safe_load((ROOT / "studies/imagenet.yaml").read_text(encoding="utf-8"))[
            "author_checkpoints"
        ]
    )
    data = FilesData(
        kind="files",
        training={"t": {"dataset": "t"}},
        evaluation={name: {"dataset": name} for name in ("imagenet", "imagenet_r", "imagenet_a")},
    )
    models = {name: AuthorCheckpoint(**model) for name, model in own.items()}
    assert list(check_author_checkpoints(models, data, clip=object())) == []
    assert {model.kind for model in models.values()} == {"classifier", "clip"}
