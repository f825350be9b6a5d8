"""CLIP models trained by several processes equal those of one; a dead process ends the others."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from itertools import chain

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from synscale.data import shards
from synscale.study.models.generators import Storage
from synscale.training.distributed import ProcessGroup
from tests.support import clip_process
from tests.support.clip_process import BATCH, ITERATIONS, PAIRS
from tests.support.workflow import ROOT

SHARD = 5  # pairs


@pytest.fixture(scope="module")
def tars(tmp_path_factory) -> list[str]:
    """Noise, 8 x 8, RGB and webp, in five shards, the last of which is not full."""
    folder, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    paths = []
    for start in range(0, PAIRS, SHARD):
        rows = [
            (
                f"{i:05d}",
                random.integers(0, 256, (8, 8, 3), np.uint8),
                {"image": i, "class_id": -1, "prompt": f"number {i}"},
            )
            for i in range(start, min(start + SHARD, PAIRS))
        ]
        paths.append(str(folder / f"{start // SHARD:05d}.tar"))
        shards.write(paths[-1], rows, Storage(format="webp", quality=90))
    return paths


def single_process(
    tars: list[str], folder, workers: int = 0, weights: tuple = (1.0, 1.0), **training
) -> dict:
    """Train in this process."""
    deterministic(1)
    folder.mkdir(exist_ok=True)
    task = {"tars": tars, "folder": str(folder), "training": training, "weights": weights}
    clip_process.train(task, ProcessGroup(torch.device("cpu"), workers=workers))
    return left_by(folder)


def together(
    tars: list[str],
    folder,
    killed: int | None = None,
    weights: tuple = (1.0, 1.0),
    **training,
) -> subprocess.CompletedProcess:
    """Train by two processes, of which one dies in step `killed`."""
    folder.mkdir(exist_ok=True)
    task = {"tars": tars, "folder": str(folder), "killed": killed, "training": training}
    task["weights"] = weights
    file = folder.parent / f"{folder.name}.json"
    file.write_text(json.dumps(task))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "-m", "tests.support.clip_process", str(file)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )


def left_by(folder) -> dict:
    seen = [json.loads(path.read_text()) for path in sorted(folder.glob("seen.*.json"))]
    return {"weights": load_file(folder / "models/run.safetensors"), "seen": seen}


def same(a: dict, b: dict) -> bool:
    """Compare weights, but for the bias of attention's keys.

    It changes nothing, so that its gradient is rounding, which AdamW scales up.
    """
    for weights in (a, b):
        for name in (name for name in weights if name.endswith("attn.in_proj_bias")):
            weights[name].view(3, -1)[1] = 0
    return a.keys() == b.keys() and all(torch.allclose(a[name], b[name], atol=2e-5) for name in a)


@pytest.fixture(scope="module")
def one(tars, tmp_path_factory) -> dict:
    return single_process(tars, tmp_path_factory.mktemp("one"))


@pytest.mark.slow
def test_two_processes_train_as_one(tars, one, tmp_path):
    done = together(tars, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    two = left_by(tmp_path / "two")
    assert len(two["seen"]) == 2
    assert np.mean([seen["losses"] for seen in two["seen"]], axis=0) == pytest.approx(
        one["seen"][0]["losses"], abs=1e-5
    )
    assert same(one["weights"], two["weights"])
    # Each batch is that of one process, and an epoch has each pair once.
    batches = [
        list(chain(*lists))
        for lists in zip(*(seen["positions"] for seen in two["seen"]), strict=True)
    ]
    assert [sorted(batch) for batch in batches] == [
        sorted(batch) for batch in one["seen"][0]["positions"]
    ]
    for first in range(0, ITERATIONS, PAIRS // BATCH):
        assert Counter(chain(*batches[first : first + PAIRS // BATCH])) == Counter(range(PAIRS))


@pytest.fixture(scope="module")
def weighted(tars, tmp_path_factory) -> dict:
    return single_process(tars, tmp_path_factory.mktemp("weighted"), weights=(3.0, 1.0))


def test_weights_of_parts_are_relative(tars, one, weighted, tmp_path):
    doubled = single_process(tars, tmp_path / "doubled", weights=(6.0, 2.0))
    assert same(weighted["weights"], doubled["weights"])
    assert not same(weighted["weights"], one["weights"])


def test_micro_batches_of_weighted_pairs_train_as_one(tars, weighted, tmp_path):
    split = single_process(tars, tmp_path / "split", weights=(3.0, 1.0), micro_batch_size=4)
    assert same(weighted["weights"], split["weights"])


@pytest.mark.slow
def test_two_processes_train_weighted_pairs_as_one(tars, weighted, tmp_path):
    done = together(tars, tmp_path / "two", weights=(3.0, 1.0))
    assert done.returncode == 0, done.stderr
    assert same(weighted["weights"], left_by(tmp_path / "two")["weights"])


@pytest.mark.slow
def test_dead_process_ends_the_others_and_one_resumes(tars, one, tmp_path):
    began = time.monotonic()
    done = together(tars, tmp_path / "killed", killed=4)
    assert done.returncode != 0
    assert time.monotonic() - began < 120
    assert not (tmp_path / "killed/models").exists()
    resumed = single_process(tars, tmp_path / "killed")
    losses = resumed["seen"][0]["losses"]
    assert len(losses) == ITERATIONS - 3  # the first three steps are not repeated
    assert losses == pytest.approx(one["seen"][0]["losses"][3:], abs=1e-5)
    assert same(one["weights"], resumed["weights"])


def test_workers_change_nothing(tars, one, tmp_path):
    result = single_process(tars, tmp_path / "workers", workers=2)
    assert result["seen"][0]["losses"] == one["seen"][0]["losses"]


def test_micro_batches_equal_the_full_batch(tars, one, tmp_path):
    result = single_process(tars, tmp_path / "micro", micro_batch_size=3)
    assert [len(positions) for positions in result["seen"][0]["positions"]] == [2] * (
        ITERATIONS * BATCH // 2
    )
    assert result["seen"][0]["losses"] == pytest.approx(one["seen"][0]["losses"], abs=1e-5)
    assert same(one["weights"], result["weights"])


@pytest.mark.slow
def test_micro_batches_of_two_processes_equal_the_full_batch(tars, one, tmp_path):
    """Compiled, with gradient checkpointing; a process dies, and one process resumes."""
    options = {"compile": "aot_eager", "gradient_checkpointing": True, "micro_batch_size": 2}
    torch._dynamo.utils.counters.clear()
    done = together(tars, tmp_path / "two", killed=4, **options)
    assert done.returncode != 0
    assert "step 3 of 6" in done.stdout
    resumed = single_process(tars, tmp_path / "two", **options)
    assert len(resumed["seen"][0]["losses"]) == ITERATIONS - 3
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    assert same(one["weights"], resumed["weights"])


@pytest.mark.slow
def test_compiled_model_is_the_same(tars, one, tmp_path):
    torch._dynamo.utils.counters.clear()
    result = single_process(tars, tmp_path / "compiled", compile="aot_eager")
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    assert same(one["weights"], result["weights"])


def test_ranks_that_cannot_share_a_batch_are_reported(tars, tmp_path):
    processes = ProcessGroup(torch.device("cpu"), 0, 3)
    with pytest.raises(SystemExit, match=r"clip.batch_size \(8\) must be divisible by .* \(3\)"):
        clip_process.train({"tars": tars, "folder": str(tmp_path)}, processes)
