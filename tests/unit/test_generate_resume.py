"""A block of images that is killed while it is made: the same bytes in the end, and no image that was kept is made again."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

from scripts.lib.torch_setup import deterministic  # noqa: F401

import numpy as np
import pandas as pd
import pytest

from scripts import generate
from scripts.lib import pipelines, resume, shards, stretches
from tests import tiny_pipelines
from tests.conftest import ROOT
from tests.study_with import study_with

IMAGES, BATCH, PREFIX = 20, 4, "the digit "


class Killed(Exception):
    pass


class Played:
    """In place of a model: an image follows from its prompt, seed and guidance. `asked`: its calls. Raises `fault` in place of call `dies_at`."""

    def __init__(self, dies_at: int | None = None, fault=Killed):
        self.asked, self.dies_at, self.fault = [], dies_at, fault

    def sample(self, pipeline, prompts, seeds, guidance, sampling):
        if len(self.asked) == self.dies_at:
            raise self.fault
        self.asked.append(list(seeds))
        return np.stack([self.image(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)])

    def image(self, prompt: str, seed: int) -> np.ndarray:
        if seed == pipelines.seed_of("released_images", 2.0, 5):  # image 5 is blank at first
            return np.zeros((16, 16, 3), np.uint8)
        return np.random.default_rng([seed, *prompt.encode()]).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture
def block(tmp_path, monkeypatch):
    """A function that makes the block of 20 images in batches of 4 with a model that is played, and gives its two files' bytes."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(pipelines, "load", lambda *_: None)
    monkeypatch.setattr(pipelines, "revision", lambda path: path)
    monkeypatch.setattr(pipelines, "sampler_of", lambda *_: "played")
    monkeypatch.setattr(resume, "EVERY", 0.0)

    def make(model, name="block", revision="r", prefix=PREFIX, batch=BATCH):
        monkeypatch.setattr(pipelines, "sample", model.sample)
        pool, tar = tmp_path / "pool.parquet", tmp_path / f"{name}.tar"
        pd.DataFrame({"class_id": range(10), "text_id": 0, "text": [f"{prefix}{i}" for i in range(10)]}).to_parquet(pool)
        study = study_with(tmp_path, "owner/name", f", revision: {'0' * 40!r}, batch_size: {batch}")
        what = ["--source", "released_images", "--block", "00000", "--classes", "data/digits_classes.csv", "--pipeline", revision]
        generate.main(["--study", str(study), *what, "--prompts", str(pool), "--output", str(tar), "--state", str(make.state)])
        return tar.read_bytes(), shards.manifest_path(tar).read_bytes()

    make.state = tmp_path / "state"
    return make


def kept(block) -> list:
    return sorted(block.state.rglob("*.tar"))


def test_a_killed_block_goes_on_after_the_images_that_it_has_kept(block):
    whole = Played()
    expected = block(whole, "undisturbed")
    assert [len(seeds) for seeds in whole.asked] == [4, 4, 4, 1, 4, 4]  # one image of the second batch was blank, and is drawn again after the third
    first, second, third = Played(dies_at=4), Played(dies_at=2), Played()
    for killed in (first, second):
        with pytest.raises(Killed):
            block(killed)
        assert not list(block.state.parent.glob("block*"))  # nothing that looks whole
    assert block(third) == expected
    # Of each try the last batch is lost, which was sampled but not yet encoded.
    assert first.asked + second.asked[1:] + third.asked[1:] == whole.asked
    assert not block.state.exists()


def test_what_is_kept_is_kept_by_time(block, monkeypatch):
    expected = block(Played(), "undisturbed")
    killed, rest = Played(dies_at=4), Played()
    monkeypatch.setattr(stretches, "time", SimpleNamespace(monotonic=lambda: 100.0 * len(killed.asked)))  # each call takes 100 s
    monkeypatch.setattr(resume, "EVERY", 300.0)
    with pytest.raises(Killed):
        block(killed)
    # Four calls gave three batches, an image of the second of which was blank at first; the third was not yet encoded, and is lost.
    assert [len(pd.read_parquet(shards.manifest_path(tar))) for tar in kept(block)] == [2 * BATCH]
    assert block(rest) == expected
    assert sum(map(len, rest.asked)) == IMAGES - 2 * BATCH


