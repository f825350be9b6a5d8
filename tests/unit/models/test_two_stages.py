"""DeepFloyd IF: two pipelines that are fetched, loaded and sampled as one generator."""

import json
import shutil

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pytest
import sentencepiece

from scripts import fetch_generator, generate, write_prompts
from synscale.data import codec, shards
from synscale.models import pipelines
from tests.support import tiny_pipelines
from tests.support.study_with import study_with
from tests.support.tiny_pipelines import PROMPTS
from tests.support.workflow import ROOT

CPU = deterministic(1)
SEEDS = [11, 22, 33, 44, 55]
SAMPLING = {
    "size": 16,
    "steps": 2,
    "sampler": None,
    "negative_prompt": "",
    "variant": None,
    "precision": "float32",
}
UPSCALER = {"size": 32, "steps": 2, "guidance": 3.0, "noise_level": 250, "variant": None}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Folder of tiny pipelines, both stages among them."""
    folder = tmp_path_factory.mktemp("released")
    for name in ("deepfloyd_if", "deepfloyd_if_upscaler", "stable_diffusion"):
        tiny_pipelines.save(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def two_stages(released):
    """The folder of a tiny DeepFloyd IF of 16 pixels and its second stage of 32, as both are
    fetched.
    """
    shutil.copytree(
        released / "deepfloyd_if_upscaler",
        released / "two/upscaler",
        ignore=shutil.ignore_patterns("text_encoder", "tokenizer"),
    )
    return shutil.copytree(released / "deepfloyd_if", released / "two", dirs_exist_ok=True)


def test_two_stages_are_sampled_as_one_pipeline(two_stages):
    loaded = pipelines.load(str(two_stages), SAMPLING | {"upscaler": UPSCALER}, CPU)

    def made(which=slice(0, 5), guidance=3.0, negative="", second=3.0, noise_level=250):
        pipeline = pipelines.TwoStages(
            loaded.first,
            loaded.upscaler,
            UPSCALER | {"guidance": second, "noise_level": noise_level},
        )
        sampling = SAMPLING | {"negative_prompt": negative, "upscaler": UPSCALER}
        return pipelines.sample(pipeline, PROMPTS[which], SEEDS[which], guidance, sampling)

    whole = made()
    assert whole.shape == (5, 32, 32, 3) and not any(codec.is_blank(pixels) for pixels in whole)
    assert (made() == whole).all()
    assert np.abs(made(slice(1, 3)).astype(int) - whole[1:3]).max() <= 1
    for other in (
        made(guidance=30.0),
        made(guidance=1.0),
        made(negative="five"),
        made(second=30.0),
        made(noise_level=10),
    ):
        assert (other != whole).any()


def test_deepfloyd_if_from_two_repositories_to_a_shard(tmp_path, released, monkeypatch):
    """Both as published: the text encoder in each, and a tokenizer that is a SentencePiece model
    alone.
    """
    monkeypatch.chdir(ROOT)
    for name in ("deepfloyd_if", "deepfloyd_if_upscaler"):
        tokenizer = shutil.copytree(released / name, tmp_path / name) / "tokenizer"
        for file in tokenizer.iterdir():
            file.unlink()
        kind = {
            "vocab_size": 24,
            "hard_vocab_limit": False,
            "pad_id": 0,
            "eos_id": 1,
            "unk_id": 2,
            "bos_id": -1,
            "minloglevel": 2,
        }
        with (tokenizer / "spiece.model").open("wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(PROMPTS), model_writer=file, **kind
            )
        (tokenizer / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "model_max_length": 77})
        )
    upscaler = f"{{model: {tmp_path}/deepfloyd_if_upscaler, size: 32, steps: 2, guidance: 3.0}}"
    study = [
        "--study",
        str(study_with(tmp_path, tmp_path / "deepfloyd_if", f", upscaler: {upscaler}")),
    ]
    models, pool, tar = (str(tmp_path / name) for name in ("models", "pool.parquet", "images.tar"))
    known = ["--known", "data/sources.csv", "--record", f"{models}.sources.csv"]
    fetch_generator.main([*study, "--generator", "released", *known, "--output", models])
    write_prompts.main(
        [
            *study,
            "--recipe",
            "class_names",
            "--classes",
            "data/digits_classes.csv",
            "--output",
            pool,
        ]
    )
    shard = [
        "--source",
        "released_images",
        "--shard",
        "00000",
        "--classes",
        "data/digits_classes.csv",
    ]
    generate.main(
        [
            *study,
            *shard,
            "--pipeline",
            models,
            "--prompts",
            pool,
            "--output",
            tar,
            "--state",
            str(tmp_path / "state"),
        ]
    )
    made, manifest = shards.read(tar)
    assert made.shape == (20, 1, 8, 8)
    assert manifest["seed"].tolist() == [
        pipelines.seed_of("released_images", 2.0, index) for index in range(20)
    ]
    scheduler = json.loads(manifest["scheduler"][0])
    assert scheduler["class"] == scheduler["upscaler"]["class"] == "DDPMScheduler"
    assert scheduler["thresholding"] and set(manifest["scheduler"]) == {manifest["scheduler"][0]}
    assert set(manifest["sampler"]) == {"DDPMScheduler"} and set(manifest["attempt"]) == {0}
    assert not any(codec.is_blank(image[0]) for image in made)


def test_a_second_stage_of_another_kind_of_pipeline_is_refused(released):
    with pytest.raises(
        pipelines.SamplerError,
        match="upscaler: it goes with an IFPipeline alone, and this is a StableDiffusionPipeline",
    ):
        pipelines.load(str(released / "stable_diffusion"), SAMPLING | {"upscaler": UPSCALER}, CPU)
