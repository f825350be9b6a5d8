"""Published weights: which files are fetched, and that their checksums are verified."""

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
from synscale.models import checksums, pipeline_files, pipelines
from synscale.study.models.generators import Upscaler
from tests.support import tiny_pipelines
from tests.support.fake_hub import COMMIT, MODEL, Hub
from tests.support.study_with import options, study_with
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import ROOT

CPU = torch.device("cpu")
SAMPLING = tiny_pipelines.sampling()


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


def test_only_files_of_the_pipeline_are_fetched():
    plain = checksums.pipeline_files(REPOSITORY, INDEX, None)
    half = checksums.pipeline_files(REPOSITORY, INDEX, "fp16")
    others = ("README", "v1-5", "safety", "vae_old")
    for file in plain + half:
        assert not file.startswith(others) and not file.endswith((".bin", ".onnx"))
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
    # Both stages take the embeddings of the first.
    texts = {file for file in plain if file.startswith(("text_encoder", "tokenizer"))}
    second = checksums.pipeline_files(REPOSITORY, INDEX, None, "upscaler")
    assert set(plain) - set(second) == texts
    assert checksums.pipeline_files(REPOSITORY, INDEX, None, "safety_checker") == [
        "model_index.json",
        "safety_checker/config.json",
        "safety_checker/model.safetensors",
    ]


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("scheduler/", "scheduler: has no file, though model_index.json names it"),
        ("text_encoder/", "text_encoder: has no file"),
        ("unet/config.json", "unet/config.json: missing next to its weights"),
        ("tokenizer/spiece", "tokenizer: none of tokenizer.json, vocab.json"),
        ("unet/diffusion_pytorch_model-00002", "unet: 1 of 2 files of its weights"),
    ],
)
def test_missing_file_is_reported(lacks, message):
    files = [file for file in REPOSITORY if not file.startswith(lacks)]
    with pytest.raises(checksums.WeightsError, match=message):
        checksums.pipeline_files(files, INDEX, None)


def test_pickled_weights_are_refused():
    files = [file for file in REPOSITORY if file != "text_encoder/model.safetensors"]
    with pytest.raises(checksums.WeightsError, match="text_encoder: no weights as safetensors"):
        checksums.pipeline_files(files, INDEX, None)


def test_table_of_sources_is_well_formed():
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
    """The command `fetch_generator` on a study; a call returns its error message."""

    def __init__(self, folder, model, changes=""):
        self.output = folder / "models/released"
        self.record = folder / "models/released.sources.csv"
        self.known = folder / "known.csv"
        self.study = study_with(folder, model, changes)

    @property
    def command(self) -> list[str]:
        files = {"known": self.known, "record": self.record, "output": self.output}
        return options(study=self.study, generator="released", **files)

    def __call__(self):
        try:
            fetch_generator.main(self.command)
        except SystemExit as stop:
            return str(stop)


@pytest.fixture
def copied(tmp_path):
    """A folder of a tiny Stable Diffusion that a test may harm."""
    tiny_pipelines.save("stable_diffusion", tmp_path / "model")
    return tmp_path / "model"


def test_folder_is_linked_and_its_checksums_recorded(tmp_path, copied):
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


def test_variant_of_the_weights_is_preferred(tmp_path, copied):
    """As publishers lay them out: half precision next to full; the text encoder has only full."""
    tiny_pipelines.stable_diffusion().to(torch.float16).save_pretrained(copied, variant="fp16")
    (copied / "text_encoder/model.fp16.safetensors").unlink()
    fetch = Fetch(tmp_path, copied, ", variant: fp16")
    assert fetch() is None
    weights = sorted(
        str(path.relative_to(fetch.output)) for path in fetch.output.rglob("*.safetensors")
    )
    unet_and_vae = [f"{part}/diffusion_pytorch_model.fp16.safetensors" for part in ("unet", "vae")]
    assert weights == ["text_encoder/model.safetensors", *unet_and_vae]
    pipeline = pipelines.load(str(fetch.output), tiny_pipelines.sampling(variant="fp16"), CPU)
    assert not codec.is_blank(pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, SAMPLING)[0])


