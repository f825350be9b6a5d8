"""CLIP models: open_clip's trainer is made repeatable and watched, and the zero-shot evaluation asks what it says it asks."""

import logging
import tarfile

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scripts import evaluate_clips, train_clips
from scripts.lib import classifier, clip, shards
from scripts.lib.metrics import RUN
from scripts.lib.torch_setup import deterministic

CPU = torch.device("cpu")
TINY = {"embed_dim": 8, "patch_size": 4, "width": 16, "depth": 1, "heads": 2, "text_width": 16, "text_depth": 1, "text_heads": 2, "context_length": 12}
TINY |= {"merges": 300}
NAMES = ["dark", "light"]


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread():
    deterministic(1)


def write_source(path, images: int, guidance=(None,), shown=lambda i: NAMES[i % 2]) -> str:
    """Noise around a class's grey, 8 x 8, with what is shown as its text, at each guidance scale; returns the path of the tar."""
    random, rows = np.random.default_rng(len(path.name)), []
    for scale in guidance:
        for i in range(images):
            pixels = random.integers(0, 60, (8, 8), np.uint8) + np.uint8(190 * (i % 2))
            row = {"image": i, "class_id": i % 2, "prompt": shown(i), "caption": "thick, wide" if i % 4 < 2 else "thin"}
            rows.append((f"{scale}-{i:03d}", pixels, row | ({} if scale is None else {"guidance": scale})))
    shards.write(path, rows)
    return str(path)


def run_of(name: str, *parts: tuple, seed: int = 0, iterations: int = 4) -> dict:
    own = [{"source": source, "guidance": guidance, "images": images} for source, guidance, images in parts]
    run = {"source": "both", "guidance": None, "architecture": "tiny", "size": sum(part["images"] for part in own), "seed": seed, "name": name}
    return run | {"iterations": iterations, "parts": own}


def settings_of(*runs: dict, inputs: dict, **training) -> dict:
    recipe = {"batch_size": 8, "learning_rate": 3e-3, "warmup": 0.1, "weight_decay": 0.2, "crop_scale": [0.7, 1.0], "checkpoints": 1} | training
    return {"runs": list(runs), "inputs": inputs, "architectures": {"tiny": TINY}, "training": recipe, "image_size": 8, "channels": 1}


@pytest.fixture
def job(tmp_path):
    """Train two runs, one on two sources, and return the files: job(name) -> {file name: bytes}."""
    tars = [write_source(tmp_path / "real.tar", 10), write_source(tmp_path / "made.0.tar", 10, (1.0, 1.5))]
    runs = run_of("mixed", ("real", None, 10), ("made", 1.5, 6)), run_of("alone", ("made", 1.0, 8), seed=1)

    def start(name, **training):
        settings = settings_of(*runs, inputs={"real": 1, "made": 1}, **training)
        train_clips.train_batch(settings, tars, tmp_path / name, tmp_path / f"state_{name}", CPU)
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}

    start.tars, start.folder = tars, tmp_path
    return start


def test_the_same_job_gives_the_same_models(job):
    first = job("a")
    torch.rand(7), np.random.rand(7)  # the state of the process is no part of the result
    assert sorted(first) == ["alone.safetensors", "mixed.safetensors"]
    assert job("b") == first


def test_a_job_killed_between_two_runs_ends_as_an_undisturbed_one(job, monkeypatch):
    undisturbed, train, trained = job("a"), train_clips.train, []

    def killed_at_the_second(settings, run, *rest):
        trained.append(run["name"])
        if trained == ["mixed", "alone"]:
            raise Killed
        return train(settings, run, *rest)

    monkeypatch.setattr(train_clips, "train", killed_at_the_second)
    with pytest.raises(Killed):
        job("b")
    assert not (job.folder / "b").exists()
    assert job("b") == undisturbed
    assert trained == ["mixed", "alone", "alone"]
    assert not (job.folder / "state_b").exists()


