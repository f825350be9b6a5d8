"""CLIP jobs: repeatable, resumed at any step, stopped on divergence, refused if impossible."""

import multiprocessing
import shutil

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
import pytest
import torch

from synscale.data import shards
from synscale.planning.flops import forward_flops
from synscale.study.load import load_study
from synscale.timing import training
from synscale.timing.bench import Bench
from synscale.training import clip_loop
from synscale.training.clip_group import train_clip
from synscale.training.distributed import ProcessGroup
from tests.support.clip_runs import (
    CPU,
    before_each_step,
    run_of,
    save_every,
    settings_of,
    write_source,
)
from tests.support.interrupted import Killed
from tests.support.workflow import SMOKE

STEPS, INTERVAL = 7, 3


@pytest.fixture(autouse=True)
def one_thread():
    deterministic(1)


@pytest.fixture
def job(tmp_path):
    """Train two runs, one on two sources, and return the files: job(name) -> {file name: bytes}."""
    tars = [
        write_source(tmp_path / "real.tar", 10),
        write_source(tmp_path / "made.0.tar", 10, (1.0, 1.5)),
    ]
    runs = (
        run_of("mixed", ("real", None, 10), ("made", 1.5, 6)),
        run_of("alone", ("made", 1.0, 8), seed=1),
    )

    def start(name, **training):
        settings = settings_of(*runs, inputs={"real": 1, "made": 1}, **training)
        files = tmp_path / name, tmp_path / f"{name}.csv", tmp_path / f"state_{name}"
        train_clip(settings, tars, [], *files, ProcessGroup(CPU))
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}

    start.tars, start.folder = tars, tmp_path
    return start


def test_same_job_gives_the_same_models(job):
    first = job("a")
    torch.rand(7), np.random.rand(7)  # the state of the process is no part of the result
    assert sorted(first) == ["alone.safetensors", "mixed.safetensors"]
    assert job("b") == first


def test_finished_runs_survive_an_interruption(job, monkeypatch):
    undisturbed, train, trained = job("a"), clip_loop.train, []

    def killed_at_the_second(planned, *rest, **named):
        trained.append(planned.run.name)
        if trained == ["mixed", "alone"]:
            raise Killed
        return train(planned, *rest, **named)

    monkeypatch.setattr(clip_loop, "train", killed_at_the_second)
    with pytest.raises(Killed):
        job("b")
    assert not (job.folder / "b").exists()
    assert job("b") == undisturbed
    assert trained == ["mixed", "alone", "alone"]
    assert not (job.folder / "state_b").exists()


@pytest.fixture
def run(tmp_path):
    """Train a run of seven steps and return its model: run(name) -> bytes."""
    tar = write_source(tmp_path / "one.tar", 10)
    row = run_of("one", ("real", None, 10), iterations=STEPS)

    def start(name, workers=0, **training):
        settings = settings_of(row, inputs={"real": 1}, **training)
        output, processes = tmp_path / name, ProcessGroup(CPU, workers=workers)
        files = output, tmp_path / f"{name}.csv", tmp_path / f"state_{name}"
        train_clip(settings, [tar], [], *files, processes)
        return (output / "one.safetensors").read_bytes()

    start.folder = tmp_path
    return start


def test_resumes_bit_identical_from_any_step(run, monkeypatch):
    """At most the steps since the last save are repeated."""
    undisturbed = run("a")
    for killed in range(1, STEPS + 1):
        begun = []

        def interrupt(step, killed=killed, begun=begun):
            begun.append(step)
            if step == killed:
                raise Killed

        with monkeypatch.context() as patch:
            save_every(patch, INTERVAL)
            before_each_step(patch, interrupt)
            with pytest.raises(Killed):
                run("b")
            assert not (run.folder / "b").exists()
            assert run("b") == undisturbed
        repeated = len(begun) - 1 - STEPS  # the interrupted step was not done
        assert repeated == (killed - 1) % INTERVAL
        assert not (run.folder / "state_b").exists()
        shutil.rmtree(run.folder / "b")


def test_reader_processes_start_once_per_run(run, monkeypatch):
    without_workers, begin, started = run("a"), multiprocessing.process.BaseProcess.start, []

    def counted(process):
        started.append(process)
        begin(process)

    save_every(monkeypatch, 1)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", counted)
    monkeypatch.setattr(clip_loop, "load_pairs", lambda pairs: pairs.images)
    assert run("b", workers=1) == without_workers  # also: read from disk instead of memory
    assert len(started) == 1