def test_changed_weights_are_refused(tmp_path, copied):
    fetch = Fetch(tmp_path, copied)
    fetch()
    file = "unet/diffusion_pytorch_model.safetensors"
    before = pd.read_csv(fetch.record).set_index("file")["sha256"][file]
    torch.manual_seed(1)
    tiny_pipelines.stable_diffusion().save_pretrained(copied)
    message = f"{file}: wrong sha256 .*it changed since; remove"
    with pytest.raises(checksums.WeightsError, match=message):
        pipeline_files.revision(str(fetch.output))  # as a generation job does
    message = fetch()
    expected = f"expected {before} of {fetch.record})"
    for text in (f"{file}: wrong sha256 ", expected, "if the change is meant, remove"):
        assert text in message
    fetch.record.unlink()
    assert fetch() is None


def test_first_fetch_is_verified_against_the_table(tmp_path, copied):
    fetch = Fetch(tmp_path, copied)
    row = {
        "id": str(copied),
        "kind": "generator",
        "file": "vae/config.json",
        "sha256": "0" * 64,
        "licence": "MIT",
    }
    checksums.write(fetch.known, [row])
    [sha256] = checksums.hashes(copied, ["vae/config.json"]).values()
    assert f"vae/config.json: wrong sha256 ({sha256}, expected {'0' * 64}" in fetch()
    assert not fetch.output.exists() and not fetch.record.exists()


def test_weights_cut_short_are_reported(tmp_path, copied):
    file = copied / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    message = Fetch(tmp_path, copied)()
    assert "unet/diffusion_pytorch_model.safetensors (" in message
    assert "a file cut short or damaged" in message


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("unet/diffusion_pytorch_model", "conv_in.weight"),
        ("text_encoder/model", "embeddings.token_embedding.weight"),
    ],
)
def test_missing_weights_are_reported_and_not_drawn(copied, file, key, monkeypatch):
    path = copied / f"{file}.safetensors"
    weights = load_file(path)
    del weights[key]
    save_file(weights, path, {"format": "pt"})
    message = rf"(?s)its files lack weights that its settings ask for.*{key}"
    for level in (logging.WARNING, logging.ERROR):  # whatever the user wants to see of libraries
        for library in ("diffusers", "transformers"):
            monkeypatch.setattr(logging.getLogger(library), "level", level)
            logging.getLogger(library).manager._clear_cache()
        with pytest.raises(checksums.WeightsError, match=message):
            pipelines.load(str(copied), SAMPLING, CPU)


def test_settings_cut_short_are_reported(tmp_path, copied):
    (copied / "unet/config.json").write_text('{"act_fn": "si')
    message = "unet/config.json (14 bytes): no JSON; remove it and get it again"
    assert message in Fetch(tmp_path, copied)()


def test_both_stages_are_fetched_and_verified(tmp_path):
    for name in ("deepfloyd_if", "deepfloyd_if_upscaler"):
        tiny_pipelines.save(name, tmp_path / name)
    second = f"model: {tmp_path}/deepfloyd_if_upscaler, size: 32, steps: 2, guidance: 3.0"
    fetch = Fetch(tmp_path, tmp_path / "deepfloyd_if", f", upscaler: {{{second}}}")
    assert fetch() is None
    names = {path.name for path in (fetch.output / "upscaler").iterdir()}
    assert names == {"model_index.json", "unet", "scheduler", "image_noising_scheduler"}
    upscaler = Upscaler(model="./second", size=32, steps=2, guidance=3.0)
    sampling = tiny_pipelines.sampling(upscaler=upscaler)
    pipeline = pipelines.load(str(fetch.output), sampling, CPU)
    assert pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, sampling).shape == (1, 32, 32, 3)
    before = pipeline_files.revision(str(fetch.output))
    file = "unet/diffusion_pytorch_model.safetensors"
    torch.manual_seed(1)
    tiny_pipelines.deepfloyd_if_upscaler().save_pretrained(tmp_path / "deepfloyd_if_upscaler")
    message = f"upscaler/{file}: wrong sha256 .*it changed since; remove"
    with pytest.raises(checksums.WeightsError, match=message):
        pipeline_files.revision(str(fetch.output))
    assert f"\n{file}: wrong sha256" in f"\n{fetch().removeprefix('released: ')}"
    assert not (tmp_path / "models/released.part").exists()
    fetch.record.unlink()
    assert fetch() is None and pipeline_files.revision(str(fetch.output)) != before