def test_a_run_killed_between_two_checkpoints_ends_as_an_undisturbed_one(job, monkeypatch):
    undisturbed, one_epoch, epochs = job("a", checkpoints=2), train_clips.trainer.train_one_epoch, []

    def killed_at_the_second(model, data, loss, epoch, *rest, **named):
        epochs.append(epoch)
        if epochs == [0, 1]:
            raise Killed
        return one_epoch(model, data, loss, epoch, *rest, **named)

    monkeypatch.setattr(train_clips.trainer, "train_one_epoch", killed_at_the_second)
    with pytest.raises(Killed):
        job("b", checkpoints=2)
    assert job("b", checkpoints=2) == undisturbed
    assert epochs == [0, 1, 1, 0, 1]


def test_every_setting_and_caption_makes_another_model(job):
    first = job("a")
    assert job("b", learning_rate=1e-3) != first
    job.tars[0] = write_source(job.folder / "real.tar", 10, shown=lambda i: "blank")
    changed = job("c")
    assert changed["mixed.safetensors"] != first["mixed.safetensors"]
    assert changed["alone.safetensors"] == first["alone.safetensors"]


@pytest.mark.parametrize("parts", [0, 1])
def test_a_trainer_that_returns_in_peace_too_early_is_found_out(job, monkeypatch, parts):
    whole = train_clips.trainer.main

    def idle(arguments):
        arguments[arguments.index("--epochs") + 1] = str(parts)
        return whole(arguments) if parts else -1

    monkeypatch.setattr(train_clips.trainer, "main", idle)
    with pytest.raises(SystemExit, match=rf"both mixed: the trainer stopped after {parts} of 2 parts"):
        job("a", checkpoints=2)
    assert not (job.folder / "a").exists()


def test_the_trainer_leaves_the_process_as_it_was(job, capfd):
    shuffle, before = webdataset.shuffle, (list(logging.root.handlers), logging.root.level, logging.getLogger("PIL").level)
    job("a")
    assert (list(logging.root.handlers), logging.root.level, logging.getLogger("PIL").level) == before
    assert webdataset.shuffle is shuffle
    out, err = capfd.readouterr()
    assert out.count("\n") == 2
    assert len(err) < 1000


def test_a_changed_shard_is_found_before_training_starts(job, monkeypatch):
    monkeypatch.setattr(train_clips, "train", lambda *_: pytest.fail("training started"))
    with open(job.tars[1], "r+b") as file:
        file.truncate(6000)
    with pytest.raises((shards.ShardError, tarfile.ReadError)):
        job("a")


@pytest.mark.parametrize(
    ("run", "inputs", "message"),
    [
        (run_of("a", ("real", None, 11)), {"real": 1}, "10 images at guidance None, but a run needs 11 of real"),
        (run_of("a", ("real", None, 4)), {"real": 2}, "1 tars were named, but real have 2"),
        (run_of("a", ("real", None, 4), iterations=5), {"real": 1}, "a: 5 iterations cannot be cut into 2 equal parts"),
    ],
)
def test_what_cannot_be_trained_is_told(tmp_path, run, inputs, message):
    tar = write_source(tmp_path / "real.tar", 10)
    with pytest.raises((SystemExit, shards.ShardError), match=message):
        train_clips.train_batch(settings_of(run, inputs=inputs, checkpoints=2), [tar], tmp_path / "out", tmp_path / "state", CPU)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_parts_are_mixed_evenly(counts):
    order = train_clips.interleaved(counts)
    assert sorted(order) == list(range(sum(counts)))
    part = np.repeat(np.arange(len(counts)), counts)[order]
    for index, count in enumerate(counts):
        ahead = np.cumsum(part == index) - np.arange(1, len(order) + 1) * count / len(order)
        assert np.abs(ahead).max() <= len(counts) / 2 + 0.5
        assert (np.diff(order[part == index]) > 0).all()