def halved(data: bytes, _) -> bytes:
    return data[: len(data) // 2]


def garbled(data: bytes, place: int) -> bytes:
    """From `place` on, 60 bytes, fewer than an image has."""
    return data[:place] + bytes(byte ^ 255 for byte in data[place : place + 60]) + data[place + 60 :]


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
@pytest.mark.parametrize("damage", [halved, garbled])
def test_a_damaged_stretch_is_made_again_and_so_is_what_follows_it(block, capsys, suffix, damage):
    expected = block(Played(), "undisturbed")
    with pytest.raises(Killed):
        block(Played(dies_at=5))
    assert len(kept(block)) == 3
    second = kept(block)[1].with_suffix(suffix)
    place = pd.read_parquet(shards.manifest_path(second))["offset"][2]
    second.write_bytes(damage(second.read_bytes(), place))
    rest = Played()
    assert block(rest) == expected
    assert sum(map(len, rest.asked)) == IMAGES - BATCH + 1
    assert "damaged, and is made again from image 4 on" in capsys.readouterr().out


def test_a_stretch_that_was_not_written_to_its_end_is_not_taken(block):
    """Its manifest comes last."""
    expected = block(Played(), "undisturbed")
    with pytest.raises(Killed):
        block(Played(dies_at=5))
    shards.manifest_path(kept(block)[-1]).unlink()
    rest = Played()
    assert block(rest) == expected
    assert sum(map(len, rest.asked)) == 3 * BATCH


@pytest.mark.parametrize("other", [{"revision": "another"}, {"prefix": "a picture of "}, {"batch": 5}], ids=str)
def test_images_of_other_weights_texts_or_settings_are_not_taken(block, other):
    expected = block(Played(), "undisturbed", **other)
    with pytest.raises(Killed):
        block(Played(dies_at=4))
    before = kept(block)
    rest = Played()
    assert block(rest, **other) == expected
    assert sum(map(len, rest.asked)) == IMAGES + 1
    with pytest.raises(Killed):
        block(Played(dies_at=4))
    with pytest.raises(Killed):
        block(Played(dies_at=0), **other)
    assert before and not kept(block)  # such state is removed when a job begins


def test_a_block_that_cannot_be_made_leaves_no_half_and_says_why(block):
    """Also by a second try."""
    model = Played()
    model.image = lambda prompt, seed: np.zeros((16, 16, 3), np.uint8) if "7" in prompt else Played.image(model, prompt, seed)
    for _ in range(2):
        with pytest.raises(SystemExit, match="released_images: image g2-000000007, prompt 'the digit 7': of a single colour"):
            block(model)
    assert not list(block.state.parent.glob("block*"))


PROCESS = """
import os, signal, sys
from scripts import generate
from scripts.lib import pipelines, resume
resume.EVERY, sample, calls = 0.0, pipelines.sample, []
def deadly(*arguments):
    calls.append(arguments)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return sample(*arguments)
pipelines.sample = deadly
generate.main(sys.argv[1:])
"""


def test_what_a_killed_process_has_kept_is_gone_on_from_with_a_real_model(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    pd.DataFrame({"class_id": range(10), "text_id": 0, "text": ["one", "two"] * 5}).to_parquet(tmp_path / "pool.parquet")
    study = study_with(tmp_path, tmp_path / "model", ", batch_size: 5")
    what = ["--study", study, "--source", "released_images", "--block", "00000", "--classes", "data/digits_classes.csv"]
    what = [*map(str, [*what, "--pipeline", tmp_path / "model", "--prompts", tmp_path / "pool.parquet", "--state", tmp_path / "state", "--output"])]
    asked, sample = [], pipelines.sample
    monkeypatch.setattr(pipelines, "sample", lambda pipeline, prompts, seeds, *rest: asked.append(seeds) or sample(pipeline, prompts, seeds, *rest))

    generate.main([*what, str(tmp_path / "undisturbed.tar")])
    tar, whole_run = tmp_path / "killed.tar", list(asked)
    assert len(whole_run) == IMAGES // 5
    killed = subprocess.run([sys.executable, "-c", PROCESS, *what, str(tar)], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not tar.exists() and not shards.manifest_path(tar).exists()
    asked.clear()
    generate.main([*what, str(tar)])
    assert asked == whole_run[1:]  # the second batch was sampled, but not yet encoded
    for end in (".tar", ".parquet"):
        assert tar.with_suffix(end).read_bytes() == (tmp_path / "undisturbed").with_suffix(end).read_bytes()
    assert not (tmp_path / "state").exists()
