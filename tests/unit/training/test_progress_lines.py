"""Lines of progress in the log of a training."""

from types import SimpleNamespace

import torch

from synscale.training import progress
from synscale.training.progress import TrainingProgress


def test_training_reports_speed_and_time_left_since_it_resumed(tmp_path, monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    path = tmp_path / "one.state"
    state = SimpleNamespace(load=lambda: 40, save=lambda step: None, due=False, path=path)
    path.with_suffix(".csv").write_text("iteration\n")
    processes = SimpleNamespace(is_main=True, broadcast=lambda step: step, mean=torch.Tensor.item)
    training = TrainingProgress(
        "real/one", 100, 8, "images", "", torch.nn.Linear(1, 1), state, processes, 40
    )
    assert training.resume() == 40
    now[0] += 60
    for _ in range(20):
        state.due = training.step == 59
        training.end_step(torch.tensor(0.5), 0.1, torch.tensor(1.0))
    expected = "step 60 of 100, training loss 0.5000, 3 images per second, about 2 min left"
    assert capsys.readouterr().out == f"real/one: {expected}\n"
