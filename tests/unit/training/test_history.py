"""Histories of trainings: their rows, the held-out loss, interruptions, and the job's table."""

import csv
import sys
from pathlib import Path
from types import ModuleType

from synscale.runtime.torch_setup import deterministic

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synscale.runtime import environment
from synscale.training import checkpoint, history, stream
from synscale.training.classifier_group import ClassifierLoss
from synscale.training.clip_group import train_clip
from synscale.training.distributed import ProcessGroup
from synscale.training.history import COLUMNS, TrainingHistory
from tests.support.clip_runs import run_of, settings_of, write_source
from tests.support.interrupted import Killed
from tests.support.trainings import recipe, train_on_noise, train_small_generator
from tests.support.workflow import ROOT

STEPS = 50
STABLE = COLUMNS.index("images_per_second")  # columns before it do not depend on time


@pytest.fixture(autouse=True)
def one_thread():
    deterministic(1)


def held_out_images() -> stream.InMemoryImages:
    random = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8, generator=random)
    return stream.InMemoryImages([24], pixels, torch.arange(24) % 10)


def rows_of(folder: Path) -> list[list[str]]:
    [path] = folder.glob("*.csv")
    return list(csv.reader(path.read_text().splitlines()))


@given(st.integers(1, 2_000_000))
def test_history_records_the_last_step_and_twenty_losses(total):
    recorded, held_out = history.recorded_steps(total), history.held_out_steps(total)
    assert total in held_out and held_out <= recorded <= set(range(1, total + 1))
    assert len(held_out) == min(total, 20) or total < 40
    assert len(recorded) <= 40 + total / history.MOST_STEPS


def test_training_records_loss_rate_norm_and_held_out_loss(tmp_path):
    loss = ClassifierLoss(held_out_images())
    model = train_on_noise(tmp_path, recipe(), STEPS, held_out_loss=loss)
    head, *rows = rows_of(tmp_path)
    assert head == list(COLUMNS)
    assert [int(row[0]) for row in rows] == sorted(history.recorded_steps(STEPS))
    table = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    assert sum(value != "" for value in table["held_out_loss"]) == 20
    assert float(table["held_out_loss"][-1]) == pytest.approx(loss(model), rel=1e-5)
    assert float(table["epoch"][-1]) == pytest.approx(STEPS * recipe().batch_size / 40)
    for name in ("loss", "learning_rate", "gradient_norm", "images_per_second"):
        assert all(float(value) > 0 for value in table[name][:-1]), name
    assert float(table["loss"][-1]) < float(table["loss"][0])


def test_held_out_loss_changes_no_weight(tmp_path):
    plain = train_on_noise(tmp_path / "a", recipe(), STEPS)
    loss = ClassifierLoss(held_out_images())
    watched = train_on_noise(tmp_path / "b", recipe(), STEPS, held_out_loss=loss)
    assert watched.training
    for name, value in plain.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


@pytest.mark.parametrize("killed", [1, 13, 14, 37, 50])
def test_interrupted_history_has_the_rows_of_an_undisturbed_one(tmp_path, monkeypatch, killed):
    loss = ClassifierLoss(held_out_images())
    train_on_noise(tmp_path / "a", recipe(), STEPS, held_out_loss=loss)
    with monkeypatch.context() as patch:
        steps = []

        def is_due(self):
            steps.append(0)
            if len(steps) == killed:
                raise Killed
            return len(steps) % 6 == 0

        patch.setattr(checkpoint.TrainingCheckpoint, "due", property(is_due))
        with pytest.raises(Killed):
            train_on_noise(tmp_path / "b", recipe(), STEPS, held_out_loss=loss)
    train_on_noise(tmp_path / "b", recipe(), STEPS, held_out_loss=loss)
    stable = [[row[:STABLE] for row in rows_of(tmp_path / name)] for name in "ab"]
    assert stable[0] == stable[1]


