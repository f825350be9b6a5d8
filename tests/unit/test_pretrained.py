"""Generators that others released: any pipeline of diffusers, fetched, held to its hashes, sampled and stored."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

import scripts.lib.torch_setup  # noqa: F401

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from scripts import fetch_generator, generate
from scripts.lib import images, jobs, pipelines, shards, weights
from scripts.lib.study_file import StudyError, load
from tests import tiny_pipelines
from tests.conftest import ROOT, SMOKE
from tests.fake_hub import COMMIT, MODEL, Hub
from tests.tiny_pipelines import BUILDERS, PROMPTS, SIZES

CPU = torch.device("cpu")
SEEDS = [11, 22, 33, 44, 55]
SAMPLING = {"kind": "pretrained", "size": 16, "steps": 2, "sampler": None, "negative_prompt": "", "variant": None, "precision": "float32", "batch_size": 4}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Folders of tiny pipelines by name, each built once."""
    folder, made = tmp_path_factory.mktemp("released"), {}

    def of(name):
        if name not in made:
            made[name] = folder / name
            tiny_pipelines.save(name, made[name])
        return made[name]

    return of


def study_with(folder, model, changes="", storage="", source="recipe: class_names"):
    """The smoke study with one more generator and a source of 20 images that it makes, in a file of its own."""
    text = SMOKE.read_text().replace(
        "recipes:\n", f"  released: {{kind: pretrained, model: {json.dumps(str(model))}, size: 16, steps: 2{changes}}}\nrecipes:\n", 1
    )
    made = f"  released_images: {{kind: synthetic, generator: released, {source}, images: {{2.0: 20}}}}\n"
    text = text.replace("  real_10:", f"{made}  real_10:", 1).replace("data:\n", f"{storage}data:\n", 1)
    path = folder / "released.yaml"
    path.write_text(text, encoding="utf-8")
    load.cache_clear()
    return path


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


# -- sampling --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=BUILDERS)
def kind(request, released):
    """A pipeline of each kind, loaded, and how it is sampled."""
    sampling = SAMPLING | {"size": SIZES[request.param]}
    return pipelines.load(str(released(request.param)), sampling, CPU), sampling


def test_every_kind_of_pipeline_makes_images_that_are_the_same_in_any_batch(kind):
    pipeline, sampling = kind
    together = pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, sampling)
    assert together.shape == (5, sampling["size"], sampling["size"], 3) and together.dtype == np.uint8
    assert not any(images.is_blank(pixels) for pixels in together)
    assert (pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, sampling) == together).all()
    for some in (slice(0, 1), slice(2, 5)):
        part = pipelines.sample(pipeline, PROMPTS[some], SEEDS[some], 3.0, sampling)
        assert np.abs(part.astype(int) - together[some]).max() <= 1  # of 255: rounding of batched matrix products


def test_guidance_and_seed_matter_to_every_kind(kind):
    pipeline, sampling = kind
    first = pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, sampling)
    assert (pipelines.sample(pipeline, PROMPTS[:1], [1], 30.0, sampling) != first).any()
    assert (pipelines.sample(pipeline, PROMPTS[:1], [2], 2.0, sampling) != first).any()


def test_the_sampler_is_the_models_own_or_the_one_that_is_named(released):
    folder = str(released("deepfloyd_if"))
    own, named = (pipelines.load(folder, SAMPLING | {"sampler": sampler}, CPU) for sampler in (None, "ddim"))
    assert pipelines.sampler_of(own, SAMPLING) == "DDPMScheduler"
    assert type(named.scheduler).__name__ == "DDIMScheduler"
    for name in ("amused", "flux"):  # no diffusion, or one along straight lines: a sampler of another kind would make noise
        with pytest.raises(pipelines.SamplerError, match=r"sampler = 'ddim': .* remove the key"):
            pipelines.load(str(released(name)), SAMPLING | {"sampler": "ddim"}, CPU)


