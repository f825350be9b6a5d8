"""A training that diverges stops, and the state on disk is the last one that is finite."""

import pytest
import torch

from synscale.models import classifier
from synscale.training import checkpoint, generator_loop
from tests.support.classifier_runs import classifier_job
from tests.support.trainings import recipe, train_on_noise, train_small_generator


def state_in(folder) -> dict:
    [path] = folder.rglob("*.state")
    return torch.load(path, weights_only=True)


@pytest.fixture
def save_every_step(monkeypatch):
    monkeypatch.setattr(checkpoint.TrainingCheckpoint, "due", property(lambda self: True))


def test_divergence_keeps_the_state_before_it(tmp_path, save_every_step, monkeypatch):
    """The third step of each attempt is NaN: a retry resumes, and never from NaN."""
    normalise, calls = classifier.normalise, []

    def broken(images):
        calls.append(1)
        return normalise(images) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(classifier, "normalise", broken)
    for saved_step in (2, 4):
        calls.clear()
        place = rf"real vit_tiny-n\d+-seed0: training loss is nan at step {saved_step + 1}"
        numbers = r"learning rate 0\.00\d+, gradient norm nan"
        with pytest.raises(SystemExit, match=rf"^{place} \({numbers}, .*; lower classifiers"):
            classifier_job(tmp_path, "a")
        state = state_in(tmp_path / "state_a")
        assert state["step"] == saved_step
        assert all(value.isfinite().all() for value in state["parts"]["model"].values())
    assert not (tmp_path / "a").exists()


def test_too_high_learning_rate_stops_a_training(tmp_path, save_every_step):
    with pytest.raises(SystemExit, match=r"real run: training loss is (nan|inf) at step [23] "):
        train_on_noise(tmp_path, recipe(learning_rate=1e30), 3)
    assert state_in(tmp_path)["step"] < 3


def test_divergence_in_the_last_step_gives_no_model(tmp_path):
    with pytest.raises(SystemExit, match=r"training loss is (nan|inf) at step [23] "):
        train_on_noise(tmp_path, recipe(learning_rate=1e30), 3)


def test_generator_divergence_keeps_the_state_before_it(tmp_path, save_every_step, monkeypatch):
    part, loss_of = generator_loop.KINDS["diffusion"]
    steps = []

    def broken(*arguments):
        steps.append(1)
        return loss_of(*arguments) * (float("inf") if len(steps) == 4 else 1)

    monkeypatch.setitem(generator_loop.KINDS, "diffusion", (part, broken))
    message = (
        r"^generator of kind diffusion: training loss is inf at step 4 .* lower training\.learn"
    )
    with pytest.raises(SystemExit, match=message):
        train_small_generator("diffusion", tmp_path)
    assert state_in(tmp_path)["step"] == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_state_that_is_not_finite_is_refused(tmp_path, value):
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    layer(torch.ones(2)).backward()
    optimizer.step()
    state = checkpoint.TrainingCheckpoint(
        tmp_path, "same", {"model": layer, "optimizer": optimizer}
    )
    state.save(1)
    assert state.load() == 1
    optimizer.state_dict()["state"][0]["exp_avg"][0, 1] = value
    state.save(2)
    message = (
        r"\.state: the saved .* not finite .* in optimizer\.state\.0\.exp_avg, .* remove this file"
    )
    with pytest.raises(SystemExit, match=message):
        state.load()
