"""A shard of images that is killed while it is made: the same bytes in the end, and no image that
was kept is made again.
"""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

from synscale.runtime.torch_setup import deterministic  # noqa: F401

import numpy as np
import pandas as pd
import pytest

from scripts import generate
from synscale.data import shards
from synscale.models import pipelines
from synscale.runtime import launch
from synscale.training import checkpoint, partial_shards
from tests.support import tiny_pipelines
from tests.support.study_with import study_with
from tests.support.workflow import ROOT

IMAGES, BATCH, PREFIX = 20, 4, "the digit "


class Killed(Exception):
    pass


class Played:
    """In place of a model: an image follows from its prompt, seed and guidance. `asked`: its calls.
    Raises `fault` in place of call `dies_at`.
    """

    def __init__(self, dies_at: int | None = None, fault=Killed):
        self.asked, self.dies_at, self.fault = [], dies_at, fault

    def sample(self, pipeline, prompts, seeds, guidance, sampling):
        if len(self.asked) == self.dies_at:
            raise self.fault
        self.asked.append(list(seeds))
        return np.stack(
            [self.image(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        )

    def image(self, prompt: str, seed: int) -> np.ndarray:
        if seed == pipelines.seed_of("released_images", 2.0, 5):  # image 5 is blank at first
            return np.zeros((16, 16, 3), np.uint8)
        return np.random.default_rng([seed, *prompt.encode()]).integers(
            0, 256, (16, 16, 3), np.uint8
        )


@pytest.fixture
def shard(tmp_path, monkeypatch):
    """A function that makes the shard of 20 images in batches of 4 with a model that is played, and
    gives its two files' bytes.
    """
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(pipelines, "load", lambda *_: None)
    monkeypatch.setattr(pipelines, "revision", lambda path: path)
    monkeypatch.setattr(pipelines, "sampler_of", lambda *_: "played")
    monkeypatch.setattr(pipelines, "scheduler_of", lambda *_: "{}")
    monkeypatch.setattr(checkpoint, "CHECKPOINT_INTERVAL", 0.0)

    def make(model, name="shard", revision="r", prefix=PREFIX, batch=BATCH, more=""):
        monkeypatch.setattr(pipelines, "sample", model.sample)
        pool, tar = tmp_path / "pool.parquet", tmp_path / f"{name}.tar"
        pd.DataFrame(
            {"class_id": range(10), "text_id": 0, "text": [f"{prefix}{i}" for i in range(10)]}
        ).to_parquet(pool)
        study = study_with(
            tmp_path, "owner/name", f", revision: {'0' * 40!r}, batch_size: {batch}{more}"
        )
        what = [
            "--source",
            "released_images",
            "--shard",
            "00000",
            "--classes",
            "data/digits_classes.csv",
            "--pipeline",
            revision,
        ]
        generate.main(
            [
                "--study",
                str(study),
                *what,
                "--prompts",
                str(pool),
                "--output",
                str(tar),
                "--state",
                str(make.state),
            ]
        )
        return tar.read_bytes(), shards.manifest_path(tar).read_bytes()

    make.state = tmp_path / "state"
    return make


def kept(shard) -> list:
    return sorted(shard.state.rglob("*.tar"))


def test_a_killed_shard_goes_on_after_the_images_that_it_has_kept(shard):
    whole = Played()
    expected = shard(whole, "undisturbed")
    assert [len(seeds) for seeds in whole.asked] == [
        4,
        4,
        4,
        1,
        4,
        4,
    ]  # one image of the second batch was blank, and is drawn again after the third
    first, second, third = Played(dies_at=4), Played(dies_at=2), Played()
    for killed in (first, second):
        with pytest.raises(Killed):
            shard(killed)
        assert not list(shard.state.parent.glob("shard*"))  # nothing that looks whole
    assert shard(third) == expected
    # Of each try the last batch is lost, which was sampled but not yet encoded.
    assert first.asked + second.asked[1:] + third.asked[1:] == whole.asked
    assert not shard.state.exists()


def test_what_is_kept_is_kept_by_time(shard, monkeypatch):
    expected = shard(Played(), "undisturbed")
    killed, rest = Played(dies_at=4), Played()
    monkeypatch.setattr(
        partial_shards, "time", SimpleNamespace(monotonic=lambda: 100.0 * len(killed.asked))
    )  # each call takes 100 s
    monkeypatch.setattr(checkpoint, "CHECKPOINT_INTERVAL", 300.0)
    with pytest.raises(Killed):
        shard(killed)
    # Four calls gave three batches, an image of the second of which was blank at first; the third
    # was not yet encoded, and is lost.
    assert [len(pd.read_parquet(shards.manifest_path(tar))) for tar in kept(shard)] == [2 * BATCH]
    assert shard(rest) == expected
    assert sum(map(len, rest.asked)) == IMAGES - 2 * BATCH


def halved(data: bytes, _) -> bytes:
    return data[: len(data) // 2]


def garbled(data: bytes, place: int) -> bytes:
    """From `place` on, 60 bytes, fewer than an image has."""
    return (
        data[:place] + bytes(byte ^ 255 for byte in data[place : place + 60]) + data[place + 60 :]
    )


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
@pytest.mark.parametrize("damage", [halved, garbled])
def test_a_damaged_stretch_is_made_again_and_no_other(shard, capsys, suffix, damage):
    expected = shard(Played(), "undisturbed")
    with pytest.raises(Killed):
        shard(Played(dies_at=5))
    assert len(kept(shard)) == 3
    second = kept(shard)[1].with_suffix(suffix)
    place = pd.read_parquet(shards.manifest_path(second))["offset"][2]
    second.write_bytes(damage(second.read_bytes(), place))
    rest = Played()
    assert shard(rest) == expected
    # The second stretch, in which one image is blank at first, and the last two batches, which were
    # not kept.
    assert sum(map(len, rest.asked)) == BATCH + 1 + 2 * BATCH
    assert "from image 4 on is damaged, and is made again" in capsys.readouterr().out


def test_a_stretch_that_was_not_written_to_its_end_is_not_taken(shard):
    """Its manifest comes last."""
    expected = shard(Played(), "undisturbed")
    with pytest.raises(Killed):
        shard(Played(dies_at=5))
    shards.manifest_path(kept(shard)[-1]).unlink()
    rest = Played()
    assert shard(rest) == expected
    assert sum(map(len, rest.asked)) == 3 * BATCH


@pytest.mark.parametrize(
    "other",
    [{"revision": "another"}, {"prefix": "a picture of "}, {"more": ", precision: float16"}],
    ids=str,
)
def test_images_of_other_weights_texts_or_settings_are_not_taken(shard, other):
    expected = shard(Played(), "undisturbed", **other)
    with pytest.raises(Killed):
        shard(Played(dies_at=4))
    before = kept(shard)
    rest = Played()
    assert shard(rest, **other) == expected
    assert sum(map(len, rest.asked)) == IMAGES + 1
    with pytest.raises(Killed):
        shard(Played(dies_at=4))
    with pytest.raises(Killed):
        shard(Played(dies_at=0), **other)
    assert before and not kept(shard)  # such state is removed when a job begins


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_kept_images_are_continued_with_another_batch_size(shard, batch):
    expected = shard(Played(), "undisturbed")
    with pytest.raises(Killed):
        shard(Played(dies_at=4))
    assert len(kept(shard)) == 2  # 8 images
    rest = Played()
    assert shard(rest, batch=batch) == expected
    assert [len(seeds) for seeds in rest.asked] == [
        min(batch, 12 - first) for first in range(0, 12, batch)
    ]


def test_a_shard_that_cannot_be_made_leaves_no_half_and_says_why(shard):
    """Also by a second try."""
    model = Played()
    model.image = lambda prompt, seed: (
        np.zeros((16, 16, 3), np.uint8) if "7" in prompt else Played.image(model, prompt, seed)
    )
    for _ in range(2):
        with pytest.raises(
            SystemExit,
            match="released_images, by released: image g2-000000007, prompt 'the digit 7': of a single colour",
        ):
            shard(model)
    assert not list(shard.state.parent.glob("shard*"))


PROCESS = """
import os, signal, sys, time
from pathlib import Path
from scripts import generate
from synscale import pipelines, resume
resume.CHECKPOINT_INTERVAL, sample, calls = 0.0, pipelines.sample, []
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
    """Arguments of a job that makes a shard of 20 images in batches of 5 with a real model, but for
    the output.
    """
    monkeypatch.chdir(ROOT)
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    pd.DataFrame({"class_id": range(10), "text_id": 0, "text": ["one", "two"] * 5}).to_parquet(
        tmp_path / "pool.parquet"
    )
    study = study_with(tmp_path, tmp_path / "model", ", batch_size: 5")
    what = [
        "--study",
        study,
        "--source",
        "released_images",
        "--shard",
        "00000",
        "--classes",
        "data/digits_classes.csv",
    ]
    return [
        *map(
            str,
            [
                *what,
                "--pipeline",
                tmp_path / "model",
                "--prompts",
                tmp_path / "pool.parquet",
                "--state",
                tmp_path / "state",
                "--output",
            ],
        )
    ]


@pytest.fixture
def asked(monkeypatch):
    """Seeds of each call of the model in this process."""
    found, sample = [], pipelines.sample
    monkeypatch.setattr(
        pipelines,
        "sample",
        lambda pipeline, prompts, seeds, *rest: (
            found.append(seeds) or sample(pipeline, prompts, seeds, *rest)
        ),
    )
    return found


def same(first, second) -> bool:
    return all(
        first.with_suffix(end).read_bytes() == second.with_suffix(end).read_bytes()
        for end in (".tar", ".parquet")
    )


def started(command: list[str]) -> subprocess.CompletedProcess:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_what_a_killed_process_has_kept_is_gone_on_from_with_a_real_model(tmp_path, job, asked):
    generate.main([*job, str(tmp_path / "undisturbed.tar")])
    tar, whole_run = tmp_path / "killed.tar", list(asked)
    assert len(whole_run) == IMAGES // 5
    killed = started([sys.executable, "-c", PROCESS, *job, str(tar)])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not tar.exists() and not shards.manifest_path(tar).exists()
    asked.clear()
    generate.main([*job, str(tar)])
    assert asked == whole_run[1:]  # the second batch was sampled, but not yet encoded
    assert same(tar, tmp_path / "undisturbed.tar")
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_two_processes_make_the_shard_that_one_makes(tmp_path, job):
    generate.main([*job, str(tmp_path / "one.tar")])
    done = started(launch.command(2, 1, 2, ["scripts.generate", *job, str(tmp_path / "two.tar")]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("10 images were made") == 2
    assert same(tmp_path / "two.tar", tmp_path / "one.tar")
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_where_one_of_two_processes_is_killed_another_number_of_them_goes_on(tmp_path, job, asked):
    generate.main([*job, str(tmp_path / "one.tar")])
    whole_run, tar = list(asked), tmp_path / "killed.tar"
    (tmp_path / "deadly.py").write_text(PROCESS.replace("== 3", "== 2"))
    command = launch.command(2, 1, 2, ["scripts.generate", *job, str(tar)])
    killed = started(
        [*command[: command.index("-m", 3)], str(tmp_path / "deadly.py"), *job, str(tar)]
    )
    assert killed.returncode != 0
    assert not tar.exists() and not shards.manifest_path(tar).exists()
    asked.clear()
    generate.main([*job, str(tar)])
    assert 0 < len(asked) < len(whole_run)
    assert same(tar, tmp_path / "one.tar")