def test_row_that_was_cut_off_is_written_again(tmp_path):
    path = tmp_path / "x.csv"
    rows = TrainingHistory(path, "real run", 100, 8, 40)
    rows.resume(0)
    for step in (3, 5, 8):
        rows.add(step, 1.0, 0.1, 2.0, None)
    text = path.read_text()
    path.write_text(text + "10,2.0,0.")
    rows.resume(5)
    assert path.read_text() == "".join(text.splitlines(True)[:3])


def test_state_without_a_history_begins_one(tmp_path):
    rows = TrainingHistory(tmp_path / "x.csv", "real run", 100, 8, 40)
    rows.resume(5)
    rows.add(8, 1.0, 0.1, 2.0, None)
    assert [row[0] for row in rows_of(tmp_path)] == ["iteration", "8"]


def test_job_table_names_source_and_run(tmp_path):
    path = tmp_path / "x.csv"
    rows = TrainingHistory(path, "real run", 100, 8, 40)
    rows.resume(0)
    rows.add(100, 1.0, 0.1, 2.0, 0.5)
    history.write_job(tmp_path / "job.csv", [("real", "a", path), ("real", "b", path)])
    head, first, second = csv.reader((tmp_path / "job.csv").read_text().splitlines())
    assert head == ["source", "run", *COLUMNS]
    assert first[:4] == ["real", "a", "100", "20"] and second[:2] == ["real", "b"]


def test_tensorboard_gets_every_row(tmp_path, monkeypatch):
    shown = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, column, value, step):
            shown.append((self.folder.name, column, step))

        def flush(self):
            pass

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setenv(environment.TENSORBOARD, str(tmp_path / "runs"))
    train_on_noise(tmp_path, recipe(), 4)
    assert [row for row in shown if row[1] == "loss"] == [("run", "loss", n) for n in range(1, 5)]


def test_tensorboard_is_reported_if_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    message = "tensorboard = 'runs': package tensorboard is not installed; run `python -m pip"
    with pytest.raises(ValueError, match=message):
        environment.tensorboard({"tensorboard": "runs"})
    with pytest.raises(ValueError, match="tensorboard = 3: not a path"):
        environment.tensorboard({"tensorboard": 3})
    environment.tensorboard({"tensorboard": ""})


def test_generator_history_is_the_same_after_an_interruption(tmp_path, monkeypatch):
    evaluation = held_out_images(), ["one"] * 24
    train_small_generator("diffusion", tmp_path / "a", evaluation=evaluation)
    with monkeypatch.context() as patch:
        steps = []

        def is_due(self):
            steps.append(0)
            if len(steps) == 5:
                raise Killed
            return len(steps) == 3

        patch.setattr(checkpoint.TrainingCheckpoint, "due", property(is_due))
        with pytest.raises(Killed):
            train_small_generator("diffusion", tmp_path / "b", evaluation=evaluation)
    train_small_generator("diffusion", tmp_path / "b", evaluation=evaluation)
    first, second = ([row[:STABLE] for row in rows_of(tmp_path / name)] for name in "ab")
    assert first == second and len(first) == 1 + 6
    assert all(float(row[COLUMNS.index("held_out_loss")]) > 0 for row in first[1:])


def test_clip_history_has_a_zero_shot_loss(tmp_path):
    tar = write_source(tmp_path / "real.tar", 20)
    settings = settings_of(run_of("one", ("real", None, 20), iterations=20), inputs={"real": 1})
    for name, evaluation in (("a", []), ("b", [tar, str(ROOT / "data/digits_classes.csv")])):
        files = tmp_path / name, tmp_path / f"{name}.csv", tmp_path / f"state_{name}"
        train_clip(settings, [tar], evaluation, *files, ProcessGroup(torch.device("cpu")))
    models = [(tmp_path / name / "one.safetensors").read_bytes() for name in "ab"]
    assert models[0] == models[1]
    table = pd.read_csv(tmp_path / "b.csv")
    assert list(table["iteration"]) == list(range(1, 21))
    assert table["held_out_loss"].between(1, 20).all()
    assert pd.read_csv(tmp_path / "a.csv")["held_out_loss"].isna().all()
