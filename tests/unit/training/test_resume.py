"""Saved state: how often it is written, writing in a thread, and the end of a SLURM allocation."""

import subprocess
import sys
import threading

import pytest
import torch

from synscale.cluster import allocation
from synscale.data import shards
from synscale.training import checkpoint, partial_shards
from tests.support import fake_slurm
from tests.support.fake_slurm import allocated
from tests.support.workflow import ROOT


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    forget = allocation.current.cache_clear
    yield fake_slurm.job(tmp_path / "bin", monkeypatch)
    forget()


@pytest.fixture
def blocked_writes(monkeypatch):
    """Writes wait until `blocked_writes.set()`."""
    release, save = threading.Event(), torch.save

    def late(value, path):
        release.wait(10)
        save(value, path)

    monkeypatch.setattr(torch, "save", late)
    yield release
    release.set()


def training(folder, **options):
    """A state of a layer with an optimizer that has momentum, after one step; and a function that
    does one more.
    """
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        layer(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()

    step()
    return checkpoint.TrainingCheckpoint(
        folder, "identity", {"layer": layer, "optimizer": optimizer}, **options
    ), step


def weights(state: checkpoint.TrainingCheckpoint) -> list[torch.Tensor]:
    return [value.clone() for value in state.parts["layer"].state_dict().values()]


def equal(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, one, two))


@pytest.mark.parametrize(
    ("seconds", "interval"), [(0.2, 300), (1.5, 300), (3.0, 600), (24.5, 4900)]
)
def test_save_that_takes_long_is_repeated_less_often(tmp_path, seconds, interval):
    """At most 0.5 % of the time: 4.9 GB at 200 MB/s take 24.5 s, and are written each 4,900 s."""
    state = checkpoint.TrainingCheckpoint(tmp_path, "identity", {})
    state.save_seconds = seconds
    assert state.interval == pytest.approx(interval)
    assert seconds / state.interval <= 0.005 + 1e-9


def test_interval_follows_what_tests_set(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_INTERVAL", 0.0)
    state = checkpoint.TrainingCheckpoint(tmp_path, "identity", {})
    state.save_seconds = 100.0
    assert state.interval == 0
    assert state.save_if_due(1) and state.save_if_due(2)


def test_state_in_thread_is_that_of_its_step(tmp_path, blocked_writes):
    """Steps after the save change the same tensors in place before the thread has written them."""
    state, step = training(tmp_path, background=True)
    state.save(1)
    saved = weights(state)
    step()
    after = weights(state)
    assert not equal(saved, after) and not state.path.exists()
    blocked_writes.set()
    fresh, again = training(tmp_path)
    assert fresh.load() == 1
    assert equal(weights(fresh), saved)
    again()
    assert equal(weights(fresh), after)


def test_state_in_thread_has_the_bytes_of_one_written_at_once(tmp_path):
    background, _ = training(tmp_path / "a", background=True)
    direct, _ = training(tmp_path / "b", background=False)
    background.save(1)
    direct.save(1)
    background.load()
    assert background.path.read_bytes() == direct.path.read_bytes()


def test_failed_thread_is_reported_by_the_next_save(tmp_path, monkeypatch):
    state, _ = training(tmp_path, background=True)
    state.save(1)
    state.load()
    before, save = state.path.read_bytes(), torch.save
    monkeypatch.setattr(
        torch, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    state.save(2)
    with pytest.raises(OSError, match="No space left"):
        state.save(3)
    assert state.path.read_bytes() == before
    monkeypatch.setattr(torch, "save", save)
    state.save(4)
    assert state.load() == 4


def test_write_under_way_is_not_followed_by_another(tmp_path, blocked_writes):
    state, _ = training(tmp_path, background=True)
    state.save(1)
    state.saved -= 1000  # as if it had taken that long
    state._began -= 1000
    assert not state.due
    blocked_writes.set()


def test_discard_waits_for_the_thread(tmp_path, blocked_writes):
    state, _ = training(tmp_path / "state", background=True)
    state.save(1)
    threading.Timer(0.1, blocked_writes.set).start()
    checkpoint.discard(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    assert state.load() == 0


@pytest.mark.slow
def test_process_ends_after_the_write(tmp_path):
    program = f"""
import time, torch
from synscale.training import checkpoint
save = torch.save
torch.save = lambda *a: (time.sleep(1), save(*a))
parts = {{"layer": torch.nn.Linear(1, 1)}}
checkpoint.TrainingCheckpoint({str(tmp_path)!r}, "identity", parts, background=True).save(5)
raise SystemExit("loss is not finite")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (
        checkpoint.TrainingCheckpoint(tmp_path, "identity", {"layer": torch.nn.Linear(1, 1)}).load()
        == 5
    )


def test_job_near_its_end_saves_and_is_requeued(tmp_path, slurm, monkeypatch):
    calls = tmp_path / "calls"
    state, _ = training(tmp_path / "state", background=True)
    slurm("scontrol", f'ls {tmp_path}/state/*.state > /dev/null && echo "$@" >> {calls}')
    monkeypatch.setattr(allocation, "current", lambda: allocated(3600, 400))
    assert not state.due and not state.save_if_due(1)
    monkeypatch.setattr(allocation, "current", lambda: allocated(3600, 299))
    assert state.due
    with pytest.raises(
        SystemExit, match="did not requeue it"
    ):  # a real SLURM would have ended this process
        state.save_if_due(2)
    assert calls.read_text() == "requeue 7\n"
    assert state.load() == 2


def test_slow_steps_and_saves_begin_the_end_earlier(tmp_path, monkeypatch):
    monkeypatch.setattr(allocation, "current", lambda: allocated(36000, 450))
    state = checkpoint.TrainingCheckpoint(tmp_path, "identity", {})
    assert not state.due
    state.step_seconds = 80.0
    assert state.due
    state.step_seconds, state.save_seconds = 0.0, 51.0
    assert state.due


def test_shard_near_its_end_keeps_its_images_and_is_requeued(tmp_path, slurm, monkeypatch):
    slurm("scontrol", f'echo "$@" >> {tmp_path}/calls')
    row = {"image": 0, "class_id": 0, "prompt": ""}
    state = partial_shards.PartialShards(tmp_path / "state", "identity", shards.PNG)
    monkeypatch.setattr(allocation, "current", lambda: allocated(3600, 400))
    assert not state.add(0, [("a", b"one", row)])
    monkeypatch.setattr(allocation, "current", lambda: allocated(3600, 200))
    with pytest.raises(SystemExit, match="did not requeue it"):
        state.add(1, [("b", b"two", row)])
    assert (tmp_path / "calls").read_text() == "requeue 7\n"
    assert partial_shards.PartialShards(tmp_path / "state", "identity", shards.PNG).counts() == {
        0: 2
    }


def test_processes_that_share_a_shard_wait_for_each_other(tmp_path, slurm, monkeypatch):
    """SLURM ends all of them at once: each saves, and lets the others finish the batch that they
    are at.
    """
    slurm("scontrol", "true")
    waits = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(allocation.time, "sleep", waits.append)
    monkeypatch.setattr(allocation, "current", lambda: allocated(3600, 200))
    state = partial_shards.PartialShards(tmp_path / "state", "identity", shards.PNG)
    state.batch_seconds = 20.0
    with pytest.raises(SystemExit, match="did not requeue it"):
        state.add(0, [("a", b"one", {"image": 0, "class_id": 0, "prompt": ""})])
    assert waits[0] == 30.0
    assert [path.name for path in (tmp_path / "state").rglob("*.json")] == ["requeued-1.json"]
