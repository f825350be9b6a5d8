"""A generation job that is interrupted: the same bytes in the end, and no image sampled twice."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scripts import generate
from synscale.data import shards
from synscale.models import pipeline_files, pipelines
from synscale.runtime import launch
from synscale.training import checkpoint, partial_shards
from tests.support import tiny_pipelines
from tests.support.interrupted import Killed
from tests.support.study_with import generate_options, study_with
from tests.support.workflow import ROOT

IMAGES = 20
BATCH = 4
PREFIX = "the digit "


class FakeModel:
    """Generates images that follow from prompt, seed and guidance, and is killed at one call.

    `calls` lists the seeds of each call.
    """

    def __init__(self, killed_at: int | None = None):
        self.calls: list[list[int]] = []
        self.killed_at = killed_at

    @property
    def images(self) -> int:
        return sum(map(len, self.calls))

    def sample(self, pipeline, prompts, seeds, guidance, settings):
        if len(self.calls) == self.killed_at:
            raise Killed
        self.calls.append(list(seeds))
        pairs = zip(prompts, seeds, strict=True)
        return np.stack([self.image(prompt, seed) for prompt, seed in pairs])

    def image(self, prompt: str, seed: int) -> np.ndarray:
        if seed == pipelines.seed_of("released_images", 2.0, 5):  # image 5 is blank at first
            return np.zeros((16, 16, 3), np.uint8)
        random = np.random.default_rng([seed, *prompt.encode()])
        return random.integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture
def shard(tmp_path, monkeypatch):
    """A function that generates 20 images with a fake model and returns the bytes of both files."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(pipelines, "load", lambda *_: None)
    monkeypatch.setattr(pipeline_files, "revision", lambda *folders: folders[0])
    monkeypatch.setattr(pipelines, "sampler_of", lambda *_: "fake")
    monkeypatch.setattr(pipelines, "scheduler_of", lambda *_: "{}")
    monkeypatch.setattr(checkpoint, "CHECKPOINT_INTERVAL", 0.0)

    def shard(model, name="shard", revision="r", prefix=PREFIX, batch=BATCH, more=""):
        monkeypatch.setattr(pipelines, "sample", model.sample)
        pool = tmp_path / "pool.parquet"
        texts = [f"{prefix}{i}" for i in range(10)]
        pd.DataFrame({"class_id": range(10), "text_id": 0, "text": texts}).to_parquet(pool)
        keys = f", revision: {'0' * 40!r}, batch_size: {batch}{more}"
        study = study_with(tmp_path, "owner/name", keys)
        tar = tmp_path / f"{name}.tar"
        files = {"pipeline": revision, "prompts": pool, "output": tar, "state": shard.state}
        generate.main(generate_options(study, **files))
        return tar.read_bytes(), shards.manifest_path(tar).read_bytes()

    shard.state = tmp_path / "state"
    return shard


def partial_tars(shard) -> list:
    return sorted(shard.state.rglob("*.tar"))


def interrupt(shard, killed_at: int, **changes) -> FakeModel:
    """Generate until a call of the model; return the model."""
    model = FakeModel(killed_at)
    with pytest.raises(Killed):
        shard(model, **changes)
    return model


def test_interrupted_shard_resumes_after_its_saved_images(shard):
    undisturbed = FakeModel()
    expected = shard(undisturbed, "undisturbed")
    # One image of the second batch is blank, and sampled again after the third.
    assert [len(seeds) for seeds in undisturbed.calls] == [4, 4, 4, 1, 4, 4]
    calls = []
    for killed_at in (4, 2):
        calls += interrupt(shard, killed_at).calls[bool(calls) :]
        assert not list(shard.state.parent.glob("shard*"))  # no file that looks complete
    last = FakeModel()
    assert shard(last) == expected
    # The last batch of each attempt is lost: it was sampled but not yet encoded.
    assert calls + last.calls[1:] == undisturbed.calls
    assert not shard.state.exists()


