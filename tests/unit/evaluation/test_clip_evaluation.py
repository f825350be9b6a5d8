"""CLIP models zero-shot: the evaluation asks what it says it asks, of our models and of released
ones.
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scripts import evaluate_clip
from synscale.analysis.metrics import RUN
from synscale.data import shards
from synscale.evaluation import precision, zero_shot
from synscale.models import clip
from synscale.training.clip_group import train_clip
from synscale.training.distributed import ProcessGroup
from tests.support.clip_runs import CPU, NAMES, TINY, run_of, settings_of, write_source


def test_the_whole_vocabulary_is_clips_own():
    texts = ["a photo of a three, thick", "Leaning LEFT & unverständlich"]
    tokens = clip.tokenizer(20)(texts)
    assert torch.equal(tokens, open_clip.tokenize(texts, 20))
    assert (
        clip.config(TINY.model_copy(update={"merges": None}), 8)["text_cfg"]["vocab_size"] == 49408
    )


WHOLE, SMALL = (clip.tokenizer(300, merges) for merges in (None, 200))


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=30))
def test_a_small_vocabulary_reads_every_text(text):
    tokens = SMALL([text])[0]
    assert SMALL.vocab_size == 512 + 200 + 2
    assert (
        tokens.max() == SMALL.eot_token_id == SMALL.vocab_size - 1
    )  # the model takes its text feature at the largest token
    assert SMALL.decode(SMALL.encode(text)) == WHOLE.decode(WHOLE.encode(text))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run that has learned to tell dark from light, its settings, and an evaluation
    set.
    """
    deterministic(1)
    folder = tmp_path_factory.mktemp("clip")
    tar = write_source(folder / "real.tar", 40)
    run = run_of("learned", ("real", None, 40), iterations=40)
    train_clip(
        settings_of(run, inputs={"real": 1}, learning_rate=1e-2),
        [tar],
        folder / "models",
        folder / "state",
        ProcessGroup(CPU),
    )
    (folder / "set").mkdir()
    write_source(folder / "set/unseen.tar", 24)
    return folder


def test_images_are_prepared_as_in_training(trained):
    own, pixels = (
        clip.load(trained / "models/learned.safetensors", CPU),
        np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8),
    )
    prepare = open_clip.image_transform(8, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3)
    with torch.inference_mode():
        expected = own.model.encode_image(
            torch.stack([prepare(Image.fromarray(image)) for image in pixels]), normalize=True
        )
    found = clip.image_features(own, torch.from_numpy(pixels[:, None]))
    assert torch.allclose(found, expected, atol=1e-5)


def test_heads_are_those_of_open_clips_zero_shot_evaluation(trained):
    own, templates = (
        clip.load(trained / "models/learned.safetensors", CPU),
        ["{}", "a {} one", "the {}"],
    )
    expected = open_clip.build_zero_shot_classifier(own.model, own.tokenize, NAMES, templates)
    found = clip.heads(
        own, NAMES, [template.replace("{}", "{name}") for template in templates], batch_size=4
    )
    assert torch.allclose(found, expected.T, atol=1e-5)


def test_logits_are_cosines_times_the_learned_scale(trained):
    own, images = (
        clip.load(trained / "models/learned.safetensors", CPU),
        torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8),
    )
    found = clip.logits(own, clip.image_features(own, images), clip.heads(own, NAMES, ["{name}"]))
    with torch.inference_mode():
        expected, _ = own.model.get_logits(clip.inputs(own, images), own.tokenize(NAMES))
    assert torch.allclose(found, expected, atol=1e-4)
    assert 1 < own.scale < 100