def test_a_negative_prompt_and_a_precision_reach_the_model(released):
    pipeline = pipelines.load(str(released("stable_diffusion")), SAMPLING, CPU)
    plain, other = (pipelines.sample(pipeline, PROMPTS[:1], [1], 9.0, SAMPLING | {"negative_prompt": text}) for text in ("", "five"))
    assert (plain != other).any()
    half = pipelines.load(str(released("stable_diffusion")), SAMPLING | {"precision": "bfloat16"}, CPU)
    assert half.unet.dtype == torch.bfloat16


def test_numbers_that_are_not_finite_come_out_black_and_blank():
    class Broken:
        def __call__(self, prompt, guidance_scale):
            made = np.random.default_rng(0).random((len(prompt), 4, 4, 3))
            made[1, 2, 2, 0] = np.nan
            return type("Output", (), {"images": made})

    made = pipelines.sample(Broken(), ["a", "b"], [1, 2], 1.0, {"steps": 1})
    assert [images.is_blank(pixels) for pixels in made] == [False, True]
    assert made[1].max() == 0


def test_a_block_with_too_many_blank_images_is_refused(tmp_path, capsys):
    def block(blank):
        pixels = np.random.default_rng(0).integers(0, 256, (200, 4, 4), np.uint8)
        pixels[:blank] = 255
        for i, own in enumerate(pixels):
            yield f"k{i:03d}", own, {"class_id": 0, "prompt": "", "blank": images.is_blank(own)}

    shards.write(tmp_path / "few.tar", generate.checked(block(2), 200))
    assert "2 of 200 images are blank (k000, k001)" in capsys.readouterr().out
    assert pd.read_parquet(tmp_path / "few.parquet")["blank"].sum() == 2
    with pytest.raises(images.BlankImages, match=r"3 of the first 3 images are of a single colour.* more than 1% of 200: try precision float32"):
        shards.write(tmp_path / "many.tar", generate.checked(block(3), 200))
    assert not list(tmp_path.glob("*many*"))


# -- what is stored --------------------------------------------------------------------------------------------------------------------


def test_images_are_smoothed_when_they_are_made_smaller():
    board = np.indices((64, 64)).sum(0) % 2 * 255  # the finest pattern there is
    small = images.as_stored(board.astype(np.uint8), 16, 3)
    assert small.shape == (16, 16, 3)
    assert np.abs(small.astype(int) - 127).max() < 20
    assert images.as_stored(np.zeros((16, 16, 3), np.uint8), 16, 1).shape == (16, 16)


@pytest.mark.parametrize(("storage", "extension", "off"), [("png", "png", 0), ("jpeg", "jpg", 30), ("webp", "webp", 30)])
def test_shards_hold_any_of_the_formats(tmp_path, storage, extension, off):
    ramp = np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (32, 1))
    pixels = np.stack([np.stack([ramp, ramp.T, ramp], -1)] * 3)
    rows = [(f"k{i}", own, {"class_id": i, "prompt": "p"}) for i, own in enumerate(pixels)]
    kind = {"format": storage, "quality": None if storage == "png" else 95}
    shards.write(tmp_path / "a.tar", rows, kind)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {name for name in tar.getnames() if name.startswith("k0")} == {f"k0.{extension}", "k0.cls", "k0.txt"}
        stored = tar.extractfile(f"k0.{extension}").read()
    assert Image.open(io.BytesIO(stored)).format == storage.upper()
    read, _ = shards.read(tmp_path / "a.tar")
    assert np.abs(read.transpose(0, 2, 3, 1).astype(int) - pixels).max() <= off
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[data.index(stored) + len(stored) // 2] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(shards.ShardError, match="another sha256"):
        shards.read(tmp_path / "a.tar")


# -- which files, and their hashes -----------------------------------------------------------------------------------------------------

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
    plain, half = (weights.needed(REPOSITORY, INDEX, variant) for variant in (None, "fp16"))
    assert not [file for file in plain + half if file.startswith(("README", "v1-5", "safety", "vae_old")) or file.endswith((".bin", ".onnx"))]
    assert {file for file in plain if file.startswith("unet/diff") and file.endswith("rs")} == {
        f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)
    }
    assert {file for file in half if file.endswith(".safetensors")} == {
        "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
        "text_encoder/model.safetensors",  # it has no such variant
    }
    assert {"tokenizer/merges.txt", "tokenizer/spiece.model", "scheduler/scheduler_config.json", "model_index.json"} <= set(plain)


