"""Weights that others released: which files are fetched, from where, and that they are held to
their hashes.
"""

import logging
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from scripts import fetch_generator
from synscale.data import codec
from synscale.models import checksums, pipelines
from tests.support import tiny_pipelines
from tests.support.fake_hub import COMMIT, MODEL, Hub
from tests.support.study_with import study_with
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import ROOT

CPU = torch.device("cpu")
SAMPLING = {"size": 16, "steps": 2}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


REPOSITORY = [
    "README.md",
    "model_index.json",
    "v1-5-pruned.safetensors",
    "safety_checker/config.json",
    "safety_checker/model.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder/pytorch_model.bin",
    "tokenizer/merges.txt",
    "tokenizer/spiece.model",
    "unet/config.json",
    "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
    "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
    "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors.index.json",
    "unet/onnx/model.onnx",
    "vae_old/diffusion_pytorch_model.safetensors",
]
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}


def test_only_what_the_pipeline_is_loaded_from_is_fetched():
    plain, half = (checksums.needed(REPOSITORY, INDEX, variant) for variant in (None, "fp16"))
    assert not [
        file
        for file in plain + half
        if file.startswith(("README", "v1-5", "safety", "vae_old"))
        or file.endswith((".bin", ".onnx"))
    ]
    assert {file for file in plain if file.startswith("unet/diff") and file.endswith("rs")} == {
        f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)
    }
    assert {file for file in half if file.endswith(".safetensors")} == {
        "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
        "text_encoder/model.safetensors",  # it has no such variant
    }
    assert {
        "tokenizer/merges.txt",
        "tokenizer/spiece.model",
        "scheduler/scheduler_config.json",
        "model_index.json",
    } <= set(plain)
    assert set(plain) - set(checksums.needed(REPOSITORY, INDEX, None, "upscaler")) == {
        *(
            file for file in plain if file.startswith(("text_encoder", "tokenizer"))
        )  # both stages take the embeddings of the first
    }
    assert checksums.needed(REPOSITORY, INDEX, None, "safety_checker") == [
        "model_index.json",
        "safety_checker/config.json",
        "safety_checker/model.safetensors",
    ]


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("scheduler/", "scheduler: no file of it, though model_index.json names it"),
        ("text_encoder/", "text_encoder: no file of it"),
        ("unet/config.json", "unet/config.json: missing beside its weights"),
        ("tokenizer/spiece", "tokenizer: none of tokenizer.json, vocab.json"),
        ("unet/diffusion_pytorch_model-00002", "unet: 1 of 2 files of its weights"),
    ],
)
def test_a_missing_file_is_told(lacks, told):
    with pytest.raises(checksums.WeightsError, match=told):
        checksums.needed([file for file in REPOSITORY if not file.startswith(lacks)], INDEX, None)


def test_weights_as_pickle_alone_are_refused():
    with pytest.raises(checksums.WeightsError, match="text_encoder: no weights as safetensors"):
        checksums.needed(
            [file for file in REPOSITORY if file != "text_encoder/model.safetensors"], INDEX, None
        )


def test_the_table_of_known_sources_is_well_formed():
    table = checksums.rows(ROOT / "data/sources.csv")
    assert list(table[0]) == checksums.COLUMNS
    for row in table:
        assert row["id"] and row["licence"]
        assert re.fullmatch(r"[0-9a-f]{40}", row["revision"])
        assert bool(row["file"]) == bool(row["sha256"]) and re.fullmatch(
            r"([0-9a-f]{64})?", row["sha256"]
        )
    assert len({(row["id"], row["revision"], row["file"]) for row in table}) == len(table)


class Fetch:
    """`fetch_generator` on a study of its own; what it says when it stops is returned."""

    def __init__(self, folder, model, changes=""):
        self.folder, self.output, self.record = (
            folder,
            folder / "models/released",
            folder / "models/released.sources.csv",
        )
        self.known = folder / "known.csv"
        self.study = study_with(folder, model, changes)

    def __call__(self):
        paths = [
            "--known",
            str(self.known),
            "--record",
            str(self.record),
            "--output",
            str(self.output),
        ]
        try:
            fetch_generator.main(["--study", str(self.study), "--generator", "released", *paths])
        except SystemExit as stop:
            return str(stop)


@pytest.fixture
def copied(tmp_path):
    """A folder of a tiny Stable Diffusion that a test may harm."""
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_is_linked_and_its_hashes_are_recorded(tmp_path, copied):
    (copied / "unet/evil.bin").write_bytes(b"pickle")
    fetch = Fetch(tmp_path, copied)
    assert fetch() is None
    table = pd.read_csv(fetch.record, keep_default_na=False)
    assert list(table) == checksums.COLUMNS
    assert "unet/diffusion_pytorch_model.safetensors" in set(table["file"]) and set(
        table["id"]
    ) == {str(copied)}
    assert all((fetch.output / file).is_symlink() for file in table["file"])
    assert not (fetch.output / "unet/evil.bin").exists()
    assert fetch() is None  # the same again is as known
    pipelines.load(str(fetch.output), SAMPLING, CPU)