def test_images_are_saved_from_time_to_time(shard, monkeypatch):
    expected = shard(FakeModel(), "undisturbed")
    killed = FakeModel(killed_at=4)
    clock = SimpleNamespace(monotonic=lambda: 100.0 * len(killed.calls))  # 100 s for each call
    monkeypatch.setattr(partial_shards, "time", clock)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_INTERVAL", 300.0)
    with pytest.raises(Killed):
        shard(killed)
    # Four calls gave three batches, an image of the second of which was blank at first; the third
    # was not yet encoded, and is lost.
    manifests = [shards.manifest_path(tar) for tar in partial_tars(shard)]
    assert [len(pd.read_parquet(manifest)) for manifest in manifests] == [2 * BATCH]
    rest = FakeModel()
    assert shard(rest) == expected
    assert rest.images == IMAGES - 2 * BATCH


def halved(data: bytes, _) -> bytes:
    return data[: len(data) // 2]


def garbled(data: bytes, place: int) -> bytes:
    """Change 60 bytes from `place` on, fewer than an image has."""
    changed = bytes(byte ^ 255 for byte in data[place : place + 60])
    return data[:place] + changed + data[place + 60 :]


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
@pytest.mark.parametrize("damage", [halved, garbled])
def test_only_a_damaged_partial_shard_is_repeated(shard, capsys, suffix, damage):
    expected = shard(FakeModel(), "undisturbed")
    interrupt(shard, 5)
    tars = partial_tars(shard)
    assert len(tars) == 3
    second = tars[1].with_suffix(suffix)
    place = pd.read_parquet(shards.manifest_path(second))["offset"][2]
    second.write_bytes(damage(second.read_bytes(), place))
    rest = FakeModel()
    assert shard(rest) == expected
    # The second partial shard, in which one image is blank at first, and the last two batches,
    # which were not saved.
    assert rest.images == BATCH + 1 + 2 * BATCH
    assert "from image 4 on is damaged, and is generated again" in capsys.readouterr().out


def test_incomplete_partial_shard_is_not_used(shard):
    """Its manifest is written last."""
    expected = shard(FakeModel(), "undisturbed")
    interrupt(shard, 5)
    shards.manifest_path(partial_tars(shard)[-1]).unlink()
    rest = FakeModel()
    assert shard(rest) == expected
    assert rest.images == 3 * BATCH


@pytest.mark.parametrize(
    "other",
    [{"revision": "another"}, {"prefix": "a picture of "}, {"more": ", precision: float16"}],
    ids=str,
)
def test_images_of_other_settings_are_not_used(shard, other):
    expected = shard(FakeModel(), "undisturbed", **other)
    interrupt(shard, 4)
    before = partial_tars(shard)
    rest = FakeModel()
    assert shard(rest, **other) == expected
    assert rest.images == IMAGES + 1
    interrupt(shard, 4)
    interrupt(shard, 0, **other)
    assert before and not partial_tars(shard)  # such images are removed when a job begins


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_shard_resumes_with_another_batch_size(shard, batch):
    expected = shard(FakeModel(), "undisturbed")
    interrupt(shard, 4)
    assert len(partial_tars(shard)) == 2  # 8 images
    rest = FakeModel()
    assert shard(rest, batch=batch) == expected
    sizes = [min(batch, 12 - first) for first in range(0, 12, batch)]
    assert [len(seeds) for seeds in rest.calls] == sizes


def test_failed_shard_leaves_no_file_and_says_why(shard):
    """A second attempt fails in the same way."""
    model = FakeModel()
    blank = np.zeros((16, 16, 3), np.uint8)
    model.image = lambda prompt, seed: (
        blank if "7" in prompt else FakeModel.image(model, prompt, seed)
    )
    image = "image g2-000000007, prompt 'the digit 7': of a single colour"
    for _ in range(2):
        with pytest.raises(SystemExit, match=f"released_images, by released: {image}"):
            shard(model)
    assert not list(shard.state.parent.glob("shard*"))


# A job that kills itself (or its second process) at the third call of the model.
PROCESS = """
import os, signal, sys, time
from pathlib import Path
from scripts import generate
from synscale.models import pipeline_files, pipelines
from synscale.training import checkpoint
checkpoint.CHECKPOINT_INTERVAL, sample, calls = 0.0, pipelines.sample, []
state = Path(sys.argv[sys.argv.index("--state") + 1])
def deadly(*arguments):
    calls.append(arguments)
    if len(calls) == 3 and os.environ.get("RANK", "1") == "1":
        while not any(state.rglob("*.parquet")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    return sample(*arguments)
pipelines.sample = deadly
generate.main(sys.argv[1:])
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Options, without the output, of a job with a real model: 20 images in batches of 5."""
    monkeypatch.chdir(ROOT)
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    pool = pd.DataFrame({"class_id": range(10), "text_id": 0, "text": ["one", "two"] * 5})
    pool.to_parquet(tmp_path / "pool.parquet")
    study = study_with(tmp_path, tmp_path / "model", ", batch_size: 5")
    files = {"pipeline": tmp_path / "model", "prompts": tmp_path / "pool.parquet"}
    return [*generate_options(study, **files, state=tmp_path / "state"), "--output"]


@pytest.fixture
def calls(monkeypatch):
    """Seeds of each call of the model in this process."""
    calls = []
    sample = pipelines.sample

    def recorded(pipeline, prompts, seeds, *rest):
        calls.append(seeds)
        return sample(pipeline, prompts, seeds, *rest)

    monkeypatch.setattr(pipelines, "sample", recorded)
    return calls


def are_equal(first, second) -> bool:
    suffixes = (".tar", ".parquet")
    pairs = [(first.with_suffix(suffix), second.with_suffix(suffix)) for suffix in suffixes]
    return all(one.read_bytes() == other.read_bytes() for one, other in pairs)


def run(command: list[str]) -> subprocess.CompletedProcess:
    variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)


