"""Zero-shot evaluation: the questions about each set, and the metrics of their answers."""

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from synscale.analysis.metrics import RUN
from synscale.data import shards
from synscale.evaluation import clip as clip_evaluation
from synscale.evaluation import precision, zero_shot
from synscale.models import clip
from synscale.study.models.data import FileSet
from tests.support.clip_evaluation import CLASSES, evaluate, settings_for, train
from tests.support.clip_runs import CPU

TASKS = {
    "brightness": {
        "evaluation": "unseen",
        "templates": ["{name}"],
        "classes": {"light": [1], "dark": [0, 7]},
    },
    "ink": {
        "evaluation": "unseen",
        "templates": ["a {name} line"],
        "captions": {"thin": "thin", "wide": "wide"},
    },
    "own": {"evaluation": "unseen", "templates": ["{name}"]},
    "elsewhere": {"evaluation": "other", "templates": ["{name}"], "classes": {"dark": [0]}},
}
TOLERANCE = precision.Tolerance(cross_entropy=0.05)  # 24 images
TWO_SETS = settings_for("learned", tasks={}, sets=("unseen", "again"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a trained model and its evaluation set."""
    folder = tmp_path_factory.mktemp("clip")
    train(folder)
    return folder


@pytest.fixture
def unseen(trained):
    """Tars of the evaluation set."""
    return [str(trained / "set/unseen.tar")]


def of_a_set(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows over all classes."""
    return table[table["class_id"].isna()].set_index("evaluation")


def test_trained_model_separates_the_classes(trained, unseen):
    table = evaluate(settings_for("learned", tasks=TASKS), trained, unseen)
    metrics = ["evaluation", "class_id", "images", "top1", "cross_entropy", "logit_scale"]
    assert table.columns.tolist() == [*RUN, *metrics]
    assert table.dtypes[["class_id", "guidance"]].astype(str).tolist() == ["Int64", "Float64"]
    overall = of_a_set(table)
    assert overall["top1"].drop("ink").tolist() == [1, 1, 1]
    assert (overall["cross_entropy"].drop("ink") < 0.3).all()
    assert overall["images"].to_dict() == {"unseen": 24, "brightness": 24, "ink": 24, "own": 24}
    by_class = table.dropna(subset="class_id").set_index(["evaluation", "class_id"])
    expected = [("unseen", 1), ("unseen", 0)]
    expected += [(name, label) for name in ("brightness", "ink", "own") for label in (0, 1)]
    assert by_class.index.tolist() == expected
    # Both are about the light images, by the number of the class and by the place of the text.
    assert by_class.loc[("unseen", 1), "images"] == by_class.loc[("brightness", 0), "images"] == 12


def test_images_without_a_label_are_left_out():
    out = zero_shot.OUT
    captions = ["thick, tall", "thin", "thick, thin", None]
    manifest = pd.DataFrame({"class_id": [0, 1, 2, 3], "caption": captions})
    assert zero_shot.by_class([[3, 1], [0]], manifest).tolist() == [1, 0, out, 0]
    assert zero_shot.by_caption(["thin", "thick"], manifest).tolist() == [1, 0, out, out]
    assert zero_shot.by_caption(["thi"], manifest).tolist() == [out] * 4


def test_run_without_a_model_is_named(trained, unseen):
    settings = settings_for("learned", "absent", tasks={})
    message = r"models/absent.safetensors: no such file; train run absent first"
    with pytest.raises(SystemExit, match=message):
        evaluate(settings, trained, unseen)


@pytest.mark.parametrize("labels", [{"classes": {"none": [5]}}, {"captions": {"tall": "tall"}}])
def test_task_without_images_is_named(trained, unseen, labels):
    task = {"evaluation": "unseen", "templates": ["{name}"]} | labels
    with pytest.raises(
        SystemExit, match=r"clip\.tasks\.t: no image of unseen has one of its labels"
    ):
        evaluate(settings_for("learned", tasks={"t": task}), trained, unseen)


def test_set_of_some_classes_has_masked_and_unmasked_metrics(trained, unseen):
    names = ["dark", "light", "light"]  # two of one name, as in ImageNet
    classes = pd.DataFrame({"class_id": [0, 1, 2], "name": names})
    settings = settings_for("learned", tasks={}, masked=True)
    table = evaluate(settings, trained, unseen, classes)
    loss = of_a_set(table)["cross_entropy"]
    assert loss.index.tolist() == ["unseen", "unseen_unmasked"]
    assert loss["unseen"] < loss["unseen_unmasked"]
    by_class = table.dropna(subset="class_id").groupby("evaluation")["class_id"]
    assert by_class.apply(list).tolist() == [[0, 1]] * 2


def test_set_of_other_classes_is_asked_in_its_texts(trained, unseen, tmp_path):
    classes, templates = tmp_path / "classes.csv", tmp_path / "templates.yaml"
    classes.write_text("class_id,name\n0,light\n1,dark\n2,NA\n")  # the other way round
    templates.write_text(yaml.safe_dump({"grey_sheets": ["{name}", "a {name}"]}))
    row = FileSet(dataset="grey_sheets", classes=str(classes), templates=str(templates))
    sets = {"unseen": row}
    settings = settings_for("learned", tasks={}, masked=True, sets_of_other_classes=sets)
    table = evaluate(settings, trained, unseen)
    assert table["evaluation"].unique().tolist() == ["unseen"]
    assert table[table["class_id"].isna()]["top1"].tolist() == [0]


def test_interrupted_evaluation_resumes_with_the_next_set(trained, unseen, tmp_path, monkeypatch):
    expected = evaluate(TWO_SETS, trained, unseen * 2)
    encode_set, calls = clip_evaluation.encode_set, []

    def encode(*arguments):
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode_set(*arguments)

    monkeypatch.setattr(clip_evaluation, "encode_set", encode)
    with pytest.raises(KeyboardInterrupt):
        evaluate(TWO_SETS, trained, unseen * 2, state=tmp_path)
    resumed = evaluate(TWO_SETS, trained, unseen * 2, state=tmp_path)
    assert len(calls) == 3
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)


def test_bfloat16_is_used_if_the_metrics_agree(trained, unseen, tmp_path, capsys, monkeypatch):
    exact = evaluate(TWO_SETS, trained, unseen * 2)
    monkeypatch.setattr(precision, "Tolerance", lambda: TOLERANCE)
    options = {"fast": torch.bfloat16, "state": tmp_path}
    fast = evaluate(TWO_SETS, trained, unseen * 2, **options)
    assert "learned: evaluated in bfloat16; on 24 images" in capsys.readouterr().out
    assert (exact["top1"] == fast["top1"]).all()
    assert 0 < (exact["cross_entropy"] - fast["cross_entropy"]).abs().max() < 0.05
    monkeypatch.setattr(precision, "choose", None)  # the choice of the first attempt is used
    again = evaluate(TWO_SETS, trained, unseen * 2, **options)
    pd.testing.assert_frame_equal(again, fast, check_exact=True)


def test_each_class_has_a_row_next_to_that_of_all_images(trained, tmp_path):
    random = np.random.default_rng(0)
    pixels = [random.integers(190, 250, (8, 8), np.uint8) for _ in range(10)]  # all light
    rows = [
        (f"{i}", image, {"image": i, "class_id": int(i < 9), "prompt": ""})
        for i, image in enumerate(pixels)
    ]
    shards.write(tmp_path / "set.tar", rows)
    table = evaluate(settings_for("learned", tasks={}), trained, [str(tmp_path / "set.tar")])
    overall, *of_classes = table["top1"].tolist()
    assert overall == 0.9
    assert sorted(of_classes) == [0, 1]


def test_image_of_an_unknown_class_is_refused(trained, unseen):
    message = r"unseen: images of classes \[0\], which its table of 1 classes lacks"
    with pytest.raises(SystemExit, match=message):
        evaluate(settings_for("learned", tasks={}), trained, unseen, CLASSES[:1])


def test_large_images_are_resized_as_by_open_clip(trained, tmp_path):
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (20, 20, 3), np.uint8) for _ in range(3)]
    rows = [
        (f"{i}", image, {"image": i, "class_id": 0, "prompt": ""}) for i, image in enumerate(pixels)
    ]
    shards.write(tmp_path / "set.tar", rows)
    model = clip.load(trained / "models/learned.safetensors", CPU)
    prepare = open_clip.image_transform(8, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3)
    prepared = torch.stack([prepare(Image.fromarray(image)) for image in pixels])
    with torch.inference_mode():
        expected = model.model.encode_image(prepared, normalize=True)
    for workers in (0, 1):
        [features] = clip_evaluation.encode_set([model], str(tmp_path / "set.tar"), workers)
        assert torch.allclose(features, expected, atol=1e-5)