def test_a_variant_of_the_weights_is_taken_where_there_is_one(tmp_path, copied):
    """As publishers lay them out: half precision beside full; here all but the text encoder has
    both.
    """
    tiny_pipelines.stable_diffusion().to(torch.float16).save_pretrained(copied, variant="fp16")
    (copied / "text_encoder/model.fp16.safetensors").unlink()
    fetch = Fetch(tmp_path, copied, ", variant: fp16")
    assert fetch() is None
    held = sorted(
        str(path.relative_to(fetch.output)) for path in fetch.output.rglob("*.safetensors")
    )
    unet_and_vae = [f"{part}/diffusion_pytorch_model.fp16.safetensors" for part in ("unet", "vae")]
    assert held == ["text_encoder/model.safetensors", *unet_and_vae]
    pipeline = pipelines.load(str(fetch.output), SAMPLING | {"variant": "fp16"}, CPU)
    assert not codec.is_blank(pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, SAMPLING)[0])


def test_weights_that_changed_are_refused_with_file_expected_found_and_mend(tmp_path, copied):
    fetch = Fetch(tmp_path, copied)
    fetch()
    before = pd.read_csv(fetch.record).set_index("file")["sha256"]
    tiny_pipelines.torch.manual_seed(1)
    tiny_pipelines.stable_diffusion().save_pretrained(copied)
    file = "unet/diffusion_pytorch_model.safetensors"
    with pytest.raises(
        checksums.WeightsError, match=f"{file}: sha256 is .*it changed since; remove"
    ):
        pipelines.revision(str(fetch.output))  # what a generation job finds
    told = fetch()
    assert (
        f"{file}: sha256 is " in told
        and f"expected {before[file]} ({fetch.record})" in told
        and "if the change is meant, remove" in told
    )
    fetch.record.unlink()
    assert fetch() is None


def test_hashes_that_are_known_hold_from_the_first_fetch_on(tmp_path, copied):
    fetch = Fetch(tmp_path, copied)
    row = {
        "id": str(copied),
        "kind": "generator",
        "file": "vae/config.json",
        "sha256": "0" * 64,
        "licence": "MIT",
    }
    checksums.write(fetch.known, [row])
    assert (
        f"vae/config.json: sha256 is {checksums.hashes(copied, ['vae/config.json'])['vae/config.json']}, expected {'0' * 64}"
        in fetch()
    )
    assert not fetch.output.exists() and not fetch.record.exists()


def test_a_file_cut_short_is_told(tmp_path, copied):
    file = copied / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert "unet/diffusion_pytorch_model.safetensors (" in (told := Fetch(tmp_path, copied)())
    assert "a file cut short or damaged" in told


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("unet/diffusion_pytorch_model", "conv_in.weight"),
        ("text_encoder/model", "embeddings.token_embedding.weight"),
    ],
)
def test_weights_that_a_file_lacks_are_told_and_not_drawn(copied, file, key, monkeypatch):
    held = load_file(path := copied / f"{file}.safetensors")
    save_file({name: value for name, value in held.items() if name != key}, path, {"format": "pt"})
    for quiet in (
        logging.WARNING,
        logging.ERROR,
    ):  # what the user wants to hear of the libraries is nothing to this
        for library in ("diffusers", "transformers"):
            monkeypatch.setattr(logging.getLogger(library), "level", quiet)
            logging.getLogger(library).manager._clear_cache()
        with pytest.raises(
            checksums.WeightsError,
            match=rf"(?s)its files lack weights that its settings ask for.*{key}",
        ):
            pipelines.load(str(copied), SAMPLING, CPU)


def test_settings_cut_short_are_told(tmp_path, copied):
    (copied / "unet/config.json").write_text('{"act_fn": "si')
    assert (
        "unet/config.json (14 bytes): no JSON; remove it and get it again"
        in Fetch(tmp_path, copied)()
    )


def test_both_stages_of_a_model_are_fetched_and_held_to_their_hashes(tmp_path):
    for name in ("deepfloyd_if", "deepfloyd_if_upscaler"):
        tiny_pipelines.save(name, tmp_path / name)
    fetch = Fetch(
        tmp_path,
        tmp_path / "deepfloyd_if",
        f", upscaler: {{model: {tmp_path}/deepfloyd_if_upscaler, size: 32, steps: 2, guidance: 3.0}}",
    )
    assert fetch() is None
    held = {path.name for path in (fetch.output / "upscaler").iterdir()}
    assert held == {"model_index.json", "unet", "scheduler", "image_noising_scheduler"}
    upscaler = {"size": 32, "steps": 2, "guidance": 3.0, "noise_level": 250, "variant": None}
    sampling = SAMPLING | {"upscaler": upscaler}
    assert pipelines.sample(
        pipelines.load(str(fetch.output), sampling, CPU), PROMPTS[:1], [1], 2.0, sampling
    ).shape == (1, 32, 32, 3)
    before = pipelines.revision(str(fetch.output))
    file = "unet/diffusion_pytorch_model.safetensors"
    tiny_pipelines.torch.manual_seed(1)
    tiny_pipelines.deepfloyd_if_upscaler().save_pretrained(tmp_path / "deepfloyd_if_upscaler")
    with pytest.raises(
        checksums.WeightsError, match=f"upscaler/{file}: sha256 is .*it changed since; remove"
    ):
        pipelines.revision(str(fetch.output))
    assert (
        f"\n{file}: sha256 is" in f"\n{fetch().removeprefix('released: ')}"
        and not (tmp_path / "models/released.part").exists()
    )
    fetch.record.unlink()
    assert fetch() is None and pipelines.revision(str(fetch.output)) != before