TASKS = {
    "brightness": {
        "evaluation": "unseen",
        "templates": ["{name}"],
        "classes": {"light": [1], "dark": [0, 7]},
        "captions": None,
    },
    "ink": {
        "evaluation": "unseen",
        "templates": ["a {name} line"],
        "classes": None,
        "captions": {"thin": "thin", "wide": "wide"},
    },
    "own": {"evaluation": "unseen", "templates": ["{name}"], "classes": None, "captions": None},
    "elsewhere": {
        "evaluation": "other",
        "templates": ["{name}"],
        "classes": {"dark": [0]},
        "captions": None,
    },
}
TOLERANCE = precision.Tolerance(cross_entropy=0.05)  # of 24 images
CLASSES = pd.DataFrame({"class_id": [1, 0], "name": ["light", "dark"]})  # in no order


def evaluation_of(*names: str, tasks: dict = TASKS) -> dict:
    common = {"source": "both", "guidance": None, "architecture": "tiny", "size": 40, "seed": 0}
    runs = [common | {"name": name} for name in names]
    return {
        "runs": runs,
        "evaluation": ["unseen"],
        "templates": ["{name}", "a {name}"],
        "tasks": tasks,
    }


def test_a_trained_model_tells_the_classes_apart(trained):
    table = evaluate_clip.evaluate(
        evaluation_of("learned"), CLASSES, trained / "models", [trained / "set/unseen.tar"], CPU
    )
    assert table.columns.tolist() == [
        *RUN,
        "evaluation",
        "class_id",
        "images",
        "top1",
        "cross_entropy",
        "logit_scale",
    ]
    assert table.dtypes[["class_id", "guidance"]].astype(str).tolist() == ["Int64", "Float64"]
    overall = table[table["class_id"].isna()].set_index("evaluation")
    assert overall["top1"].drop("ink").tolist() == [1, 1, 1]
    assert (overall["cross_entropy"].drop("ink") < 0.3).all()
    assert overall["images"].to_dict() == {"unseen": 24, "brightness": 24, "ink": 24, "own": 24}
    by_class = table.dropna(subset="class_id").set_index(["evaluation", "class_id"])
    assert by_class.index.tolist() == [
        (name, i)
        for name in ("unseen", "brightness", "ink", "own")
        for i in ((1, 0) if name == "unseen" else (0, 1))
    ]
    # Both are about the light images: the class's own number in the first, the place of its text in
    # the second.
    assert by_class.loc[("unseen", 1), "images"] == by_class.loc[("brightness", 0), "images"] == 12


def test_images_without_a_label_are_left_out():
    out, manifest = (
        zero_shot.OUT,
        pd.DataFrame(
            {"class_id": [0, 1, 2, 3], "caption": ["thick, tall", "thin", "thick, thin", None]}
        ),
    )
    assert zero_shot.by_class([[3, 1], [0]], manifest).tolist() == [1, 0, out, 0]
    assert zero_shot.by_caption(
        {"a thin line": "thin", "a thick line": "thick"}, manifest
    ).tolist() == [1, 0, out, out]
    assert zero_shot.by_caption({"a line": "thi"}, manifest).tolist() == [out] * 4


def test_a_run_without_a_model_is_told(trained):
    with pytest.raises(
        SystemExit,
        match=r"models/absent.safetensors: no such file, so run absent has not been trained",
    ):
        evaluate_clip.evaluate(
            evaluation_of("learned", "absent"),
            CLASSES,
            trained / "models",
            [trained / "set/unseen.tar"],
            CPU,
        )


@pytest.mark.parametrize(
    "labels",
    [{"classes": {"none": [5]}, "captions": None}, {"classes": None, "captions": {"tall": "tall"}}],
)
def test_a_task_that_asks_about_no_image_is_told(trained, labels):
    settings = evaluation_of(
        "learned", tasks={"t": {"evaluation": "unseen", "templates": ["{name}"]} | labels}
    )
    with pytest.raises(SystemExit, match="task t: no image of unseen has one of its labels"):
        evaluate_clip.evaluate(
            settings, CLASSES, trained / "models", [trained / "set/unseen.tar"], CPU
        )


