"""CLIP models: open_clip's trainer is made repeatable and watched."""

import logging

import scripts.lib.torch_setup  # noqa: F401
from scripts.lib.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch

from scripts import train_clips
from scripts.lib import resume, shards
from scripts.lib.distributed import Team
from tests.support.clip_runs import CPU, run_of, settings_of, write_source


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread():
    deterministic(1)


@pytest.fixture
def job(tmp_path):
    """Train two runs, one on two sources, and return the files: job(name) -> {file name: bytes}."""
    tars = [write_source(tmp_path / "real.tar", 10), write_source(tmp_path / "made.0.tar", 10, (1.0, 1.5))]
    runs = run_of("mixed", ("real", None, 10), ("made", 1.5, 6)), run_of("alone", ("made", 1.0, 8), seed=1)

    def start(name, **training):
        settings = settings_of(*runs, inputs={"real": 1, "made": 1}, **training)
        train_clips.train_batch(settings, tars, tmp_path / name, tmp_path / f"state_{name}", Team(CPU))
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


@pytest.mark.parametrize(("every", "again"), [(0.0, [1]), (300.0, [0, 1])], ids=["it was time to save", "it was not"])
def test_a_run_killed_between_two_checkpoints_ends_as_an_undisturbed_one(job, monkeypatch, every, again):
    undisturbed, one_epoch, epochs = job("a", checkpoints=2), train_clips.trainer.train_one_epoch, []
    monkeypatch.setattr(resume, "EVERY", every)

    def killed_at_the_second(model, data, loss, epoch, *rest, **named):
        epochs.append(epoch)
        if epochs == [0, 1]:
            raise Killed
        return one_epoch(model, data, loss, epoch, *rest, **named)

    monkeypatch.setattr(train_clips.trainer, "train_one_epoch", killed_at_the_second)
    with pytest.raises(Killed):
        job("b", checkpoints=2)
    assert job("b", checkpoints=2) == undisturbed
    assert epochs == [0, 1, *again, 0, 1]  # a second run follows


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
    get_data, before = train_clips.trainer.get_data, (list(logging.root.handlers), logging.root.level, logging.getLogger("PIL").level)
    job("a")
    assert (list(logging.root.handlers), logging.root.level, logging.getLogger("PIL").level) == before
    assert train_clips.trainer.get_data is get_data
    out, err = capfd.readouterr()
    assert out.count("\n") == 2
    assert len(err) < 1000


def test_a_tar_that_is_cut_off_is_found_before_training_starts(job, monkeypatch):
    monkeypatch.setattr(train_clips, "train", lambda *_: pytest.fail("training started"))
    with open(job.tars[1], "r+b") as file:
        file.truncate(6000)
    with pytest.raises(shards.ShardError, match=r"made.0.tar: 6000 bytes long, but its manifest names images up to byte \d+: remove both files"):
        job("a")


def test_a_changed_image_stops_the_training_that_reads_it(job):
    rows = pd.read_parquet(shards.manifest_path(job.tars[0]))
    with open(job.tars[0], "r+b") as file:
        file.seek(rows["offset"][3] + 40)
        file.write(b"\0\0")
    with pytest.raises(shards.ShardError, match=r"real.tar: image 'None-003' has another sha256 than its manifest says"):
        job("a")
    assert not (job.folder / "a").exists()


@pytest.mark.parametrize(
    ("run", "inputs", "message"),
    [
        (run_of("a", ("real", None, 11)), {"real": 1}, "10 images at guidance None, but a run needs 11 of real"),
        (run_of("a", ("real", None, 4)), {"real": 2}, "1 tars were named, but real have 2"),
        (run_of("a", ("made", 1.5, 4)), {"real": 1, "made": 1}, "1 tars were named, but real, made have 2"),
        (run_of("a", ("real", None, 4), iterations=5), {"real": 1}, "a: 5 iterations cannot be cut into 2 equal parts"),
    ],
)
def test_what_cannot_be_trained_is_told(tmp_path, run, inputs, message):
    tar = write_source(tmp_path / "real.tar", 10)
    with pytest.raises((SystemExit, shards.ShardError), match=message):
        train_clips.train_batch(settings_of(run, inputs=inputs, checkpoints=2), [tar], tmp_path / "out", tmp_path / "state", Team(CPU))