def test_weights_as_pickle_alone_are_refused():
    with pytest.raises(weights.WeightsError, match="text_encoder: no weights as safetensors"):
        weights.needed([file for file in REPOSITORY if file != "text_encoder/model.safetensors"], INDEX, None)


def test_a_tokenizer_that_cannot_be_read_is_told_before_the_download(monkeypatch):
    monkeypatch.setattr(weights, "_importable", lambda name: name == "sentencepiece")
    weights.tokenizers_are_readable(["tokenizer/spiece.model", "tokenizer/tokenizer.json"])
    with pytest.raises(weights.WeightsError, match=r"tokenizer/spiece.model: reading it takes the packages sentencepiece and protobuf"):
        weights.tokenizers_are_readable(["tokenizer/spiece.model", "text_encoder/tokenizer.json"])
    monkeypatch.setattr(weights, "_importable", lambda name: True)
    weights.tokenizers_are_readable(["tokenizer/spiece.model"])


def test_the_table_of_known_sources_is_well_formed():
    table = weights.rows(ROOT / "data/sources.csv")
    assert list(table[0]) == weights.COLUMNS
    for row in table:
        assert row["id"] and row["licence"]
        assert re.fullmatch(r"[0-9a-f]{40}", row["revision"])
        assert bool(row["file"]) == bool(row["sha256"]) and re.fullmatch(r"([0-9a-f]{64})?", row["sha256"])
    assert len({(row["id"], row["revision"], row["file"]) for row in table}) == len(table)


class Fetch:
    """`fetch_generator` on a study of its own; what it says when it stops is returned."""

    def __init__(self, folder, model, changes=""):
        self.folder, self.output, self.record = folder, folder / "models/released", folder / "models/released.sources.csv"
        self.known = folder / "known.csv"
        self.study = study_with(folder, model, changes)

    def __call__(self):
        paths = ["--known", str(self.known), "--record", str(self.record), "--output", str(self.output)]
        try:
            fetch_generator.main(["--study", str(self.study), "--generator", "released", *paths])
        except SystemExit as stop:
            return str(stop)