def test_a_set_of_some_classes_is_judged_among_them_and_among_all(trained, tmp_path):
    classes = pd.DataFrame(
        {"class_id": [0, 1, 2], "name": ["dark", "light", "light"]}
    )  # two of one name, as ImageNet has them
    table = evaluate_clip.evaluate(
        evaluation_of("learned", tasks={}) | {"masked": True},
        classes,
        trained / "models",
        [trained / "set/unseen.tar"],
        CPU,
    )
    overall = table[table["class_id"].isna()].set_index("evaluation")
    assert overall.index.tolist() == ["unseen", "unseen_unmasked"]
    assert overall["cross_entropy"]["unseen"] < overall["cross_entropy"]["unseen_unmasked"]
    assert (
        table.dropna(subset="class_id").groupby("evaluation")["class_id"].apply(list).tolist()
        == [[0, 1]] * 2
    )


def test_a_set_of_other_classes_is_asked_about_those_in_its_own_texts(trained, tmp_path):
    (tmp_path / "classes.csv").write_text(
        "class_id,name\n0,light\n1,dark\n2,NA\n"
    )  # the other way round
    (tmp_path / "templates.yaml").write_text(
        yaml.safe_dump({"grey_sheets": ["{name}", "a {name}"]})
    )
    own = {
        "dataset": "grey_sheets",
        "classes": str(tmp_path / "classes.csv"),
        "templates": str(tmp_path / "templates.yaml"),
    }
    settings = evaluation_of("learned", tasks={}) | {"masked": True, "sets": {"unseen": own}}
    table = evaluate_clip.evaluate(
        settings, CLASSES, trained / "models", [trained / "set/unseen.tar"], CPU
    )
    assert table["evaluation"].unique().tolist() == ["unseen"]
    assert table[table["class_id"].isna()]["top1"].tolist() == [0]


def two_sets(folder) -> tuple[dict, pd.DataFrame, Path, list[str]]:
    settings = evaluation_of("learned", tasks={}) | {"evaluation": ["unseen", "again"]}
    return settings, CLASSES, folder / "models", [str(folder / "set/unseen.tar")] * 2


def test_interrupted_clip_evaluation_resumes_with_the_next_set(trained, tmp_path, monkeypatch):
    expected = evaluate_clip.evaluate(*two_sets(trained), CPU)
    answers, asked = evaluate_clip.answers, []

    def answer(model, seen, questions, heads_of):
        if questions[0]["evaluation"] == "again" and len(asked) == 1:
            asked.append("interrupted")
            raise KeyboardInterrupt
        asked.append(questions[0]["evaluation"])
        return answers(model, seen, questions, heads_of)

    monkeypatch.setattr(evaluate_clip, "answers", answer)
    with pytest.raises(KeyboardInterrupt):
        evaluate_clip.evaluate(*two_sets(trained), CPU, state=tmp_path)
    resumed = evaluate_clip.evaluate(*two_sets(trained), CPU, state=tmp_path)
    assert asked == ["unseen", "interrupted", "again"]
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)


def test_clip_images_are_encoded_in_bfloat16_if_the_metrics_agree(trained, capsys, monkeypatch):
    exact = evaluate_clip.evaluate(*two_sets(trained), CPU)
    monkeypatch.setattr(precision, "Tolerance", lambda: TOLERANCE)
    fast = evaluate_clip.evaluate(*two_sets(trained), CPU, fast=torch.bfloat16)
    assert "learned: evaluated in bfloat16; on 24 images" in capsys.readouterr().out
    assert (exact["top1"] == fast["top1"]).all()
    assert 0 < (exact["cross_entropy"] - fast["cross_entropy"]).abs().max() < 0.05


def test_each_class_has_a_row_of_its_own_beside_that_over_all_images(trained, tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (
            f"{i}",
            random.integers(190, 250, (8, 8), np.uint8),
            {"image": i, "class_id": int(i < 9), "prompt": ""},
        )
        for i in range(10)
    ]  # all light
    shards.write(tmp_path / "set.tar", rows)
    table = evaluate_clip.evaluate(
        evaluation_of("learned", tasks={}), CLASSES, trained / "models", [tmp_path / "set.tar"], CPU
    )
    overall, *of_classes = table["top1"].tolist()
    assert overall == 0.9
    assert sorted(of_classes) == [0, 1]