def test_upscaler_of_another_kind_is_not_fetched(tmp_path, copied):
    changes = f", upscaler: {{model: {copied}, size: 32, steps: 2, guidance: 3.0}}"
    message = "no upscaler (StableDiffusionPipeline, expected IFSuperResolutionPipeline)"
    assert message in Fetch(tmp_path, copied, changes)()


def download(folder, hub, changes=f", revision: {COMMIT}", model=MODEL):
    """Fetch a model of the hub in a child process; return the `Fetch` and the printed text."""
    fetch = Fetch(folder, model, changes)
    process = subprocess.run(
        [sys.executable, "-m", "scripts.fetch_generator", *fetch.command],
        capture_output=True,
        text=True,
        env=os.environ | hub.environment(folder),
    )
    return fetch, process.stdout + process.stderr


def test_hub_model_is_downloaded_at_its_commit(tmp_path, copied):
    (copied / "unet/diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (copied / "everything.safetensors").write_bytes(b"the same weights in one file, for others")
    checksums.write(
        tmp_path / "known.csv",
        [{"id": MODEL, "kind": "generator", "licence": "MIT", "mirror": "of other/name"}],
    )
    with Hub(copied) as hub:
        fetch, printed = download(tmp_path, hub)
    assert "10 files, licence MIT" in printed
    table = pd.read_csv(fetch.record, dtype=str)
    assert sorted(table["file"]) == sorted(hub.asked) and len(table) == 10
    assert set(table["revision"]) == {COMMIT} and set(table["mirror"]) == {"of other/name"}
    paths = [path for path in fetch.output.rglob("*") if path.is_file()]
    names = {str(path.relative_to(fetch.output)) for path in paths}
    assert names == {*table["file"], checksums.RECORD}
    pipelines.load(str(fetch.output), SAMPLING, CPU)


def test_download_with_another_checksum_is_refused(tmp_path, copied):
    file = "vae/diffusion_pytorch_model.safetensors"
    [sha256] = checksums.hashes(copied, [file]).values()
    row = {"id": MODEL, "revision": COMMIT, "file": file, "sha256": sha256}
    checksums.write(tmp_path / "known.csv", [row])
    true = (copied / file).read_bytes()
    (copied / file).write_bytes(true[:-1] + bytes([true[-1] ^ 1]))  # still of safetensors
    with Hub(copied) as hub:
        fetch, printed = download(tmp_path, hub)
        for text in (f"{file}: wrong sha256 ", f"expected {sha256}", "fetch it again"):
            assert text in printed
        assert not fetch.output.exists() and not fetch.record.exists()
        (copied / file).write_bytes(true)
        fetch, printed = download(tmp_path, hub)
    assert (fetch.output / file).read_bytes() == true, printed


def test_download_does_not_write_through_old_links(tmp_path, copied):
    other = tmp_path / "other.json"
    other.write_text("other")
    part = tmp_path / "models/released.part"
    part.mkdir(parents=True)
    (part / "model_index.json").symlink_to(other)
    with Hub(copied) as hub:
        fetch, printed = download(tmp_path, hub)
    assert other.read_text() == "other"
    assert fetch.output.is_dir(), printed


def test_refusals_of_the_hub_say_what_to_do(tmp_path, copied):
    with Hub(copied, gated=True) as hub:
        message = "its licence must be accepted on the model's page; accept it, and set HF_TOKEN"
        assert message in download(tmp_path, hub)[1]
    message = "not on the hub; correct model and revision"
    with Hub(copied) as hub:
        other_model = download(tmp_path, hub, model="other/name")[1]
        assert f"other/name at {COMMIT}: {message}" in other_model
        assert message in download(tmp_path, hub, f", revision: {'a' * 40}")[1]


def test_without_network_the_message_says_what_to_do(tmp_path, monkeypatch):
    class Hub:
        def list_repo_files(self, model, revision):
            raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    message = Fetch(tmp_path, "owner/name", f", revision: {COMMIT!r}")()
    assert "owner/name: not available; use a machine with network" in message