def test_a_run_reads_the_first_pairs_of_each_part(tmp_path):
    tars = {
        "real": [write_source(tmp_path / "real.tar", 6, shown=lambda i: f"real {i}")],
        "made": [write_source(tmp_path / "made.tar", 6, (1.0, 1.5), lambda i: f"made {i}")],
    }
    pairs = train_clips.read_pairs(tars, [run_of("a", ("real", None, 2), ("made", 1.5, 4))])
    train_clips.write_pairs(tmp_path / "pairs.tar", pairs.values())
    with tarfile.open(tmp_path / "pairs.tar") as file:
        held = {member.name: file.extractfile(member).read() for member in file}
    texts = [held[name].decode() for name in sorted(held) if name.endswith(".txt")]
    assert sorted(texts) == ["made 0", "made 1", "made 2", "made 3", "real 0", "real 1"]
    images, manifest = shards.read(tars["made"][0])
    place = texts.index("made 3")
    wanted = images[(manifest["guidance"] == 1.5) & (manifest["image"] == 3)][0, 0]
    assert held[f"{place:09d}.png"] == shards.encode(wanted)


def test_the_whole_vocabulary_is_clips_own():
    texts = ["a photo of a three, thick", "Leaning LEFT & unverständlich"]
    tokens = clip.tokenizer({"context_length": 20})(texts)
    assert torch.equal(tokens, open_clip.tokenize(texts, 20))
    assert clip.config(TINY | {"merges": None}, 8)["text_cfg"]["vocab_size"] == 49408