def test_an_image_of_a_class_that_no_table_has_is_told(trained):
    with pytest.raises(
        SystemExit,
        match=r"unseen: images of classes \[0\], which its table of 1 classes does not have",
    ):
        evaluate_clip.evaluate(
            evaluation_of("learned"),
            CLASSES[:1],
            trained / "models",
            [trained / "set/unseen.tar"],
            CPU,
        )


def test_large_images_are_prepared_as_open_clips_evaluation_does(trained, tmp_path):
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (20, 20, 3), np.uint8) for _ in range(3)]
    shards.write(
        tmp_path / "set.tar",
        [
            (f"{i}", image, {"image": i, "class_id": 0, "prompt": ""})
            for i, image in enumerate(pixels)
        ],
    )
    own = clip.load(trained / "models/learned.safetensors", CPU)
    prepare = open_clip.image_transform(8, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3)
    with torch.inference_mode():
        expected = own.model.encode_image(
            torch.stack([prepare(Image.fromarray(image)) for image in pixels]), normalize=True
        )
    for workers in (0, 1):
        assert torch.allclose(
            evaluate_clip.features([own], str(tmp_path / "set.tar"), workers)[0],
            expected,
            atol=1e-5,
        )


def test_the_80_texts_of_imagenet_are_open_clips():
    texts = clip.templates("openai_imagenet")
    assert len(texts) == len(set(texts)) == 80
    assert [text.format(name="tench") for text in texts] == [
        template("tench") for template in open_clip.OPENAI_IMAGENET_TEMPLATES
    ]
    assert clip.templates(["a {name}"]) == ["a {name}"]


RELEASED = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 128, "layers": 2, "head_width": 64},
}
RELEASED |= {
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "layers": 1, "heads": 1}
}


def test_a_released_checkpoint_says_what_it_says_in_open_clip(tmp_path):
    """Its layout is that of a state dict of open_clip, which the authors' evaluation code loads
    strictly.
    """
    torch.manual_seed(0)
    theirs = open_clip.model.CLIP(**RELEASED).eval()
    torch.save(
        {f"module.{name}": own for name, own in theirs.state_dict().items()},
        tmp_path / "released.pt",
    )
    clip.save(
        tmp_path / "ours.safetensors",
        *clip.from_released(torch.load(tmp_path / "released.pt", weights_only=True)),
    )
    ours, image = (
        clip.load(tmp_path / "ours.safetensors", CPU),
        np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8),
    )
    prepare = open_clip.image_transform(
        32, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    tokens = open_clip.tokenize(["a photo of a tench."], 16)
    with torch.inference_mode():
        expected, _ = theirs.get_logits(prepare(Image.fromarray(image))[None], tokens)
        assert torch.equal(ours.tokenize(["a photo of a tench."]), tokens)
    seen = clip.image_features(ours, torch.from_numpy(image.transpose(2, 0, 1))[None])
    found = clip.logits(ours, seen, clip.heads(ours, ["tench"], ["a photo of a {name}."]))
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("visual.conv1.weight"),
            "no weight 'visual.conv1.weight' in it: not a CLIP model of open_clip",
        ),
        (
            lambda state: state.pop("ln_final.bias"),
            "1 weights are not those of a CLIP model with 49408 tokens, the first: ln_final.bias",
        ),
        (lambda state: state.update(head=torch.zeros(1)), "the first: head"),
        (lambda state: state.update({"visual.proj": torch.zeros(3, 3)}), "the first: visual.proj"),
    ],
)
def test_another_checkpoint_is_refused(change, message):
    state = dict(open_clip.model.CLIP(**RELEASED).state_dict())
    change(state)
    with pytest.raises(ValueError, match=message):
        clip.from_released(state)