def test_a_second_stage_of_another_kind_is_told_before_its_files_are_fetched(tmp_path, copied):
    changes = f", upscaler: {{model: {copied}, size: 32, steps: 2, guidance: 3.0}}"
    assert (
        "a StableDiffusionPipeline, no IFSuperResolutionPipeline, which an upscaler must be"
        in Fetch(tmp_path, copied, changes)()
    )


def download(folder, hub, changes=f", revision: {COMMIT}", model=MODEL):
    """Fetch a model of the hub in a process of its own, as a job does; return the `Fetch` and what
    it printed.
    """
    fetch = Fetch(folder, model, changes)
    command = [
        sys.executable,
        "-m",
        "scripts.fetch_generator",
        "--study",
        fetch.study,
        "--generator",
        "released",
    ]
    paths = ["--known", fetch.known, "--record", fetch.record, "--output", fetch.output]
    place = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [*command, *paths], capture_output=True, text=True, env=os.environ | place
    )
    return fetch, done.stdout + done.stderr


def test_a_model_of_the_hub_is_downloaded_at_its_commit(tmp_path, copied):
    (copied / "unet/diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (copied / "everything.safetensors").write_bytes(b"the same weights in one file, for others")
    checksums.write(
        tmp_path / "known.csv",
        [{"id": MODEL, "kind": "generator", "licence": "MIT", "mirror": "of other/name"}],
    )
    with Hub(copied) as hub:
        fetch, told = download(tmp_path, hub)
    assert "10 files, licence MIT" in told
    table = pd.read_csv(fetch.record, dtype=str)
    assert sorted(table["file"]) == sorted(hub.asked) and len(table) == 10
    assert set(table["revision"]) == {COMMIT} and set(table["mirror"]) == {"of other/name"}
    held = {
        str(path.relative_to(fetch.output)) for path in fetch.output.rglob("*") if path.is_file()
    }
    assert held == {*table["file"], checksums.RECORD}
    pipelines.load(str(fetch.output), SAMPLING, CPU)


def test_a_download_with_another_hash_is_refused_and_not_kept(tmp_path, copied):
    file = "vae/diffusion_pytorch_model.safetensors"
    row = {
        "id": MODEL,
        "revision": COMMIT,
        "file": file,
        "sha256": checksums.hashes(copied, [file])[file],
    }
    checksums.write(tmp_path / "known.csv", [row])
    true = (copied / file).read_bytes()
    (copied / file).write_bytes(
        true[:-1] + bytes([true[-1] ^ 1])
    )  # as large, and safetensors still
    with Hub(copied) as hub:
        fetch, told = download(tmp_path, hub)
        assert (
            f"{file}: sha256 is " in told
            and f"expected {row['sha256']}" in told
            and "fetch it again" in told
        )
        assert not fetch.output.exists() and not fetch.record.exists()
        (copied / file).write_bytes(true)
        fetch, told = download(tmp_path, hub)
    assert (fetch.output / file).read_bytes() == true, told


def test_a_download_does_not_write_through_links_that_an_earlier_try_left(tmp_path, copied):
    mine = tmp_path / "mine.json"
    mine.write_text("mine")
    part = tmp_path / "models/released.part"
    part.mkdir(parents=True)
    (part / "model_index.json").symlink_to(mine)
    with Hub(copied) as hub:
        fetch, told = download(tmp_path, hub)
    assert mine.read_text() == "mine"
    assert fetch.output.is_dir(), told


def test_what_the_hub_refuses_is_told_with_a_mend(tmp_path, copied):
    with Hub(copied, gated=True) as hub:
        assert (
            "its licence must be accepted on the model's page, and HF_TOKEN must hold"
            in download(tmp_path, hub)[1]
        )
    with Hub(copied) as hub:
        assert (
            f"other/name at {COMMIT}: not on the hub; mend model and revision"
            in download(tmp_path, hub, model="other/name")[1]
        )
        assert (
            "not on the hub; mend model and revision"
            in download(tmp_path, hub, f", revision: {'a' * 40}")[1]
        )


def test_without_a_network_the_mend_is_told(tmp_path, monkeypatch):
    class Hub:
        def list_repo_files(self, model, revision):
            raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert (
        "owner/name: cannot be had; take a machine with network"
        in Fetch(tmp_path, "owner/name", f", revision: {COMMIT!r}")()
    )