WHOLE, SMALL = (clip.tokenizer({"context_length": 300, "merges": merges}) for merges in (None, 200))


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=30))
def test_a_small_vocabulary_reads_every_text(text):
    tokens = SMALL([text])[0]
    assert SMALL.vocab_size == 512 + 200 + 2
    assert tokens.max() == SMALL.eot_token_id == SMALL.vocab_size - 1  # the model takes its text feature at the largest token
    assert SMALL.decode(SMALL.encode(text)) == WHOLE.decode(WHOLE.encode(text))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run that has learned to tell dark from light, its settings, and an evaluation set."""
    deterministic(1)
    folder = tmp_path_factory.mktemp("clip")
    tar = write_source(folder / "real.tar", 40)
    run = run_of("learned", ("real", None, 40), iterations=40)
    train_clips.train_batch(settings_of(run, inputs={"real": 1}, learning_rate=1e-2), [tar], folder / "models", folder / "state", CPU)
    (folder / "set").mkdir()
    write_source(folder / "set/unseen.tar", 24)
    return folder


def test_images_are_prepared_as_in_training(trained):
    own, pixels = clip.load(trained / "models/learned.safetensors", CPU), np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    prepare = open_clip.image_transform(8, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3)
    with torch.inference_mode():
        expected = own.model.encode_image(torch.stack([prepare(Image.fromarray(image)) for image in pixels]), normalize=True)
    found = clip.image_features(own, classifier.normalise(pixels[:, None]), batch_size=2)
    assert torch.allclose(found, expected, atol=1e-5)


def test_heads_are_those_of_open_clips_zero_shot_evaluation(trained):
    own, templates = clip.load(trained / "models/learned.safetensors", CPU), ["{}", "a {} one", "the {}"]
    expected = open_clip.build_zero_shot_classifier(own.model, own.tokenize, NAMES, templates)
    found = clip.heads(own, NAMES, [template.replace("{}", "{name}") for template in templates], batch_size=4)
    assert torch.allclose(found, expected.T, atol=1e-5)


def test_logits_are_cosines_times_the_learned_scale(trained):
    own, images = clip.load(trained / "models/learned.safetensors", CPU), torch.rand(5, 1, 8, 8)
    found = clip.logits(own, clip.image_features(own, images), clip.heads(own, NAMES, ["{name}"]))
    with torch.inference_mode():
        expected, _ = own.model.get_logits(images.expand(-1, 3, -1, -1), own.tokenize(NAMES))
    assert torch.allclose(found, expected, atol=1e-4)
    assert 1 < own.scale < 100


TASKS = {
    "brightness": {"evaluation": "unseen", "templates": ["{name}"], "classes": {"light": [1], "dark": [0, 7]}, "captions": None},
    "ink": {"evaluation": "unseen", "templates": ["a {name} line"], "classes": None, "captions": {"thin": "thin", "wide": "wide"}},
    "own": {"evaluation": "unseen", "templates": ["{name}"], "classes": None, "captions": None},
    "elsewhere": {"evaluation": "other", "templates": ["{name}"], "classes": {"dark": [0]}, "captions": None},
}
CLASSES = pd.DataFrame({"class_id": [1, 0], "name": ["light", "dark"]})  # in no order


def evaluation_of(*names: str, tasks: dict = TASKS) -> dict:
    runs = [{key: value for key, value in run_of(name, ("real", None, 40)).items() if key not in ("iterations", "parts")} for name in names]
    return {"runs": runs, "evaluation": ["unseen"], "templates": ["{name}", "a {name}"], "tasks": tasks}


def test_a_trained_model_tells_the_classes_apart(trained):
    table = evaluate_clips.evaluate(evaluation_of("learned"), CLASSES, trained / "models", [trained / "set/unseen.tar"], CPU)
    assert table.columns.tolist() == [*RUN, "evaluation", "class_id", "images", "top1", "cross_entropy", "logit_scale"]
    assert table.dtypes[["class_id", "guidance"]].astype(str).tolist() == ["Int64", "Float64"]
    overall = table[table["class_id"].isna()].set_index("evaluation")
    assert overall["top1"].drop("ink").tolist() == [1, 1, 1]
    assert (overall["cross_entropy"].drop("ink") < 0.3).all()
    assert overall["images"].to_dict() == {"unseen": 24, "brightness": 24, "ink": 24, "own": 24}
    by_class = table.dropna(subset="class_id").set_index(["evaluation", "class_id"])
    assert by_class.index.tolist() == [(name, i) for name in ("unseen", "brightness", "ink", "own") for i in ((1, 0) if name == "unseen" else (0, 1))]
    # Both are about the light images: the class's own number in the first, the place of its text in the second.
    assert by_class.loc[("unseen", 1), "images"] == by_class.loc[("brightness", 0), "images"] == 12


def test_images_without_a_label_are_left_out():
    out, manifest = evaluate_clips.OUT, pd.DataFrame({"class_id": [0, 1, 2, 3], "caption": ["thick, tall", "thin", "thick, thin", None]})
    assert evaluate_clips.by_class({"odd": [3, 1], "zero": [0]}, manifest).tolist() == [1, 0, out, 0]
    assert evaluate_clips.by_caption({"a thin line": "thin", "a thick line": "thick"}, manifest).tolist() == [1, 0, out, out]
    assert evaluate_clips.by_caption({"a line": "thi"}, manifest).tolist() == [out] * 4


def test_a_run_without_a_model_is_told(trained):
    with pytest.raises(SystemExit, match=r"models/absent.safetensors: no such file, so run absent has not been trained"):
        evaluate_clips.evaluate(evaluation_of("learned", "absent"), CLASSES, trained / "models", [trained / "set/unseen.tar"], CPU)


@pytest.mark.parametrize("labels", [{"classes": {"none": [5]}, "captions": None}, {"classes": None, "captions": {"tall": "tall"}}])
def test_a_task_that_asks_about_no_image_is_told(trained, labels):
    settings = evaluation_of("learned", tasks={"t": {"evaluation": "unseen", "templates": ["{name}"]} | labels})
    with pytest.raises(SystemExit, match="task t: no image of unseen has one of its labels"):
        evaluate_clips.evaluate(settings, CLASSES, trained / "models", [trained / "set/unseen.tar"], CPU)