def test_divergence_stops_before_the_state_is_saved(run, monkeypatch):
    undisturbed, begun, poisoned = run("a"), [], [True]
    gradients = clip_loop.Gradients.__call__

    def diverging(self, share):
        begun.append(None)
        loss = gradients(self, share)
        if poisoned and len(begun) == 3:
            self.model.visual.proj.grad[0, 0] = torch.nan  # the loss itself is finite
        return loss

    save_every(monkeypatch, 1)
    monkeypatch.setattr(clip_loop.Gradients, "__call__", diverging)
    where = r"both one: training loss is \d\.\d+ at step 3 \(learning rate 0\.00\d+"
    with pytest.raises(SystemExit, match=where + ", gradient norm nan.*lower clip.learning_rate"):
        run("b")
    assert not (run.folder / "b").exists()
    poisoned.clear()
    assert run("b") == undisturbed
    assert len(begun) == 3 + STEPS - 2  # resumed from the finite state of step 2


def test_divergence_is_found_without_a_save(run):
    with pytest.raises(SystemExit, match=r"both one: training loss is (nan|inf) at step \d \("):
        run("a", learning_rate=1e38)
    assert not (run.folder / "a").exists()


def test_every_setting_and_caption_makes_another_model(job):
    first = job("a")
    assert job("b", learning_rate=1e-3) != first
    job.tars[0] = write_source(job.folder / "real.tar", 10, shown=lambda i: "blank")
    changed = job("c")
    assert changed["mixed.safetensors"] != first["mixed.safetensors"]
    assert changed["alone.safetensors"] == first["alone.safetensors"]


def test_output_has_one_line_per_run(job, capfd):
    job("a")
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["both mixed", "both alone"]
    assert all("4 steps, last training loss " in line for line in lines)
    assert err == ""


def test_truncated_tar_is_found_before_training_starts(job, monkeypatch):
    monkeypatch.setattr(clip_loop, "train", lambda *_, **__: pytest.fail("training started"))
    with open(job.tars[1], "r+b") as file:
        file.truncate(6000)
    with pytest.raises(
        shards.ShardError,
        match=r"made.0.tar: truncated \(6000 bytes, expected at least \d+\); remove both files",
    ):
        job("a")


def test_changed_image_stops_the_training(job):
    rows = pd.read_parquet(shards.manifest_path(job.tars[0]))
    with open(job.tars[0], "r+b") as file:
        file.seek(rows["offset"][3] + 40)
        file.write(b"\0\0")
    with pytest.raises(
        shards.ShardError,
        match=r"real.tar: the sha256 of image 'None-003' is not the one in the manifest",
    ):
        job("a")
    assert not (job.folder / "a").exists()


@pytest.mark.parametrize(
    ("run", "inputs", "message"),
    [
        (
            run_of("a", ("real", None, 11)),
            {"real": 1},
            r"real.tar: too few images of real at guidance None .* \(10, expected 11\)",
        ),
        (
            run_of("a", ("real", None, 4)),
            {"real": 2},
            "wrong number of tars .1, expected 2 of real",
        ),
        (
            run_of("a", ("made", 1.5, 4)),
            {"real": 1, "made": 1},
            "wrong number of tars .1, expected 2 of real, made",
        ),
    ],
)
def test_untrainable_clip_is_reported(tmp_path, run, inputs, message):
    tar = write_source(tmp_path / "real.tar", 10)
    with pytest.raises((SystemExit, shards.ShardError), match=message):
        train_clip(
            settings_of(run, inputs=inputs),
            [tar],
            [],
            tmp_path / "out",
            tmp_path / "out.csv",
            tmp_path / "state",
            ProcessGroup(CPU),
        )


def test_calibration_has_the_real_number_of_micro_batches(tmp_path):
    study = load_study(SMOKE)
    clip = study.clip.model_copy(update={"batch_size": 16, "micro_batch_size": 4})
    a_bench = Bench(SMOKE, study.model_copy(update={"clip": clip}), CPU, tmp_path, seconds=0.01)
    reader, steps, rest = training.train_clip(a_bench)
    architecture = clip.architectures["clip_tiny"]
    assert reader.units.keys() == {"read"}
    assert steps.what == "clip_tiny, batches of 16 in 4 micro-batches"
    flops = forward_flops(architecture, 8) * 16 / 1e12
    # One forward pass without gradients, one with, and a backward pass that counts as two.
    assert steps.units["tflop"] == pytest.approx(4 * flops * steps.units["step"])
    assert steps.seconds > 0
    assert rest.units == {"run": 1}
    assert (tmp_path / "clip/clip_tiny.safetensors").exists()
