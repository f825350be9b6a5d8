"""The training loop of CLIP against open_clip's trainer: same model, batches and seed, same losses.

Tolerance: 1e-4 of a loss near ln 8 = 2.1, over 12 steps in float32. The rest is rounding: this loop
has the fused kernel of AdamW, and computes the loss of micro-batches in chunks.
"""

from synscale.runtime.torch_setup import deterministic

import pytest
import torch

from synscale.training import clip_loop, pairs
from synscale.training.distributed import ProcessGroup
from tests.support import clip_peer
from tests.support.clip_runs import CPU, job_of, losses_of, run_of, write_source

STEPS = 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"micro_batch_size": 4, "gradient_clip": 0.5, "normalisation": "openai", "warmup": 0.4},
    ],
    ids=["default", "micro-batches"],
)
def test_losses_equal_those_of_open_clips_trainer(tmp_path, monkeypatch, recipe):
    deterministic(1)
    run = run_of("one", ("real", None, 20), iterations=STEPS, seed=3)
    job, processes = job_of(run, **recipe), ProcessGroup(CPU)
    opened_pairs = pairs.open_pairs({"real": [write_source(tmp_path / "real.tar", 20)]}, run.parts)
    count = job.micro_batches(1)
    batches = list(clip_loop.iter_micro_batches(job, opened_pairs, 0, count, processes))
    given = clip_peer.Batches(batches, job.recipe.normalisation)
    expected, weights = clip_peer.train(job, given, count)
    losses = losses_of(monkeypatch)
    model = clip_loop.train(job, opened_pairs, tmp_path / "state", "", processes)
    assert len(losses) == len(expected) == STEPS
    assert losses == pytest.approx(expected, abs=1e-4)
    assert max(losses) - min(losses) > 0.1  # it learns, so that equal losses mean something
    for name, value in clip_loop.weights_of(model).items():
        if not name.endswith("attn.in_proj_bias"):  # the keys' bias has no gradient
            assert torch.allclose(value, weights[name], atol=1e-4), name
