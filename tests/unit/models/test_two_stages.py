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
from synscale.study.models.generators import Upscaler
from tests.support import tiny_pipelines
from tests.support.study_with import generate_options, options, study_with
from tests.support.tiny_pipelines import PROMPTS, sampling
from tests.support.workflow import ROOT

CPU = deterministic(1)
SEEDS = [11, 22, 33, 44, 55]
UPSCALER = Upscaler(model="./second", size=32, steps=2, guidance=3.0)
SAMPLING = sampling(upscaler=UPSCALER)


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
    loaded = pipelines.load(str(two_stages), SAMPLING, CPU)

    def images(which=slice(0, 5), guidance=3.0, negative="", **stage):
        second = UPSCALER.model_copy(update=stage)
        pipeline = pipelines.TwoStages(loaded.first, loaded.upscaler, second)
        keys = sampling(upscaler=UPSCALER, negative_prompt=negative)
        return pipelines.sample(pipeline, PROMPTS[which], SEEDS[which], guidance, keys)

    expected = images()
    assert expected.shape == (5, 32, 32, 3)
    assert not any(codec.is_blank(pixels) for pixels in expected)
    assert (images() == expected).all()
    assert np.abs(images(slice(1, 3)).astype(int) - expected[1:3]).max() <= 1
    for changes in ({"guidance": 30.0}, {"guidance": 1.0}, {"negative": "five"}):
        assert (images(**changes) != expected).any()
    pipeline = pipelines.TwoStages(
        loaded.first, loaded.upscaler, UPSCALER.model_copy(update={"guidance": 30.0})
    )
    other = pipelines.sample(pipeline, PROMPTS, SEEDS, 3.0, SAMPLING)
    assert (other != expected).any()
    assert (images(noise_level=10) != expected).any()


def test_deepfloyd_if_from_two_repositories_to_a_shard(tmp_path, released, monkeypatch):
    """Both as published: the text encoder in each, and a tokenizer that is a SentencePiece model
    alone.
    """
    monkeypatch.chdir(ROOT)
    for name in ("deepfloyd_if", "deepfloyd_if_upscaler"):
        tokenizer = shutil.copytree(released / name, tmp_path / name) / "tokenizer"
        for file in tokenizer.iterdir():
            file.unlink()
        ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
        with (tokenizer / "spiece.model").open("wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(PROMPTS),
                model_writer=file,
                vocab_size=24,
                hard_vocab_limit=False,
                minloglevel=2,
                **ids,
            )
        config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "model_max_length": 77}
        (tokenizer / "tokenizer_config.json").write_text(json.dumps(config))
    upscaler = f"{{model: {tmp_path}/deepfloyd_if_upscaler, size: 32, steps: 2, guidance: 3.0}}"
    study = study_with(tmp_path, tmp_path / "deepfloyd_if", f", upscaler: {upscaler}")
    models = tmp_path / "models"
    pool = tmp_path / "pool.parquet"
    tar = tmp_path / "images.tar"
    tables = {"known": "data/sources.csv", "record": f"{models}.sources.csv"}
    fetch_generator.main(options(study=study, generator="released", output=models, **tables))
    classes = "data/digits_classes.csv"
    write_prompts.main(options(study=study, recipe="class_names", classes=classes, output=pool))
    files = {"pipeline": models, "prompts": pool, "output": tar, "state": tmp_path / "state"}
    generate.main(generate_options(study, **files))
    images, manifest = shards.read(tar)
    assert images.shape == (20, 1, 8, 8)
    seeds = [pipelines.seed_of("released_images", 2.0, index) for index in range(20)]
    assert manifest["seed"].tolist() == seeds
    scheduler = json.loads(manifest["scheduler"][0])
    assert scheduler["class"] == scheduler["upscaler"]["class"] == "DDPMScheduler"
    assert scheduler["thresholding"] and set(manifest["scheduler"]) == {manifest["scheduler"][0]}
    assert set(manifest["sampler"]) == {"DDPMScheduler"} and set(manifest["attempt"]) == {0}
    assert not any(codec.is_blank(image[0]) for image in images)


def test_second_stage_of_another_pipeline_is_refused(released):
    message = "upscaler: it needs an IFPipeline, and this is a StableDiffusionPipeline"
    with pytest.raises(pipelines.SamplerError, match=message):
        pipelines.load(str(released / "stable_diffusion"), SAMPLING, CPU)