@pytest.fixture
def copied(tmp_path, released):
    """A folder of a tiny Stable Diffusion that a test may harm."""
    shutil.copytree(released("stable_diffusion"), tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_is_linked_and_its_hashes_are_recorded(tmp_path, copied):
    (copied / "unet/evil.bin").write_bytes(b"pickle")
    fetch = Fetch(tmp_path, copied)
    assert fetch() is None
    table = pd.read_csv(fetch.record, keep_default_na=False)
    assert list(table) == weights.COLUMNS
    assert "unet/diffusion_pytorch_model.safetensors" in set(table["file"]) and set(table["id"]) == {str(copied)}
    assert all((fetch.output / file).is_symlink() for file in table["file"])
    assert not (fetch.output / "unet/evil.bin").exists()
    assert fetch() is None  # the same again is as known
    pipelines.load(str(fetch.output), SAMPLING, CPU)


def test_a_variant_of_the_weights_is_taken_where_there_is_one(tmp_path, copied):
    """As publishers lay them out: half precision beside full; here all but the text encoder has both."""
    tiny_pipelines.stable_diffusion().to(torch.float16).save_pretrained(copied, variant="fp16")
    (copied / "text_encoder/model.fp16.safetensors").unlink()
    fetch = Fetch(tmp_path, copied, ", variant: fp16")
    assert fetch() is None
    held = sorted(str(path.relative_to(fetch.output)) for path in fetch.output.rglob("*.safetensors"))
    unet_and_vae = [f"{part}/diffusion_pytorch_model.fp16.safetensors" for part in ("unet", "vae")]
    assert held == ["text_encoder/model.safetensors", *unet_and_vae]
    pipeline = pipelines.load(str(fetch.output), SAMPLING | {"variant": "fp16"}, CPU)
    assert not images.is_blank(pipelines.sample(pipeline, PROMPTS[:1], [1], 2.0, SAMPLING)[0])


def test_weights_that_changed_are_refused_with_file_expected_found_and_mend(tmp_path, copied):
    fetch = Fetch(tmp_path, copied)
    fetch()
    before = pd.read_csv(fetch.record).set_index("file")["sha256"]
    tiny_pipelines.torch.manual_seed(1)
    tiny_pipelines.stable_diffusion().save_pretrained(copied)
    file = "unet/diffusion_pytorch_model.safetensors"
    with pytest.raises(weights.WeightsError, match=f"{file}: sha256 is .*it changed since; remove"):
        pipelines.revision(str(fetch.output))  # what a generation job finds
    told = fetch()
    assert f"{file}: sha256 is " in told and f"expected {before[file]} ({fetch.record})" in told and "if the change is meant, remove" in told
    fetch.record.unlink()
    assert fetch() is None


def test_hashes_that_are_known_hold_from_the_first_fetch_on(tmp_path, copied):
    fetch = Fetch(tmp_path, copied)
    row = {"id": str(copied), "kind": "generator", "file": "vae/config.json", "sha256": "0" * 64, "licence": "MIT"}
    weights.write(fetch.known, [row])
    assert f"vae/config.json: sha256 is {weights.hashes(copied, ['vae/config.json'])['vae/config.json']}, expected {'0' * 64}" in fetch()
    assert not fetch.output.exists() and not fetch.record.exists()


def test_a_file_cut_short_is_told(tmp_path, copied):
    file = copied / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert "unet/diffusion_pytorch_model.safetensors (" in (told := Fetch(tmp_path, copied)())
    assert "a file cut short or damaged" in told


def download(folder, hub, changes=f", revision: {COMMIT}", model=MODEL):
    """Fetch a model of the hub in a process of its own, as a job does; return the `Fetch` and what it printed."""
    fetch = Fetch(folder, model, changes)
    command = [sys.executable, "-m", "scripts.fetch_generator", "--study", fetch.study, "--generator", "released"]
    paths = ["--known", fetch.known, "--record", fetch.record, "--output", fetch.output]
    place = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([*command, *paths], capture_output=True, text=True, env=os.environ | place)
    return fetch, done.stdout + done.stderr


def test_a_model_of_the_hub_is_downloaded_at_its_commit(tmp_path, copied):
    (copied / "unet/diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (copied / "everything.safetensors").write_bytes(b"the same weights in one file, for others")
    weights.write(tmp_path / "known.csv", [{"id": MODEL, "kind": "generator", "licence": "MIT", "mirror": "of other/name"}])
    with Hub(copied) as hub:
        fetch, told = download(tmp_path, hub)
    assert "10 files, licence MIT" in told
    table = pd.read_csv(fetch.record, dtype=str)
    assert sorted(table["file"]) == sorted(hub.asked) and len(table) == 10
    assert set(table["revision"]) == {COMMIT} and set(table["mirror"]) == {"of other/name"}
    held = {str(path.relative_to(fetch.output)) for path in fetch.output.rglob("*") if path.is_file()}
    assert held == {*table["file"], weights.RECORD}
    pipelines.load(str(fetch.output), SAMPLING, CPU)


def test_a_download_with_another_hash_is_refused_and_not_kept(tmp_path, copied):
    file = "vae/diffusion_pytorch_model.safetensors"
    row = {"id": MODEL, "revision": COMMIT, "file": file, "sha256": weights.hashes(copied, [file])[file]}
    weights.write(tmp_path / "known.csv", [row])
    true = (copied / file).read_bytes()
    (copied / file).write_bytes(true[:-1] + bytes([true[-1] ^ 1]))  # as large, and safetensors still
    with Hub(copied) as hub:
        fetch, told = download(tmp_path, hub)
        assert f"{file}: sha256 is " in told and f"expected {row['sha256']}" in told and "fetch it again" in told
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
        assert "its licence must be accepted on the model's page, and HF_TOKEN must hold" in download(tmp_path, hub)[1]
    with Hub(copied) as hub:
        assert f"other/name at {COMMIT}: not on the hub; mend model and revision" in download(tmp_path, hub, model="other/name")[1]
        assert "not on the hub; mend model and revision" in download(tmp_path, hub, f", revision: {'a' * 40}")[1]


def test_without_a_network_the_mend_is_told(tmp_path, monkeypatch):
    class Hub:
        def list_repo_files(self, model, revision):
            raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert "owner/name: cannot be had; take a machine with network" in Fetch(tmp_path, "owner/name", f", revision: {COMMIT!r}")()


# -- a study with one ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "changes", "storage", "told"),
    [
        ("./nowhere", "", "", "generators.released.model = './nowhere': no such folder"),
        ("./scripts", "", "", "generators.released.model = './scripts': holds no model_index.json"),
        ("name", ", revision: x", "", "generators.released.model = 'name': neither owner/name nor a path"),
        ("owner/name", "", "", "generators.released.revision = missing: branches and tags move; give the 40 hex digits"),
        ("owner/name", ", revision: main", "", "generators.released.revision = 'main', no commit"),
        ("./scripts", ", revision: main", "", "generators.released.revision = 'main': a folder has none; remove the key"),
        ("owner/name", f", revision: {COMMIT!r}, precision: int8", "", "generators.released.precision = 'int8'"),
        ("owner/name", f", revision: {COMMIT!r}, sampler: euler", "", "generators.released.sampler = 'euler'"),
        ("owner/name", f", revision: {COMMIT!r}", "storage: {format: png, quality: 90}\n", "storage.quality = 90: png loses nothing"),
        ("owner/name", f", revision: {COMMIT!r}", "storage: {format: jpeg}\n", "storage.quality: missing; jpeg needs one of 1 to 100"),
        ("owner/name", f", revision: {COMMIT!r}", "storage: {format: gif}\n", "storage.format = 'gif'"),
    ],
)
def test_a_fault_is_told_with_its_key_value_and_mend(tmp_path, model, changes, storage, told):
    with pytest.raises(StudyError) as error:
        load(study_with(tmp_path, model, changes, storage))
    assert told in str(error.value)


def test_a_size_that_latents_cannot_have_is_told(tmp_path):
    path = study_with(tmp_path, "owner/name", f", revision: {COMMIT!r}")
    path.write_text(path.read_text().replace("size: 16, steps: 2", "size: 20, steps: 2"))
    with pytest.raises(StudyError, match=r"generators\.released\.size = 20: not a multiple of 8, which latents need; use 16"):
        load(path)


def test_sampling_is_no_setting_of_the_fetch_and_the_weights_are_one_of_generation(tmp_path):
    first = load(study_with(tmp_path, "owner/name", f", revision: {COMMIT!r}"))
    more = load(study_with(tmp_path, "owner/name", f", revision: {COMMIT!r}, negative_prompt: blurry"))
    other = load(study_with(tmp_path, "owner/name", f", revision: {COMMIT[::-1]!r}"))
    assert jobs.fetch_settings(first, "released") == jobs.fetch_settings(more, "released") != jobs.fetch_settings(other, "released")
    made = [jobs.digest(jobs.generation_settings(study, "released_images", 0)) for study in (first, more, other)]
    assert len(set(made)) == 3
    assert jobs.pipeline_folder("s", first, "released_images") == "results/s/models/released"
    assert jobs.pipeline_folder("s", first, "diffusion_class_names") == "results/s/generators/diffusion"