def test_killed_process_resumes_with_a_real_model(tmp_path, job, calls):
    generate.main([*job, str(tmp_path / "undisturbed.tar")])
    undisturbed = list(calls)
    assert len(undisturbed) == IMAGES // 5
    tar = tmp_path / "killed.tar"
    killed = run([sys.executable, "-c", PROCESS, *job, str(tar)])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not tar.exists() and not shards.manifest_path(tar).exists()
    calls.clear()
    generate.main([*job, str(tar)])
    assert calls == undisturbed[1:]  # the second batch was sampled, but not yet encoded
    assert are_equal(tar, tmp_path / "undisturbed.tar")
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_two_processes_generate_the_same_shard(tmp_path, job):
    generate.main([*job, str(tmp_path / "one.tar")])
    command = launch.command(2, 1, 2, ["scripts.generate", *job, str(tmp_path / "two.tar")])
    process = run(command)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("10 images generated") == 2
    assert are_equal(tmp_path / "two.tar", tmp_path / "one.tar")
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_shard_resumes_with_another_number_of_processes(tmp_path, job, calls):
    generate.main([*job, str(tmp_path / "one.tar")])
    count = len(calls)
    tar = tmp_path / "killed.tar"
    (tmp_path / "deadly.py").write_text(PROCESS.replace("== 3", "== 2"))
    command = launch.command(2, 1, 2, ["scripts.generate", *job, str(tar)])
    launcher = command[: command.index("-m", 3)]
    killed = run([*launcher, str(tmp_path / "deadly.py"), *job, str(tar)])
    assert killed.returncode != 0
    assert not tar.exists() and not shards.manifest_path(tar).exists()
    calls.clear()
    generate.main([*job, str(tar)])
    assert 0 < len(calls) < count
    assert are_equal(tar, tmp_path / "one.tar")
